//! The front door: configuration to running system.

pub mod clock;
pub mod config;
mod directory;
pub mod doctor;
mod engines;
mod fault;
pub mod health;
mod homes;
pub mod jobs;
mod open;
pub mod secrets;
mod status;
pub mod telemetry;
#[cfg(test)]
mod tests;

pub use clock::SystemClock;
pub use config::Config;
pub use fault::{OpenError, OpenKind};
pub use homes::StoreHome;
pub use open::Statehold;
pub use status::Status;

/// The product's version.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
