//! What the product tells about itself: logs, metrics, and the mask in front of both.

mod flood;
mod histogram;
mod level;
mod line;
mod logs;
mod mask;
mod names;
mod panic;
mod process;
mod recorder;

pub use histogram::BUCKETS;
pub(crate) use level::is_level;
pub use logs::{InstallError, Logs};
pub use mask::mask;
pub use names::{METRICS, Metric, MetricKind, reference};
pub use panic::install_panic_hook;
pub use recorder::{Metrics, SERIES_MAX};
