//! COCO's files and COCO's average precision.
//!
//! [`from_cases`] makes the two files that pycocotools reads, [`evaluate`] scores them as `COCOeval` with `bbox` does.
//! Boxes are `[x, y, width, height]` in px on the continuous axis; a true box covers `[x_min, x_max + 1)`.

mod build;
mod evaluate;
mod matching;
mod records;

pub use build::from_cases;
pub use evaluate::{CocoScores, evaluate};
pub use records::{CocoAnnotation, CocoCategory, CocoDetection, CocoGroundTruth, CocoImage, CocoInfo};
