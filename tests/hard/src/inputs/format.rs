//! A kind of file: good ones, ways to damage them, and the reader that users' files reach.

use anyhow::Context;

use super::formats;
use super::mutate::Random;

/// Readers are tried in so many ways, told by a number: frames, options, leniency.
pub const N_VARIANTS: u64 = 12;

/// A kind of file.
pub trait Format {
    /// Its name in the table and of its folder of regressions.
    fn name(&self) -> String;

    /// Good files; all of them are read before any is damaged.
    fn seeds(&self) -> &[Vec<u8>];

    /// A damaged file, from the seed of this number.
    fn damaged(&self, random: &mut Random, seed: usize) -> Vec<u8>;

    /// Reads a file with the options that `variant` stands for: `Ok` with a word for what came of it
    /// (`read`, or an error's name), `Err` if a promise was broken, as voxels that are not finite.
    ///
    /// # Errors
    /// What promise was broken.
    fn read(&mut self, bytes: &[u8], variant: u64) -> Result<String, String>;

    /// The most memory that reading so many bytes may take.
    fn limit_bytes(&self, n_bytes: u64) -> u64 {
        usual_limit_bytes(n_bytes)
    }
}

/// 64 MiB, and 64 times the input.
#[must_use]
pub(super) fn usual_limit_bytes(n_bytes: u64) -> u64 {
    (64 << 20) + 64 * n_bytes
}

/// What came of it: `read`, or the name of the error's variant and of those within it.
pub(super) fn outcome<T>(result: &Result<T, impl std::fmt::Debug>) -> String {
    match result {
        Ok(_) => "read".to_owned(),
        Err(error) => variant_name(error),
    }
}

/// The name of an enum's variant, with the name of the variant in it where it wraps another error.
fn variant_name(error: &impl std::fmt::Debug) -> String {
    let text = format!("{error:?}");
    let name = |text: &str| text.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default().to_owned();
    let outer = name(&text);
    let inner = text.split_once("source: ").map(|(_, inner)| name(inner)).filter(|inner| !inner.is_empty());
    match inner {
        Some(inner) => format!("{outer}.{inner}"),
        None => outer,
    }
}

/// Names of all formats, in the order of the table.
///
/// # Errors
/// If good files cannot be read.
pub fn names() -> anyhow::Result<Vec<String>> {
    formats::names()
}

/// A format by its name.
///
/// # Errors
/// If there is no such format, or its good files cannot be made.
pub fn named(name: &str) -> anyhow::Result<Box<dyn Format>> {
    formats::open(name).with_context(|| format!("cannot make the good files of `{name}`"))
}
