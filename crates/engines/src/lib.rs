//! The engines: memory and embedded.
