//! The front door: configuration to running system.

pub mod clock;
pub mod config;
pub mod secrets;
pub mod telemetry;

pub use clock::SystemClock;
pub use config::Config;
