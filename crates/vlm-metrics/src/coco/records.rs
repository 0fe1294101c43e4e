//! What stands in COCO's files.

use serde::{Deserialize, Serialize};

/// A file of ground truth.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct CocoGroundTruth {
    /// What the file is.
    #[serde(default)]
    pub info: CocoInfo,
    /// All images, also those where nothing is.
    pub images: Vec<CocoImage>,
    /// Kinds of targets.
    pub categories: Vec<CocoCategory>,
    /// True boxes.
    pub annotations: Vec<CocoAnnotation>,
}

/// What a file is.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct CocoInfo {
    /// In words.
    pub description: String,
}

/// An image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CocoImage {
    /// Its number, from 1.
    pub id: u64,
    /// Width in px.
    pub width: u32,
    /// Height in px.
    pub height: u32,
    /// Its name.
    pub file_name: String,
}

/// A kind of target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CocoCategory {
    /// Its number, from 1.
    pub id: u64,
    /// Its name.
    pub name: String,
}

/// A true box.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CocoAnnotation {
    /// Its number. pycocotools takes a match with number 0 for none, so numbers start at 1.
    pub id: u64,
    /// Its image.
    pub image_id: u64,
    /// Its kind.
    pub category_id: u64,
    /// `[x, y, width, height]` in px.
    pub bbox: [f64; 4],
    /// In square px: decides between small, medium and large.
    pub area: f64,
    /// 1 for a crowd, which is never missed and may be found more than once.
    #[serde(default)]
    pub iscrowd: u8,
}

/// One entry of a file of results, which is a list of these.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CocoDetection {
    /// Its image.
    pub image_id: u64,
    /// Its kind.
    pub category_id: u64,
    /// `[x, y, width, height]` in px.
    pub bbox: [f64; 4],
    /// Higher is surer.
    pub score: f64,
}
