//! Encoders with convolutions before their patches.
#![cfg(feature = "flex")]

use burn::tensor::{Device, Distribution, Tensor, TensorData};
use serde_json::Value;
use vlm_model::{
    CheckpointOptions, MiniGptConfig, Part, Precision, VisionConfig, init_checkpoint, initialized_model,
    load_checkpoint, tensor_plan,
};

fn small() -> MiniGptConfig {
    let vision = VisionConfig {
        image_size: 32,
        patch_size: 8,
        stem_channels: vec![4, 6],
        width: 24,
        depth: 1,
        n_heads: 2,
        mlp_hidden: 32,
        ..VisionConfig::nano()
    };
    let mut config = MiniGptConfig { vision, ..MiniGptConfig::nano() };
    config.llama.n_layers = 1;
    config
}

#[test]
fn a_convolution_of_ones_counts_what_it_sees() {
    let device = Device::flex();
    let mut model = initialized_model(&small(), 1, Precision::F32, &device).unwrap();
    let stem = &mut model.vision_tower.stem[0];
    stem.weight = stem.weight.clone().map(|weight| weight.full_like(1.0));
    stem.bias = stem.bias.clone().map(|bias| bias.full_like(-20.0));
    let map = stem.forward(Tensor::<4>::ones([1, 3, 4, 4], &device));
    assert_eq!(map.dims(), [1, 4, 2, 2]);
    // 2x2, 2x3, 3x2 and 3x3 places of 3 channels, less 20, cut off at 0
    let first = map.narrow(1, 0, 1).into_data();
    let expected = TensorData::new(vec![0.0_f32, 0.0, 0.0, 7.0], [1, 1, 2, 2]);
    first.assert_eq(&expected, true);
}

#[test]
fn a_checkpoint_keeps_the_stem() {
    let (config, device) = (small(), Device::flex());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model");
    let options = CheckpointOptions::default();
    init_checkpoint(&config, 5, Precision::F32, &path, &Value::Null, &options).unwrap();
    let (model, report, _) = load_checkpoint(&path, Precision::F32, &device, &mut |_, _| {}).unwrap();
    assert!(report.missing.is_empty() && report.unknown.is_empty(), "{report:?}");
    let pixels = Tensor::<4>::random([2, 3, 32, 32], Distribution::Default, &device);
    let expected = initialized_model(&config, 5, Precision::F32, &device).unwrap();
    let got = model.vision_features(pixels.clone()).unwrap();
    assert_eq!(got.dims(), [2, 4, 96]);
    got.into_data().assert_eq(&expected.vision_features(pixels).unwrap().into_data(), true);
}

#[test]
fn the_plan_has_the_stem_and_bad_sizes_are_named() {
    let shape = |published: &str| {
        let plan = tensor_plan(&small());
        let tensor = plan.into_iter().find(|tensor| tensor.published == published).unwrap();
        assert_eq!(tensor.part, Part::VisionTower);
        tensor.shape
    };
    assert_eq!(shape("visual_encoder.stem.0.weight"), [4, 3, 3, 3]);
    assert_eq!(shape("visual_encoder.stem.1.weight"), [6, 4, 3, 3]);
    assert_eq!(shape("visual_encoder.patch_embed.proj.weight"), [24, 6, 2, 2]);

    let refused = |change: fn(&mut VisionConfig)| {
        let mut config = small();
        change(&mut config.vision);
        config.validate().unwrap_err().to_string()
    };
    assert!(refused(|vision| vision.stem_channels = vec![4, 0]).contains("vision.stem_channels"));
    assert!(refused(|vision| vision.stem_channels = vec![4; 4]).contains("do not divide"));
    assert!(refused(|vision| vision.stem_channels = vec![4; 9]).contains("vision.stem_channels"));
}
