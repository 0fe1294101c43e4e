//! Small inputs that ask for a lot. All are made when they are read; none lies in the repository.

mod make;
mod pictures;
mod texts;
mod uploads;
mod volumes;
mod weights;

use super::cases::Case;

pub(super) use volumes::{dicom, told};

/// All of them.
#[must_use]
pub fn bombs() -> Vec<Case> {
    let mut all = volumes::bombs();
    all.extend(pictures::bombs());
    all.extend(weights::bombs());
    all.extend(texts::bombs());
    all.extend(uploads::bombs());
    all
}
