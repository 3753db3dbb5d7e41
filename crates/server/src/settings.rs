//! The part of the configuration that the server reads.

use std::time::Duration;

use statehold::Config;
use statehold::config::ServerSettings;

/// How long a client may take to send a request's head, and to begin its first request.
pub const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a TLS handshake may take.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// What the server listens on and how much it takes: what stays as it is from start to stop.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Listeners and bounds.
    pub server: ServerSettings,
    /// How long a client may take to send a request's head, and to begin its first request.
    pub header_timeout: Duration,
    /// How long a TLS handshake may take.
    pub handshake_timeout: Duration,
}

impl From<&Config> for Settings {
    fn from(config: &Config) -> Self {
        Self {
            server: config.server.clone(),
            header_timeout: HEADER_TIMEOUT,
            handshake_timeout: HANDSHAKE_TIMEOUT,
        }
    }
}
