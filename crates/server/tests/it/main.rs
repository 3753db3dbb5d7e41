//! The server as its clients meet it: real sockets, real requests, a data directory of its own for every test.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod access;
mod cache;
mod connections;
mod document;
mod harness;
mod hostile;
mod input;
mod limits;
mod observe;
mod operations;
mod sessions;
mod stop;
