//! Which engine serves a bucket.
