//! The state stores: cache, sessions, limits.
//!
//! A store turns typed values and rules into items and commits of the contract (`statehold-core`). It is written
//! once and behaves the same on every engine; it never sees an engine by name, an epoch or a wire.

#[cfg(test)]
mod bed;
pub mod cache;
pub mod contend;
mod home;
pub mod limits;
pub mod observe;
pub mod sessions;
#[cfg(test)]
pub(crate) mod testing;
pub mod value;

pub use home::Home;
