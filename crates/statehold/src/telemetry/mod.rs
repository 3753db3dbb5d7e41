//! What the product tells about itself: logs, metrics, and the mask in front of both.

mod level;
mod mask;

pub(crate) use level::is_level;
pub use mask::mask;
