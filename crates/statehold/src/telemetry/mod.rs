//! What the product tells about itself: logs, metrics, traces, and the mask in front of them.

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
mod traces;

pub use histogram::BUCKETS;
pub(crate) use level::is_level;
pub use logs::{InstallError, Logs};
pub use mask::mask;
pub use names::{METRICS, Metric, MetricKind, reference};
pub use panic::install_panic_hook;
pub use recorder::{Metrics, SERIES_MAX};
pub use traces::{TraceParent, Traces, TracesError, request_begins, request_ends};
