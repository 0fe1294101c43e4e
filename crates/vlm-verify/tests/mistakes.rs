//! What a mistake in the model would do: fixtures are changed as the mistake would change what is
//! computed, and the check must fail.
#![expect(clippy::unwrap_used, reason = "helper functions of tests")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use serde_json::Value;
use vlm_model::{DeviceChoice, Precision};
use vlm_verify::{Report, VerifyError, verify};

/// A copy of the fixtures to change.
struct Copy(tempfile::TempDir);

impl Copy {
    fn new() -> Self {
        let copy = Self(tempfile::tempdir().unwrap());
        copy_folder(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures"), copy.0.path());
        copy
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn check(&self, group: &str) -> Result<Report, VerifyError> {
        verify(&self.path(group), &DeviceChoice::Cpu.open().unwrap(), Precision::F32, &mut |_| {})
    }

    fn edit_json(&self, name: &str, field: &str, value: Value) {
        let path = self.path(name);
        let mut json: Value = serde_json::from_str(&fs_err::read_to_string(&path).unwrap()).unwrap();
        assert!(json.get(field).is_some_and(|held| *held != value), "`{field}` of {name} does not change");
        json[field] = value;
        fs_err::write(&path, json.to_string()).unwrap();
        // the other spelling of a configuration would tell at once
        let newer = path.with_file_name("config.transformers5.json");
        if newer.is_file() {
            fs_err::remove_file(newer).unwrap();
        }
    }

    /// Changes the f32 tensors of a file whose names contain `part`.
    fn edit_tensors(&self, name: &str, part: &str, edit: impl Fn(&[usize], &[f32]) -> Vec<f32>) {
        let bytes = fs_err::read(self.path(name)).unwrap();
        let file = SafeTensors::deserialize(&bytes).unwrap();
        let mut tensors: BTreeMap<String, (Dtype, Vec<usize>, Vec<u8>)> = BTreeMap::new();
        let mut changed = false;
        for (tensor, view) in file.tensors() {
            let mut data = view.data().to_vec();
            if tensor.contains(part) && view.dtype() == Dtype::F32 {
                let values: Vec<f32> =
                    data.chunks(4).map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap())).collect();
                let new = edit(view.shape(), &values);
                assert_eq!(new.len(), values.len(), "{tensor}");
                changed |= new != values;
                data = new.iter().flat_map(|value| value.to_le_bytes()).collect();
            }
            tensors.insert(tensor, (view.dtype(), view.shape().to_vec(), data));
        }
        assert!(changed, "`{part}` of {name} does not change");
        let views = tensors.iter().map(|(name, (dtype, shape, data))| {
            (name, TensorView::new(*dtype, shape.clone(), data).unwrap())
        });
        fs_err::write(self.path(name), safetensors::serialize(views, None).unwrap()).unwrap();
    }
}

fn copy_folder(from: &Path, to: &Path) {
    fs_err::create_dir_all(to).unwrap();
    for entry in fs_err::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            fs_err::copy(entry.path(), target).unwrap();
        }
    }
}

/// The check of `group` must fail in each of these cases.
fn check_fails(what: &str, copy: &Copy, group: &str, cases: &[&str]) {
    let report = copy.check(group).unwrap();
    assert!(!report.passed(), "{what}");
    for case in cases {
        let found = report.cases.iter().find(|found| found.name == *case);
        let found = found.unwrap_or_else(|| panic!("{what}: no case `{case}`"));
        assert!(!found.pass, "{what}: `{case}` passes with {:e} of {:e}", found.worst, found.tolerance);
    }
}

#[test]
fn wrong_numbers() {
    let qv = ["qv: logits", "qv: loss", "qv: gradients"];
    for (file, field, value, group, cases) in [
        ("llama/config.json", "rms_norm_eps", 1e-6, "llama", &["a.logits", "b.loss", "c.hidden_last"][..]),
        ("llama/config.json", "rope_theta", 505.0, "llama", &["a.logits", "gen.logits", "kv.layer0_keys"]),
        (
            "lora_peft/adapter/adapter_config.json",
            "lora_alpha",
            5.5,
            "lora_peft",
            &["logits_unmerged", "merged weights"],
        ),
        ("minigpt/inputs.json", "lora_alpha", 3.0, "minigpt", &qv),
        ("minigpt/inputs.json", "ln_vision_eps", 1e-3, "minigpt", &["qv: vit_tokens"]),
        ("minigpt/inputs.json", "vit_block_eps", 1e-4, "minigpt", &["qv: vit_tokens"]),
        ("vit/hf/config.json", "layer_norm_eps", 1e-4, "vit", &["eva: tokens", "hf: after_block.0"]),
        ("train/train.json", "weight_decay", 0.0, "train", &["weights_step6"]),
        ("train/train.json", "init_lr", 4.1e-4, "train", &["lr", "weights_step2", "loss"]),
        ("train/train.json", "eps", 1e-3, "train", &["weights_step2"]),
    ] {
        let copy = Copy::new();
        copy.edit_json(file, field, value.into());
        check_fails(&format!("{field} {value}"), &copy, group, cases);
    }
}

#[test]
fn wrong_heads() {
    let copy = Copy::new();
    copy.edit_json("vit/hf/config.json", "num_attention_heads", 4.into());
    check_fails(
        "heads of the image encoder",
        &copy,
        "vit",
        &["eva: after_block.0", "eva: attention_probs.0"],
    );
    // weights of 2 heads do not fit a model with 3
    let copy = Copy::new();
    copy.edit_json("llama/config.json", "num_key_value_heads", 3.into());
    assert!(copy.check("llama").is_err());
}

/// Rows of each head, reordered by `order`.
fn reorder_heads(width: usize, order: impl Fn(usize) -> usize) -> impl Fn(&[usize], &[f32]) -> Vec<f32> {
    move |shape, values| {
        let row = |row: usize| &values[row * shape[1]..(row + 1) * shape[1]];
        (0..shape[0]).flat_map(|index| row(index / width * width + order(index % width)).to_vec()).collect()
    }
}

#[test]
fn wrong_orders() {
    let keys = ["a.logits", "gen.logits", "kv.logits_steps"];
    // neighboring entries of a head as RoPE's pairs, instead of the two halves
    let copy = Copy::new();
    for part in ["q_proj.weight", "k_proj.weight"] {
        copy.edit_tensors(
            "llama/model.safetensors",
            part,
            reorder_heads(6, |entry| entry % 2 * 3 + entry / 2),
        );
    }
    check_fails("interleaved rotation", &copy, "llama", &keys);
    // the first query heads with the last key and value head
    let copy = Copy::new();
    for part in ["k_proj.weight", "v_proj.weight"] {
        copy.edit_tensors("llama/model.safetensors", part, reorder_heads(12, |entry| (entry + 6) % 12));
    }
    check_fails("another key head", &copy, "llama", &keys);
    // the second of two neighboring patches first
    let copy = Copy::new();
    let width = 12;
    for variant in ["qv", "kd"] {
        let file = format!("minigpt/trainable_{variant}.safetensors");
        copy.edit_tensors(&file, "llama_proj.weight", |shape, values| {
            let column = |index: usize| (index + width) % shape[1];
            values.chunks(shape[1]).flat_map(|row| (0..shape[1]).map(|c| row[column(c)])).collect()
        });
    }
    check_fails("merged patches in another order", &copy, "minigpt", &["qv: img_embeds", "qv: logits"]);
    // keys before queries in the fused weight
    let copy = Copy::new();
    copy.edit_tensors(
        "vit/eva/visual_encoder.safetensors",
        "qkv.weight",
        reorder_heads(36, |row| [12, 0, 24][row / 12] + row % 12),
    );
    check_fails("keys before queries", &copy, "vit", &["eva: after_block.0", "eva: attention_probs.0"]);
}

#[test]
fn values_that_are_no_numbers_fail() {
    let copy = Copy::new();
    copy.edit_tensors("llama/model.safetensors", "model.norm.weight", |_, values| {
        vec![f32::NAN; values.len()]
    });
    let report = copy.check("llama").unwrap();
    let logits = report.cases.iter().find(|case| case.name == "a.logits").unwrap();
    assert!(!logits.pass && logits.note.is_some(), "{logits:?}");
    let json = serde_json::to_string(&report).unwrap();
    assert_eq!(serde_json::from_str::<Report>(&json).unwrap(), report, "infinity has no place in JSON");
}

#[test]
fn files_that_cannot_be_used() {
    let copy = Copy::new();
    let empty = copy.path("nothing");
    fs_err::create_dir_all(&empty).unwrap();
    let device = DeviceChoice::Cpu.open().unwrap();
    let nothing = verify(&empty, &device, Precision::F32, &mut |_| {});
    assert!(matches!(nothing, Err(VerifyError::NoGroup { .. })));
    for (file, group) in [
        ("llama/cases.safetensors", "llama"),
        ("llama/model.safetensors", "llama"),
        ("llama/config.json", "llama"),
        ("minigpt/inputs.json", "minigpt"),
        ("minigpt/checkpoint_qv.pth", "minigpt"),
        ("train/train.json", "train"),
        ("lora_peft/adapter/adapter_model.safetensors", "lora_peft"),
    ] {
        let copy = Copy::new();
        let bytes = fs_err::read(copy.path(file)).unwrap();
        fs_err::write(copy.path(file), &bytes[..bytes.len() / 2]).unwrap();
        assert!(copy.check(group).is_err(), "half of {file}");
    }
}

#[test]
fn a_group_without_cases_fails() {
    let copy = Copy::new();
    let data = [0_u8; 4];
    let view = TensorView::new(Dtype::F32, vec![1], &data).unwrap();
    let file = safetensors::serialize([("something", view)], None).unwrap();
    fs_err::write(copy.path("llama/cases.safetensors"), file).unwrap();
    fs_err::remove_file(copy.path("llama/cases.json")).unwrap();
    fs_err::remove_file(copy.path("llama/config.transformers5.json")).unwrap();
    let report = copy.check("llama").unwrap();
    assert!(!report.passed());
    assert_eq!(report.cases.len(), 1);
}

/// Every tensor in turn loses its last row: no panic, and never a pass.
#[test]
fn tensors_that_do_not_fit_each_other() {
    for (file, group) in [
        ("llama/cases.safetensors", "llama"),
        ("vit/cases.safetensors", "vit"),
        ("vit/pos_embed.safetensors", "vit"),
        ("minigpt/inputs.safetensors", "minigpt"),
        ("minigpt/forward_kd.safetensors", "minigpt"),
        ("minigpt/generate_qv.safetensors", "minigpt"),
        ("minigpt/trainable_kd.safetensors", "minigpt"),
        ("lora_peft/cases.safetensors", "lora_peft"),
        ("train/weights_step2.safetensors", "train"),
    ] {
        let copy = Copy::new();
        let bytes = fs_err::read(copy.path(file)).unwrap();
        let tensors = SafeTensors::deserialize(&bytes).unwrap();
        for cut in tensors.names() {
            for axis in 0..tensors.tensor(cut).unwrap().shape().len() {
                let kept: Vec<(&str, TensorView<'_>)> = tensors
                    .iter()
                    .map(|(name, view)| {
                        let mut shape = view.shape().to_vec();
                        let mut data = view.data();
                        if name == cut {
                            // the last entry of the axis is lost; what is left need not make sense
                            data = &data[..data.len() / shape[axis] * (shape[axis] - 1)];
                            shape[axis] -= 1;
                        }
                        (name, TensorView::new(view.dtype(), shape, data).unwrap())
                    })
                    .collect();
                fs_err::write(copy.path(file), safetensors::serialize(kept, None).unwrap()).unwrap();
                let result = copy.check(group);
                assert!(!result.is_ok_and(|report| report.passed()), "{file} {cut}, axis {axis}");
            }
        }
    }
}
