//! The state stores: cache, sessions, limits.
