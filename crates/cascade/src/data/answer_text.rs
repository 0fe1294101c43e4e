//! The text of an answer.

use serde::{Deserialize, Serialize};
use vlm_metrics::{TargetEdges, covered_area};
use vlm_prompt::{BoxError, BoxFormat, PixelBox, classification_answer};

use super::sample::Truth;

/// How boxes become text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnswerStyle {
    /// The grid.
    pub format: BoxFormat,
    /// Which edges are written: as stored (published, largest pixel inside) or of the area that is
    /// covered, `[x_min, x_max + 1)`.
    pub edges: TargetEdges,
}

impl AnswerStyle {
    /// The text of a sample's answer. `change` moves a box on the continuous axis, as augmented
    /// images need.
    ///
    /// # Errors
    /// [`BoxError`] for an image without pixels.
    ///
    /// # Source
    /// SPEC 2.4.
    pub(crate) fn text(
        self,
        truth: Truth,
        [width, height]: [u32; 2],
        change: impl Fn(PixelBox) -> PixelBox,
    ) -> Result<String, BoxError> {
        match truth {
            Truth::YesNo(is_yes) => Ok(classification_answer(is_yes).to_owned()),
            Truth::Box(bbox) => {
                let stored = PixelBox::from(<[u32; 4]>::from(bbox));
                let target = match self.edges {
                    TargetEdges::Stored => stored,
                    TargetEdges::Covered => covered_area(stored),
                };
                self.format.encode_text(change(target), width, height)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boxes_are_written_by_either_convention() {
        let stored = AnswerStyle { format: BoxFormat::Percent100, edges: TargetEdges::Stored };
        let covered = AnswerStyle { edges: TargetEdges::Covered, ..stored };
        let permille = AnswerStyle { format: BoxFormat::Permille1000, ..covered };
        let check = |style: AnswerStyle, edges: [u32; 4], expected: &str| {
            let text = style.text(Truth::Box(edges.into()), [512, 512], |pixels| pixels).unwrap();
            assert_eq!(text, expected, "{edges:?}");
        };
        // SPEC 2.4
        check(stored, [196, 235, 237, 260], "{<38><45><46><50>}");
        check(stored, [220, 238, 237, 255], "{<42><46><46><49>}");
        check(stored, [511, 511, 511, 511], "{<99><99><99><99>}");
        check(covered, [196, 235, 237, 260], "{<38><45><46><50>}");
        check(covered, [220, 238, 237, 255], "{<42><46><46><50>}");
        check(covered, [0, 0, 511, 511], "{<0><0><100><100>}");
        check(permille, [196, 235, 237, 260], "{<383><459><465><510>}");
        let yes = stored.text(Truth::YesNo(true), [1, 1], |pixels| pixels).unwrap();
        assert_eq!(yes, "yes");
        assert!(stored.text(Truth::Box([0; 4].into()), [0, 5], |pixels| pixels).is_err());
    }
}
