//! Behaviour around any engine: metrics, deadline.
