//! The EVA vision transformer.

mod attention;
mod block;
mod position;
mod stem;
mod tower;

pub use attention::VisionAttention;
pub use block::{VisionBlock, VisionMlp};
pub use position::resize_position_embedding;
pub use stem::StemConv;
pub use tower::{PatchEmbed, VisionTower};
