//! The laws of the engine contract, and what breaks them.
