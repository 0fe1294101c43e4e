//! Which picture of which image: one number for the training loop.

use vlm_train::ImageId;

use crate::Stage;

const NUMBER_BITS: u32 = 28;
const NUMBERS: u32 = 1 << NUMBER_BITS;

/// An image of the table, and which of its augmented views.
///
/// View 0 is the image as it is; another view is augmented by draws keyed by its number, so that
/// whoever knows the number knows the picture. Stages augment differently: the number begins with
/// theirs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct View {
    /// Place in the table; [`BLANK`] for the control image.
    pub(crate) image: u32,
    /// 0, or the number of an augmentation.
    pub(crate) view: u32,
}

/// Stands where the number of a view has its stage, for the fixed views that an answer is averaged over.
const LOOKS: u32 = 7;

/// The place of an image without content.
pub(crate) const BLANK: u32 = u32::MAX;

impl View {
    pub(crate) fn plain(image: u32) -> Self {
        Self { image, view: 0 }
    }

    /// View `number` (from 0, repeating after 2^28) of a stage.
    pub(crate) fn of_stage(image: u32, stage: Stage, number: u64) -> Self {
        let number = 1 + u32::try_from(number % u64::from(NUMBERS - 1)).unwrap_or(0);
        Self { image, view: (stage as u32) << NUMBER_BITS | number }
    }

    /// Fixed view `number` of those that answers are averaged over; 0 is the image as it is.
    pub(crate) fn look(image: u32, number: u32) -> Self {
        Self { image, view: if number == 0 { 0 } else { LOOKS << NUMBER_BITS | (number % NUMBERS) } }
    }

    /// The number of a fixed view, if it is one.
    pub(crate) fn look_number(self) -> Option<u32> {
        (self.view >> NUMBER_BITS == LOOKS).then_some(self.view % NUMBERS)
    }

    /// The stage that a changed view is of.
    pub(crate) fn stage_place(self) -> usize {
        (self.view >> NUMBER_BITS) as usize
    }

    pub(crate) fn id(self) -> ImageId {
        ImageId(u64::from(self.view) << 32 | u64::from(self.image))
    }
}

impl From<ImageId> for View {
    #[expect(clippy::cast_possible_truncation, reason = "the two halves of the number")]
    fn from(id: ImageId) -> Self {
        Self { image: id.0 as u32, view: (id.0 >> 32) as u32 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_round_trip() {
        for view in [View::plain(0), View { image: 7, view: 3 }, View { image: BLANK, view: u32::MAX }] {
            assert_eq!(View::from(view.id()), view);
        }
        assert_eq!(View::plain(5).id(), ImageId(5));
        let organs = View::of_stage(5, Stage::Organs, 0);
        assert_eq!((organs.stage_place(), organs.image, organs.look_number()), (3, 5, None));
        assert_eq!(View::look(5, 0), View::plain(5));
        assert_eq!((View::look(5, 4).look_number(), View::plain(5).look_number()), (Some(4), None));
        assert_ne!(organs, View::of_stage(5, Stage::Organs, 1));
        assert_ne!(View::of_stage(5, Stage::PancreasBox, 0), View::plain(5));
    }
}
