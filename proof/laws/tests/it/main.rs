//! The laws, on every stack and on every broken engine.

mod laws;
