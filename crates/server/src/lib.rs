//! The HTTP server: stores and operations over `/v1`, with API keys, strict input and one shape of error.
//!
//! Routes call stores and control tables; nothing here reaches an engine. The way of a request: `accept` (connection,
//! TLS, bounds) → `edge` (correlation, time limit, metrics, log, error rendering) → `auth` (key, namespace) → `extract`
//! (strict input) → a route → a store.

mod accept;
mod app;
mod auth;
mod correlation;
mod cursor;
mod edge;
mod extract;
mod in_process;
mod meters;
mod problem;
mod rate_headers;
mod routes;
mod serve;
mod settings;
mod signals;
mod trace_context;

pub use accept::TlsError;
pub use in_process::InProcess;
pub use serve::{Remote, Server, StartError};
pub use settings::{HANDSHAKE_TIMEOUT, HEADER_TIMEOUT, Settings};
pub use signals::stop_on_signals;
