//! Ends calls whose time ran out.

mod engine;
mod policy;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use statehold_core::{Engine, Layer, Slot};

use engine::Timed;

/// Ends calls at the caller's deadline, and at the engine's own longest time.
///
/// A read ends with nothing changed. A commit that has not begun ends with nothing changed; one that has begun ends as
/// `Unknown` for its caller and is left running to its end, never dropped half-way, up to a bounded number of those.
#[derive(Clone, Copy, Debug)]
pub struct DeadlineLayer {
    call_max: Duration,
}

impl DeadlineLayer {
    /// A layer that lets no call take longer than `call_max`, whatever its caller says.
    pub const fn new(call_max: Duration) -> Self {
        Self { call_max }
    }
}

impl Layer for DeadlineLayer {
    fn slot(&self) -> Slot {
        Slot::Deadline
    }

    fn wrap(&self, inner: Arc<dyn Engine>) -> Arc<dyn Engine> {
        Arc::new(Timed::new(inner, self.call_max))
    }
}
