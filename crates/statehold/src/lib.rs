//! The front door: configuration to running system.
