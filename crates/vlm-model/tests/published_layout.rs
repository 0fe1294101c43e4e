//! A checkpoint with the published names, files and depths at an eighth of the widths loads whole.

#![cfg(feature = "flex")]
#![expect(clippy::unwrap_used, reason = "a test")]

mod pth_writer;

use burn::tensor::{Device, Tensor, TensorData};
use pth_writer::Kind;
use pth_writer::layout::{Sizes, values, write_published_layout};
use vlm_model::{LoraConfig, Precision, VisionConfig, discover, load};

#[test]
fn the_published_layout_loads_with_nothing_missing_and_nothing_unknown() {
    let folder = tempfile::tempdir().unwrap();
    write_published_layout(folder.path(), 8).unwrap();
    let (config, files, prompt) = discover(folder.path()).unwrap();
    let sizes = Sizes::divided_by(8);
    let vision = VisionConfig {
        width: sizes.vision_width,
        n_heads: 2,
        mlp_hidden: sizes.vision_mlp,
        ..VisionConfig::eva_vit_g_448()
    };
    assert_eq!(config.vision, vision, "39 of 40 blocks, 448 px from a file for 224 px");
    assert_eq!(config.llama, sizes.llama_config());
    assert_eq!(config.lora, Some(LoraConfig::default()));
    assert_eq!(config.merge, 4);
    assert!(prompt.is_null());
    let mut last = (0, 0);
    let device = Device::flex();
    let (model, report) =
        load(&files, &config, Precision::F16, &device, &mut |done, total| last = (done, total)).unwrap();
    assert!(report.is_complete(), "{report}");
    // SPEC 3.8: tower, language model, LoRA, projector; ln_vision is in no published file.
    assert_eq!(report.matched.len(), 511 + 291 + 128 + 2, "{report}");
    assert_eq!((report.missing.len(), report.unknown.len(), report.mismatched.len()), (0, 0, 0), "{report}");
    // block 39, norm, head; 32 buffers of the checkpoint
    assert_eq!(report.ignored.len(), 13 + 4 + 32, "{:?}", report.ignored);
    assert_eq!(last.0, last.1, "progress ends at its total");
    assert!(last.1 > 200_000_000, "{last:?}");

    let check = |name: &str, kind: Kind, tensor: Tensor<2>| {
        let shape = tensor.dims();
        let expected = TensorData::from_bytes_vec(
            values(name, kind, &shape),
            shape,
            match kind {
                Kind::F16 => burn::tensor::DType::F16,
                Kind::F32 => burn::tensor::DType::F32,
            },
        );
        assert!(tensor.into_data() == expected, "{name}");
    };
    let block = &model.vision_tower.blocks[38];
    check("blocks.38.mlp.fc2.weight", Kind::F16, block.mlp.fc2.weight.val());
    check("blocks.38.attn.qkv.weight", Kind::F16, block.attn.qkv.weight.val());
    let layer = &model.language_model.layers[31];
    check("model.layers.31.mlp.down_proj.weight", Kind::F16, layer.mlp.down_proj.base.weight.val());
    let name = "llama_model.base_model.model.model.layers.31.self_attn.v_proj.lora_B.weight";
    check(name, Kind::F32, layer.self_attn.v_proj.adapter.as_ref().unwrap().b.val());
    check("llama_proj.weight", Kind::F32, model.projector.weight.val());
    assert_eq!(model.vision_tower.pos_embed.val().dims(), [1, 1025, sizes.vision_width]);
}
