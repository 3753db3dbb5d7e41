//! What the server listens on and how much it takes.

use std::net::SocketAddr;
use std::time::Duration;

use ipnet::IpNet;

use crate::accept::TlsFiles;

/// The server's settings. Start from [`Default`] and set what differs.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Addresses of the API.
    pub listen: Vec<SocketAddr>,
    /// Addresses of health and metrics alone; none means that the API's listeners serve them.
    pub ops_listen: Vec<SocketAddr>,
    /// Certificate and key of every listener; none means plain HTTP.
    pub tls: Option<TlsFiles>,
    /// Most bytes of a request's body.
    pub body_limit: usize,
    /// How long a request may take. A change that takes longer goes on; only its caller is told to look.
    pub request_timeout: Duration,
    /// How long a client may take to send a request's head, and to begin its first request.
    pub header_timeout: Duration,
    /// How long a TLS handshake may take.
    pub handshake_timeout: Duration,
    /// Most connections of a listener at once; more wait in the kernel's queue.
    pub max_connections: usize,
    /// Networks whose `Forwarded` and `X-Forwarded-For` headers are believed.
    pub trusted_proxies: Vec<IpNet>,
    /// Exact origins that browsers may call from.
    pub cors_origins: Vec<String>,
    /// How long a stop answers `draining` on readiness before it refuses new work.
    pub drain_delay: Duration,
    /// How long a stop waits for requests in flight.
    pub shutdown_grace: Duration,
    /// Whether `/v1/openapi.json` is served.
    pub openapi: bool,
    /// Whether the ops listener serves health in full without credentials.
    pub health_always: bool,
    /// Whether metrics are served at all.
    pub metrics_enabled: bool,
    /// Whether the ops listener serves metrics without credentials.
    pub metrics_public: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            listen: vec![SocketAddr::from(([127, 0, 0, 1], 7600))],
            ops_listen: Vec::new(),
            tls: None,
            body_limit: 2 << 20,
            request_timeout: Duration::from_secs(30),
            header_timeout: Duration::from_secs(10),
            handshake_timeout: Duration::from_secs(10),
            max_connections: 10_000,
            trusted_proxies: Vec::new(),
            cors_origins: Vec::new(),
            drain_delay: Duration::from_secs(5),
            shutdown_grace: Duration::from_secs(30),
            openapi: true,
            health_always: false,
            metrics_enabled: true,
            metrics_public: false,
        }
    }
}
