//! The front door: configuration to running system.

pub mod config;
pub mod secrets;
pub mod telemetry;

pub use config::Config;
