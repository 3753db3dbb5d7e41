//! The embedded engine: one SQLite file in WAL mode, one writer thread that commits in groups, readers beside it.
//!
//! - `engine.rs` holds the verbs, `movable.rs` what a live move needs, `open.rs` the start and the stop.
//! - `writer.rs` and `commit.rs` run on the writer thread alone; what they judge by is in `memory.rs`.
//! - `reads.rs` runs on readers, beside the writer.
//! - `history.rs` says which incarnation the file shows.

mod commit;
mod config;
mod engine;
mod history;
mod lock;
mod memory;
mod movable;
mod open;
#[cfg(test)]
mod plans;
mod reads;
mod rows;
mod scans;
mod schema;
mod sweep;
#[cfg(test)]
mod tests;
mod writer;

pub use config::{EmbeddedConfig, Synchronous};
pub use open::EmbeddedEngine;
