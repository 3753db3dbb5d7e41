//! The engines: places that keep state, each behind the same five verbs.
//!
//! Every engine is a room of its own with the same file names: `engine.rs` holds the verbs, `movable.rs` what a
//! live move needs, `config.rs` what can be set. None knows another; they share the announcement [`hub`] alone.

pub mod hub;
pub mod memory;
pub mod sql;
