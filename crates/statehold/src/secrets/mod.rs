//! Secrets: how they are kept in memory, read from files and made where development needs them.

mod file;
mod material;

pub use file::{SecretError, load_or_create, read, write_new};
pub use material::{KeyMaterial, MaterialError};

use crate::config::Config;

/// The token key: the configured one, else the one that development makes once in the data directory and warns of.
///
/// A configuration of the production profile always holds one: it is not loaded without.
///
/// # Errors
/// [`SecretError`] when the file cannot be read or made, is open to others, or holds no usable key.
pub fn token_key(config: &Config) -> Result<KeyMaterial, SecretError> {
    if let Some(key) = &config.secrets.token_key {
        return Ok(key.clone());
    }
    let path = config.files().token_key();
    let (key, made) = load_or_create(&path)?;
    tracing::warn!(
        event = "generated_secret",
        path = %path.display(),
        made,
        "secrets.token_key is not set: the key in this file is used"
    );
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn development_makes_its_token_key_once() {
        let directory = tempfile::tempdir().unwrap();
        let config = Config::in_directory(&directory.path().join("data")).unwrap();
        let key = token_key(&config).unwrap();
        assert_eq!(token_key(&config).unwrap(), key);
        assert!(config.files().token_key().exists());
    }
}
