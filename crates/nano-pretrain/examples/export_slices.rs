//! Writes the slices of a recipe as raw bytes, for trainers in other languages:
//! `export_slices FOLDER [RECIPE.toml]`.
//!
//! `train` and `held_out` get `images.u8` and `labels.u8`, `[n, size, size]`, and `patients.u32`,
//! `[n]`, little-endian; a recipe with pairs `pairs.u32` too, `[n_pairs, 2]`: a slice with a tumor and
//! the same one without.

use std::path::Path;
use std::sync::atomic::AtomicBool;

use nano_pretrain::{PhantomSlices, PretrainRecipe, make_phantoms};
use vlm_model::MiniGptConfig;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let folder = args.next().ok_or("expected FOLDER [RECIPE.toml]")?;
    let recipe = match args.next() {
        Some(file) => toml::from_str(&fs_err::read_to_string(file)?)?,
        None => PretrainRecipe::default(),
    };
    let (size, stop) = (MiniGptConfig::nano().vision.image_size, AtomicBool::new(false));
    let mut train = PhantomSlices::empty(size);
    for phantoms in &recipe.phantoms {
        train.append(make_phantoms(phantoms, size, &stop)?);
    }
    write(&Path::new(&folder).join("train"), &train)?;
    write(&Path::new(&folder).join("held_out"), &make_phantoms(&recipe.held_out, size, &stop)?)?;
    Ok(())
}

fn write(folder: &Path, slices: &PhantomSlices) -> std::io::Result<()> {
    fs_err::create_dir_all(folder)?;
    fs_err::write(folder.join("images.u8"), &slices.images)?;
    fs_err::write(folder.join("labels.u8"), &slices.labels)?;
    let patients: Vec<u8> = slices.patients.iter().flat_map(|patient| patient.to_le_bytes()).collect();
    fs_err::write(folder.join("patients.u32"), patients)?;
    let pairs: Vec<u8> = slices.pairs.as_flattened().iter().flat_map(|slice| slice.to_le_bytes()).collect();
    fs_err::write(folder.join("pairs.u32"), pairs)
}
