//! Which engine is a space's home, at which epoch, and how a caller that is behind learns it.

mod engine;
mod policy;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use statehold_core::{Engine, Movable};

pub use self::engine::{Placed, SETTLE_TRIES_MAX};

/// An engine as the front door has mounted it: the layers that callers go through, and the engine itself, where
/// controls are read and written.
#[derive(Clone, Debug)]
pub struct Mounted {
    /// The outermost layer.
    pub stack: Arc<dyn Engine>,
    /// The engine under the layers.
    pub engine: Arc<dyn Movable>,
}
