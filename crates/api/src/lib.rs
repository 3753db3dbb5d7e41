//! Requests, replies and problem codes: what travels over HTTP, as types.
//!
//! Server, client and CLI share these, so a request that compiles is one the server understands. Requests refuse
//! unknown fields; an optional field may be absent or `null`, which mean the same. Nothing here does I/O.

pub mod cache;
pub mod common;
pub mod keys;
pub mod limits;
pub mod namespaces;
pub mod ops;
pub mod problem;
pub mod sessions;
pub mod values;

pub use common::{Page, PageQuery};
pub use problem::{Code, FieldError, ProblemBody};
pub use values::{Dur, Rev, Ts};
