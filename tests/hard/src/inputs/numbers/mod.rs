//! Numbers that no scanner writes, each with the code of its error or warning; `docs/DATA.md` lists the codes.

mod tables;
mod volumes;

use super::cases::Case;

/// All of them.
#[must_use]
pub fn numbers() -> Vec<Case> {
    let mut all = volumes::numbers();
    all.extend(tables::numbers());
    all
}
