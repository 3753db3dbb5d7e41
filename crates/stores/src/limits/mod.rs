//! Limits: rate limits decided atomically in the engine.
