//! A language model alone: logits, losses, generation and its cache.

use std::path::Path;

use burn::tensor::{Device, Tensor};
use serde::Deserialize;
use vlm_model::{AttentionMask, Labels, Llama, LlamaConfig, MiniGpt, Precision};

use super::decode;
use crate::check::Checker;
use crate::error::InGroup;
use crate::golden_file::{Array, GoldenFile, read_json};
use crate::model_files::{around_llama, llama_files, load_model};
use crate::{Tolerance, VerifyError};

/// `cases.json`: token ids of generation, and losses.
#[derive(Debug, Deserialize)]
struct Cases {
    generate_single: Option<Vec<u32>>,
    generate_batch: Option<Vec<Vec<u32>>>,
    generate_eos: Option<Vec<Vec<u32>>>,
    generate_eos_token: Option<u32>,
    generate_eos_pad_token: Option<u32>,
}

pub(crate) fn check(folder: &Path, device: &Device, checker: &mut Checker<'_>) -> Result<(), VerifyError> {
    let config = read_config(folder)?;
    check_config(folder, &config, checker)?;
    let whole = around_llama(config);
    let model = load_model(&llama_files(folder), &whole, checker.precision, device)?;
    let file = GoldenFile::open(&folder.join("cases.safetensors"))?;
    let mut cases: Vec<&str> = file.names().filter_map(|name| name.strip_suffix(".labels")).collect();
    cases.sort_unstable();
    for case in cases {
        check_case(folder, &model, &file, case, device, checker)?;
    }
    let model = model.language_model;
    let json = folder.join("cases.json");
    if json.is_file() {
        check_generation(folder, &model, &file, &read_json(&json)?, device, checker)?;
    }
    check_cache(folder, &model, &file, device, checker)
}

/// Reads a folder's `config.json`.
pub(crate) fn read_config(folder: &Path) -> Result<LlamaConfig, VerifyError> {
    read_named_config(folder, "config.json")
}

/// Compares `config.json` with what transformers 5 writes, where that is there.
pub(crate) fn check_config(
    folder: &Path,
    config: &LlamaConfig,
    checker: &mut Checker<'_>,
) -> Result<(), VerifyError> {
    let newer = "config.transformers5.json";
    if folder.join(newer).is_file() {
        checker.equal(newer, &read_named_config(folder, newer)?, config);
    }
    Ok(())
}

fn read_named_config(folder: &Path, name: &str) -> Result<LlamaConfig, VerifyError> {
    let text = fs_err::read_to_string(folder.join(name))?;
    LlamaConfig::from_hf_json(&text).in_group(folder)
}

fn check_case(
    folder: &Path,
    whole: &MiniGpt,
    file: &GoldenFile,
    case: &str,
    device: &Device,
    checker: &mut Checker<'_>,
) -> Result<(), VerifyError> {
    let name = |part: &str| format!("{case}.{part}");
    let model = &whole.language_model;
    let mask_values = file.need_integers(&name("attention_mask"), 2)?;
    let mask = mask_values.mask();
    file.check_shape(
        &name("inputs_embeds"),
        &[mask.batch(), mask.n_positions(), model.config().hidden_size],
    )?;
    for ids in ["position_ids", "position_ids_generate"].map(name) {
        if file.has(&ids) {
            file.check_shape(&ids, &mask_values.shape)?;
        }
    }
    let embeddings: Tensor<3> = file.need_floats(&name("inputs_embeds"), 3)?.tensor(device);
    let context = match file.integers(&name("position_ids"), 2)? {
        Some(positions) => model.context_at(&mask, &positions_of(&positions)),
        None => model.context(&mask),
    };
    let hidden = model.blocks(embeddings.clone(), &context.in_group(folder)?, None);
    let normed = model.final_norm(hidden.clone());
    let logits = model.head(normed.clone());
    if let Some(expected) = file.floats(&name("hidden_last"), 3)? {
        checker.real_positions(&name("hidden_last"), Tolerance::Hidden, normed, &expected, &mask_values);
    }
    if let Some(expected) = file.floats(&name("logits"), 3)? {
        let kind = Tolerance::LlamaLogits;
        checker.real_positions(&name("logits"), kind, logits, &expected, &mask_values);
    }
    let labels = Labels::new(file.need_integers(&name("labels"), 2)?.rows());
    if let Some(expected) = file.floats(&name("loss"), 1)? {
        let loss: f32 = whole.loss(hidden, &labels).in_group(folder)?.into_scalar();
        let expected = expected.values.first().copied().unwrap_or(f32::NAN);
        checker.number(&name("loss"), Tolerance::Loss, f64::from(loss), f64::from(expected));
    }
    let counted = name("position_ids_generate");
    if let Some(positions) = file.integers(&counted, 2)? {
        check_positions(&counted, &mask, &mask_values, &positions, checker);
    }
    if let Some(expected) = file.floats(&name("logits_generate"), 3)? {
        let context = model.context_at(&mask, &mask.counted_positions()).in_group(folder)?;
        let logits = model.logits(embeddings, &context, None);
        let kind = Tolerance::LlamaLogits;
        checker.real_positions(&name("logits_generate"), kind, logits, &expected, &mask_values);
    }
    Ok(())
}

/// Positions counted from the mask against golden ones, at real positions.
fn check_positions(
    name: &str,
    mask: &AttentionMask,
    mask_values: &Array<i64>,
    expected: &Array<i64>,
    checker: &mut Checker<'_>,
) {
    let counted = mask.counted_positions().concat();
    let real = |positions: Vec<usize>| -> Vec<usize> {
        positions
            .into_iter()
            .zip(&mask_values.values)
            .filter(|(_, real)| **real != 0)
            .map(|(p, _)| p)
            .collect()
    };
    checker.equal(name, &real(counted), &real(positions_of(expected).concat()));
}

fn positions_of(ids: &Array<i64>) -> Vec<Vec<usize>> {
    let row = |row: Vec<i64>| row.into_iter().map(|id| usize::try_from(id).unwrap_or(0)).collect();
    ids.rows().into_iter().map(row).collect()
}

fn check_generation(
    folder: &Path,
    model: &Llama,
    file: &GoldenFile,
    cases: &Cases,
    device: &Device,
    checker: &mut Checker<'_>,
) -> Result<(), VerifyError> {
    let Some(embeddings) = file.floats("gen.inputs_embeds", 3)? else { return Ok(()) };
    let embeddings: Tensor<3> = embeddings.tensor(device);
    let mask_values = need_prompt_mask(model, file)?;
    let mask = mask_values.mask();
    if let Some(positions) = file.integers("gen.position_ids_prefill", 2)? {
        check_positions("gen.position_ids_prefill", &mask, &mask_values, &positions, checker);
    }
    if let Some(expected) = file.integers("gen.position_ids_steps", 2)? {
        // the last token is never fed
        let n_fed = cases.generate_batch.as_ref().map_or(expected.shape[0] + 1, |rows| shortest(rows)) - 1;
        let steps = (1..=n_fed).map(|n| decode::last_positions(&mask.extended(n)).concat());
        checker.equal("gen.position_ids_steps", &steps.collect::<Vec<_>>(), &positions_of(&expected));
    }
    if checker.precision != Precision::F32 {
        checker.skip("generated tokens", decode::ROUNDED_TOKENS);
    } else {
        check_tokens(model, &embeddings, &mask, cases, checker);
    }
    let (Some(batch), Some(expected)) = (&cases.generate_batch, file.floats("gen.logits", 3)?) else {
        return Ok(());
    };
    let (prompt, steps) =
        decode::feed_tokens(model, embeddings, &mask, &decode::without_last(batch)).in_group(folder)?;
    checker.tensor("gen.logits", Tolerance::LlamaLogits, decode::stack_last(prompt, steps), &expected);
    Ok(())
}

/// Compares freely generated tokens.
fn check_tokens(
    model: &Llama,
    embeddings: &Tensor<3>,
    mask: &AttentionMask,
    cases: &Cases,
    checker: &mut Checker<'_>,
) {
    if let Some(expected) = &cases.generate_single {
        let first = embeddings.clone().narrow(0, 0, 1);
        let tokens = decode::greedy(model, first, &mask.select(&[0]), expected.len(), None);
        checker.computed("generate_single", tokens, &vec![expected.clone()]);
    }
    let Some(batch) = &cases.generate_batch else { return };
    let n_steps = batch.first().map_or(0, Vec::len);
    let tokens = decode::greedy(model, embeddings.clone(), mask, n_steps, None);
    checker.computed("generate_batch", tokens, batch);
    if let (Some(expected), Some(eos), Some(pad)) =
        (&cases.generate_eos, cases.generate_eos_token, cases.generate_eos_pad_token)
    {
        let tokens = decode::greedy(model, embeddings.clone(), mask, n_steps, Some((eos, pad)));
        checker.computed("generate_eos", tokens, expected);
    }
}

/// The mask of the prompt that is continued, after checking that it fits the prompt.
fn need_prompt_mask(model: &Llama, file: &GoldenFile) -> Result<Array<i64>, VerifyError> {
    let mask = file.need_integers("gen.attention_mask", 2)?;
    file.check_shape("gen.inputs_embeds", &[mask.shape[0], mask.shape[1], model.config().hidden_size])?;
    Ok(mask)
}

fn check_cache(
    folder: &Path,
    model: &Llama,
    file: &GoldenFile,
    device: &Device,
    checker: &mut Checker<'_>,
) -> Result<(), VerifyError> {
    let kind = Tolerance::LlamaLogits;
    if let (Some(embeddings), Some(tokens)) =
        (file.floats("gen.inputs_embeds", 3)?, file.integers("kv.tokens", 2)?)
    {
        let embeddings: Tensor<3> = embeddings.tensor(device);
        let mask = need_prompt_mask(model, file)?;
        file.check_shape("kv.tokens", &[mask.shape[0], tokens.shape[1]])?;
        if let Some(expected) = file.floats("kv.logits_steps", 3)? {
            let tokens: Vec<Vec<u32>> = tokens.rows().iter().map(|row| ids(row)).collect();
            // the last token need not be fed
            let all = expected.shape[0] == shortest(&tokens);
            let fed = if all { tokens } else { decode::without_last(&tokens) };
            let (prompt, steps) =
                decode::feed_tokens(model, embeddings.clone(), &mask.mask(), &fed).in_group(folder)?;
            if steps.is_empty() {
                checker.failed("kv.logits_steps", kind, "no token to feed".to_owned());
            } else {
                checker.tensor("kv.logits_steps", kind, Tensor::stack::<3>(steps, 0), &expected);
            }
            if let Some(expected) = file.floats("kv.logits_prefill", 3)? {
                checker.real_positions("kv.logits_prefill", kind, prompt, &expected, &mask);
            }
        }
        let first = embeddings.narrow(0, 0, 1);
        let (keys, values) = decode::first_block_cache(model, first).in_group(folder)?;
        for (name, actual) in [("kv.layer0_keys", keys), ("kv.layer0_values", values)] {
            if let Some(expected) = file.floats(name, 4)? {
                checker.tensor(name, Tolerance::Attention, actual, &expected);
            }
        }
    }
    if let Some(expected) = file.floats("kv.case_a_logits_steps", 3)? {
        let embeddings = file.need_floats("a.inputs_embeds", 3)?;
        let [batch, n] = [embeddings.shape[0], embeddings.shape[1]];
        file.check_shape("a.inputs_embeds", &[batch, n, model.config().hidden_size])?;
        let embeddings: Tensor<3> = embeddings.tensor(device);
        let logits = decode::feed_positions(model, &embeddings).in_group(folder)?;
        checker.tensor("kv.case_a_logits_steps", kind, logits, &expected);
    }
    Ok(())
}

/// Tokens of the shortest row, at least one.
fn shortest(rows: &[Vec<u32>]) -> usize {
    rows.iter().map(Vec::len).min().unwrap_or(0).max(1)
}

/// Token ids; what is no id becomes one that no vocabulary has.
pub(crate) fn ids(row: &[i64]) -> Vec<u32> {
    row.iter().map(|id| u32::try_from(*id).unwrap_or(u32::MAX)).collect()
}
