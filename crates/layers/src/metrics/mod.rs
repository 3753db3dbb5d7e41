//! Counts, times and traces every call of an engine, and warns of slow ones.

mod engine;
mod policy;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use statehold_core::{Engine, Layer, Slot};

use engine::Metered;

/// Counter: `engine`, `kind`, `operation`, `outcome`.
pub const ENGINE_OPERATIONS: &str = "statehold_engine_operations_total";
/// Histogram, seconds: `engine`, `kind`, `operation`.
pub const ENGINE_OPERATION_DURATION: &str = "statehold_engine_operation_duration_seconds";

/// Counts and times every call of an engine. Handles are registered when the layer is put around the engine, so
/// the recorder must be installed before; a call looks nothing up.
#[derive(Clone, Copy, Debug, Default)]
pub struct MetricsLayer;

impl Layer for MetricsLayer {
    fn slot(&self) -> Slot {
        Slot::Metrics
    }

    fn wrap(&self, inner: Arc<dyn Engine>) -> Arc<dyn Engine> {
        Arc::new(Metered::new(inner))
    }
}
