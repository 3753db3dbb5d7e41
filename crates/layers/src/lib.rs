//! Behaviour around any engine: metrics, deadline.
//!
//! Every layer writes out all five verbs: nothing falls through a default body. Which layer stands where is decided by
//! [`statehold_core::Slot`], not by the order of calls.

mod deadline;
mod metrics;

pub use deadline::DeadlineLayer;
pub use metrics::{ENGINE_OPERATION_DURATION, ENGINE_OPERATIONS, MetricsLayer};
