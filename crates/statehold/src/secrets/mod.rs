//! Secrets: how they are kept in memory, read from files and made where development needs them.

mod file;
mod material;

pub use file::{SecretError, load_or_create, read, write_new};
pub use material::{KeyMaterial, MaterialError};
