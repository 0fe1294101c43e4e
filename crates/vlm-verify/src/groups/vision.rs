//! An image encoder alone, under both of its published namings.

use std::path::{Path, PathBuf};

use burn::tensor::{Device, Tensor};
use serde::Deserialize;
use vlm_model::{LayerNorm, MiniGpt, ModelFiles, VisionConfig, VisionTower, resize_position_embedding};

use crate::check::Checker;
use crate::golden_file::{Array, GoldenFile, read_json};
use crate::model_files::{around_vision, first_file, load_model};
use crate::{Tolerance, VerifyError};

/// The sizes in transformers' `config.json` of a BLIP-2 vision model.
#[derive(Debug, Deserialize)]
struct HfVision {
    hidden_size: usize,
    image_size: usize,
    intermediate_size: usize,
    layer_norm_eps: f64,
    num_attention_heads: usize,
    num_hidden_layers: usize,
    patch_size: usize,
}

pub(crate) fn check(folder: &Path, device: &Device, checker: &mut Checker<'_>) -> Result<(), VerifyError> {
    let cases = GoldenFile::open(&folder.join("cases.safetensors"))?;
    let eva = first_file(folder, &["eva/visual_encoder.safetensors"]);
    let hf = first_file(folder, &["hf/model.safetensors"]);
    let settings = folder.join("hf/config.json");
    let config = if settings.is_file() {
        let hf: HfVision = read_json(&settings)?;
        VisionConfig {
            image_size: hf.image_size,
            patch_size: hf.patch_size,
            stem_channels: Vec::new(),
            width: hf.hidden_size,
            depth: hf.num_hidden_layers,
            n_heads: hf.num_attention_heads,
            mlp_hidden: hf.intermediate_size,
            norm_eps: hf.layer_norm_eps,
            ln_vision_eps: 1e-5,
        }
    } else {
        let Some(eva) = &eva else {
            let what = "`hf/config.json` or `eva/visual_encoder.safetensors`".to_owned();
            return Err(VerifyError::MissingPart { path: folder.to_path_buf(), what });
        };
        sizes_of(&GoldenFile::open(eva)?, &cases)?
    };
    let ln_vision = first_file(folder, &["eva/ln_vision.safetensors"]);
    let mut resized_with = None;
    for (names, file, norm) in [("eva", eva, ln_vision), ("hf", hf, None)] {
        let Some(file) = file else { continue };
        let model = load(file, norm, &config, device, checker)?;
        check_tower(names, &model, &cases, device, checker)?;
        resized_with.get_or_insert(model);
    }
    let positions = folder.join("pos_embed.safetensors");
    if let (Some(model), true) = (resized_with, positions.is_file()) {
        check_positions(model, &GoldenFile::open(&positions)?, device, checker)?;
    }
    Ok(())
}

fn load(
    vision_tower: PathBuf,
    ln_vision: Option<PathBuf>,
    config: &VisionConfig,
    device: &Device,
    checker: &Checker<'_>,
) -> Result<MiniGpt, VerifyError> {
    let files = ModelFiles { vision_tower: Some(vision_tower), ln_vision, ..ModelFiles::default() };
    load_model(&files, &around_vision(config.clone()), checker.precision, device)
}

/// Sizes from the tensors themselves; the number of heads from golden probabilities.
fn sizes_of(file: &GoldenFile, cases: &GoldenFile) -> Result<VisionConfig, VerifyError> {
    let shape = |file: &GoldenFile, name: &str| -> Result<Vec<usize>, VerifyError> {
        file.shape(name).map(<[usize]>::to_vec).ok_or_else(|| file.missing(name))
    };
    let axis = |shape: &[usize], index: usize| shape.get(index).copied().unwrap_or(0);
    let patch = shape(file, "patch_embed.proj.weight")?;
    let n_patches = axis(&shape(file, "pos_embed")?, 1).saturating_sub(1);
    let depth = (0..).take_while(|index| file.has(&format!("blocks.{index}.norm1.weight"))).count();
    Ok(VisionConfig {
        image_size: n_patches.isqrt() * axis(&patch, 3),
        patch_size: axis(&patch, 3),
        stem_channels: Vec::new(),
        width: axis(&patch, 0),
        depth,
        n_heads: axis(&shape(cases, "attention_probs.0")?, 1),
        mlp_hidden: axis(&shape(file, "blocks.0.mlp.fc1.weight")?, 0),
        norm_eps: 1e-6,
        ln_vision_eps: 1e-5,
    })
}

/// The same weights with another epsilon.
fn norm_with_eps(model: &MiniGpt, eps: f64, device: &Device) -> LayerNorm {
    let [width] = model.ln_vision.gamma.dims();
    let mut norm = LayerNorm::empty(width, eps, device);
    norm.gamma = model.ln_vision.gamma.clone();
    norm.beta = model.ln_vision.beta.clone();
    norm
}

/// The epsilon at the end of a golden name, `..._1e-5`.
fn eps_of(name: &str) -> Option<f64> {
    name.rsplit_once('_')?.1.parse().ok()
}

fn check_tower(
    names: &str,
    model: &MiniGpt,
    cases: &GoldenFile,
    device: &Device,
    checker: &mut Checker<'_>,
) -> Result<(), VerifyError> {
    let case = |part: &str| format!("{names}: {part}");
    let kind = Tolerance::Hidden;
    let tower = &model.vision_tower;
    let size = model.config().vision.image_size;
    let pixels = cases.need_floats("pixel_values", 4)?;
    cases.check_shape("pixel_values", &[pixels.shape[0], 3, size, size])?;
    let pixels: Tensor<4> = pixels.tensor(device);
    let mut x = tower.embed(pixels);
    if let Some(expected) = cases.floats("embeddings", 3)? {
        checker.tensor(&case("embeddings"), kind, x.clone(), &expected);
    }
    for (index, block) in tower.blocks.iter().enumerate() {
        let probabilities = format!("attention_probs.{index}");
        if let Some(expected) = cases.floats(&probabilities, 4)? {
            let actual = block.attn.probabilities(block.norm1.forward(x.clone()));
            checker.tensor(&case(&probabilities), Tolerance::Attention, actual, &expected);
        }
        x = block.forward(x);
        let after = format!("after_block.{index}");
        if let Some(expected) = cases.floats(&after, 3)? {
            checker.tensor(&case(&after), kind, x.clone(), &expected);
        }
    }
    if let Some(expected) = cases.floats("tokens", 3)? {
        // transformers gives its last norm the blocks' epsilon
        let norm = norm_with_eps(model, model.config().vision.norm_eps, device);
        checker.tensor(&case("tokens"), kind, norm.forward(x.clone()), &expected);
    }
    for name in cases.names().filter(|name| name.starts_with("tokens_ln_eps_")) {
        let (Some(eps), Some(expected)) = (eps_of(name), cases.floats(name, 3)?) else { continue };
        let norm = norm_with_eps(model, eps, device);
        checker.tensor(&case(name), kind, norm.forward(x.clone()), &expected);
    }
    let Some(input) = cases.floats("ln_eps.input", 2)? else { return Ok(()) };
    cases.check_shape("ln_eps.input", &[input.shape[0], model.config().vision.width])?;
    for name in cases.names().filter(|name| name.starts_with("ln_eps.output_")) {
        let (Some(eps), Some(expected)) = (eps_of(name), cases.floats(name, 2)?) else { continue };
        let norm = norm_with_eps(model, eps, device);
        checker.tensor(&case(name), kind, norm.forward(input.tensor::<2>(device)), &expected);
    }
    Ok(())
}

/// Resized position embeddings, and the whole model at another image size.
fn check_positions(
    model: MiniGpt,
    file: &GoldenFile,
    device: &Device,
    checker: &mut Checker<'_>,
) -> Result<(), VerifyError> {
    let names: Vec<String> = file.names().map(str::to_owned).collect();
    for name in &names {
        let Some((from, to)) = source_of(name, &names) else { continue };
        let source = file.need_floats(&from, 3)?;
        let expected = file.need_floats(name, 3)?;
        match resized(&source, to) {
            Ok(actual) => checker.values(name, Tolerance::PositionEmbedding, &actual, &expected),
            Err(error) => checker.failed(name, Tolerance::PositionEmbedding, error.to_string()),
        }
    }
    for name in &names {
        let Some(size) = name.strip_prefix("pixel_values_").and_then(|size| size.parse::<usize>().ok())
        else {
            continue;
        };
        let tokens = format!("tokens_{size}");
        let Some(expected) = file.floats(&tokens, 3)? else { continue };
        let grid = size / model.config().vision.patch_size;
        let size = grid * model.config().vision.patch_size;
        let pixels = file.need_floats(name, 4)?;
        file.check_shape(name, &[pixels.shape[0], 3, size, size])?;
        let own = crate::parameters::read_back(model.vision_tower.pos_embed.val());
        match own.and_then(|own| resized(&own, grid)) {
            Ok(positions) => {
                let mut tower: VisionTower = model.vision_tower.clone();
                tower.pos_embed = tower.pos_embed.map(|_| positions.tensor(device));
                let pixels: Tensor<4> = pixels.tensor(device);
                let norm = norm_with_eps(&model, model.config().vision.norm_eps, device);
                let actual = norm.forward(tower.forward(pixels));
                checker.tensor(&tokens, Tolerance::Hidden, actual, &expected);
            }
            Err(error) => checker.failed(&tokens, Tolerance::Hidden, error.to_string()),
        }
    }
    Ok(())
}

fn resized(source: &Array<f32>, grid: usize) -> Result<Array<f32>, vlm_model::ModelError> {
    let width = source.shape.last().copied().unwrap_or(0);
    let values = resize_position_embedding(&source.values, width, grid)?;
    Ok(Array { shape: vec![1, values.len() / width.max(1), width], values })
}

/// The table that a resized one was made from, and its new grid: `NAME_8x8` comes from the
/// family's smallest, `NAME_8x8_to_4x4` says where from.
fn source_of(name: &str, names: &[String]) -> Option<(String, usize)> {
    let grid = |text: &str| -> Option<usize> {
        let (rows, cols) = text.split_once('x')?;
        (rows == cols).then(|| rows.parse().ok()).flatten()
    };
    if let Some((from, to)) = name.split_once("_to_") {
        return Some((from.to_owned(), grid(to)?));
    }
    let (family, size) = name.rsplit_once('_')?;
    let to = grid(size)?;
    let others = names.iter().filter_map(|other| other.strip_prefix(family)?.strip_prefix('_'));
    let smallest = others.filter_map(grid).min()?;
    (smallest < to).then(|| (format!("{family}_{smallest}x{smallest}"), to))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_resized_tables_come_from() {
        let names: Vec<String> =
            ["vit_4x4", "vit_8x8", "r_4x4", "r_7x7", "r_8x8_to_4x4"].map(str::to_owned).into();
        for (name, expected) in [
            ("vit_4x4", None),
            ("vit_8x8", Some(("vit_4x4", 8))),
            ("r_7x7", Some(("r_4x4", 7))),
            ("r_8x8_to_4x4", Some(("r_8x8", 4))),
            ("pixel_values_112", None),
            ("tokens", None),
        ] {
            let expected = expected.map(|(from, to)| (from.to_owned(), to));
            assert_eq!(source_of(name, &names), expected, "{name}");
        }
        assert_eq!(eps_of("ln_eps.output_1e-5"), Some(1e-5));
    }
}
