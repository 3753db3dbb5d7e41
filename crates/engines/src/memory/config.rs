//! What can be set.

use std::sync::Arc;

use statehold_core::VALUE_BYTES_MAX;

/// Bytes that all state may take, unless set otherwise.
pub const BYTES_MAX_DEFAULT: u64 = 512 << 20;
/// Bytes that one disposable space may take, unless set otherwise.
pub const DISPOSABLE_BYTES_MAX_DEFAULT: u64 = 256 << 20;

/// What can be set on a [`crate::memory::MemoryEngine`].
#[derive(Clone, Debug)]
pub struct MemoryConfig {
    /// The engine's name in the configuration.
    pub name: Arc<str>,
    /// Bytes that all state may take, as accounted: names, values and a fixed cost per item and partition.
    pub bytes_max: u64,
    /// Bytes that each disposable space may take of them; beyond it the space's least recently used items go.
    pub disposable_bytes_max: u64,
    /// Most bytes of an item's value, at most [`statehold_core::VALUE_BYTES_CEILING`].
    pub value_bytes_max: usize,
}

impl Default for MemoryConfig {
    fn default() -> Self {
        Self {
            name: Arc::from("memory"),
            bytes_max: BYTES_MAX_DEFAULT,
            disposable_bytes_max: DISPOSABLE_BYTES_MAX_DEFAULT,
            value_bytes_max: VALUE_BYTES_MAX,
        }
    }
}
