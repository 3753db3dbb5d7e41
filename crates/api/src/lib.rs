//! Requests, replies and problem codes.
