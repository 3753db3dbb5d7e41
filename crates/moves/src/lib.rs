//! Which engine serves a bucket.

pub mod placement;
