//! The effective settings, typed: what the rest of the product reads.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;

use crate::secrets::KeyMaterial;

/// How strict the product is. Always chosen by name, never guessed from the surroundings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Profile {
    /// Nothing needs to be prepared: missing secrets are made, risky choices are warned about.
    Development,
    /// Risky choices are refused.
    Production,
}

impl Profile {
    /// The name in configuration, logs and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Development => "development",
            Self::Production => "production",
        }
    }
}

/// What the server listens on and how much it takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerSettings {
    /// Addresses of the API; at least one.
    pub listen: Vec<SocketAddr>,
    /// Addresses of health and metrics; empty means the same listener as the API.
    pub ops_listen: Vec<SocketAddr>,
    /// Certificate and key; none means plain HTTP.
    pub tls: Option<TlsSettings>,
    /// A proxy in front ends TLS, so plain HTTP beyond loopback is meant.
    pub behind_tls_proxy: bool,
    /// The ops listener may speak plain HTTP beyond loopback in production.
    pub ops_allow_plain: bool,
    /// Most bytes of a request's body.
    pub body_limit: usize,
    /// How long a request may take.
    pub request_timeout: Duration,
    /// Most connections at once.
    pub max_connections: usize,
    /// Networks whose `Forwarded` and `X-Forwarded-For` headers are believed.
    pub trusted_proxies: Vec<IpNet>,
    /// Exact origins that browsers may call from.
    pub cors_origins: Vec<String>,
    /// How long a stop waits for requests in flight.
    pub shutdown_grace: Duration,
    /// How long a stop answers `draining` before it takes no more connections.
    pub drain_delay: Duration,
    /// Whether `/v1/openapi.json` is served without credentials.
    pub openapi: bool,
}

/// TLS of both listeners.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsSettings {
    /// The certificate chain, PEM.
    pub cert_file: PathBuf,
    /// Its private key, PEM.
    pub key_file: PathBuf,
    /// Clients must show a certificate of this authority, PEM.
    pub client_ca_file: Option<PathBuf>,
    /// The lowest version spoken.
    pub min_version: TlsVersion,
}

/// A version of TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TlsVersion {
    /// TLS 1.2 (RFC 5246).
    V1_2,
    /// TLS 1.3 (RFC 8446).
    V1_3,
}

/// One configured engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EngineSettings {
    /// The engine's name.
    pub name: Arc<str>,
    /// Longest time one call may take; a caller's own deadline may be sooner.
    pub command_timeout: Duration,
    /// Most bytes of an item's value: large enough for every store's own bound.
    pub value_bytes_max: usize,
    /// What it is.
    pub kind: EngineChoice,
}

/// Which engine it is, with the settings of that kind alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EngineChoice {
    /// In this process's memory.
    Memory {
        /// Most bytes of state.
        memory_limit: u64,
    },
    /// One SQLite file.
    Embedded {
        /// The file, absolute or below the working directory.
        path: PathBuf,
        /// When a commit is acknowledged.
        synchronous: Synchronous,
        /// Reader threads.
        readers: usize,
    },
}

impl EngineChoice {
    /// The engine kind of the contract.
    pub const fn kind(&self) -> statehold_core::EngineKind {
        match self {
            Self::Memory { .. } => statehold_core::EngineKind::Memory,
            Self::Embedded { .. } => statehold_core::EngineKind::Embedded,
        }
    }
}

/// When the embedded engine acknowledges a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Synchronous {
    /// After the sync to disk: a power cut loses nothing acknowledged.
    Full,
    /// Before it: a process kill loses nothing, a power cut may lose the last moments.
    Normal,
}

/// Homes of spaces not yet created.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoresSettings {
    /// Sessions.
    pub sessions: StoreSettings,
    /// Cache.
    pub cache: StoreSettings,
    /// Limits.
    pub limits: StoreSettings,
}

impl StoresSettings {
    /// Every store by name.
    pub fn each(&self) -> [(&'static str, &StoreSettings); 3] {
        [("sessions", &self.sessions), ("cache", &self.cache), ("limits", &self.limits)]
    }
}

/// The home of one store's new spaces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreSettings {
    /// The engine's name.
    pub engine: Arc<str>,
    /// Whether a commit on the embedded engine is acknowledged only after the sync; false for disposable stores alone.
    pub sync: bool,
    /// The store may live on an engine that forgets when the process ends.
    pub allow_volatile: bool,
}

/// The record tier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordsSettings {
    /// The engine whose kind the record tier uses.
    pub engine: Arc<str>,
    /// Its file.
    pub path: PathBuf,
}

/// One kind of session (S2.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionKindSettings {
    /// Lifetime of a session that is not renewed.
    pub absolute_ttl: Duration,
    /// Ends a session that is not used for so long; none for never.
    pub idle_ttl: Option<Duration>,
    /// No renewal goes beyond this, counted from creation.
    pub max_lifetime: Duration,
    /// Most live sessions of an owner; 0 for no limit but 10 000.
    pub max_concurrent: u32,
    /// What a session too many does.
    pub over_limit: OverLimit,
    /// A new session replaces the live one of the same platform.
    pub one_per_platform: bool,
    /// `last_accessed_at` is written at most once in so long.
    pub touch_granularity: Duration,
    /// How long before its deadline a session is reported as expiring; zero for never.
    pub expiring_notice: Duration,
}

/// What a session too many does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OverLimit {
    /// Ends the owner's oldest session.
    EvictOldest,
    /// Is refused.
    Refuse,
}

/// The cache (S1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheSettings {
    /// Lifetime of an entry that names none.
    pub default_ttl: Duration,
    /// Most bytes of a value.
    pub max_value: usize,
    /// Cache's share of a memory engine's limit, bytes.
    pub memory_limit: u64,
    /// Entries may live for ever.
    pub allow_no_expiry: bool,
}

/// Rate limits (S4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LimitsSettings {
    /// Every policy by name, built-in ones included.
    pub policies: BTreeMap<Arc<str>, LimitPolicySettings>,
    /// Send the older `X-RateLimit-*` headers too.
    pub legacy_headers: bool,
    /// Further policies that the product applies to its own routes.
    pub apply: Vec<String>,
}

/// One limit policy.
#[derive(Clone, Debug, PartialEq)]
pub struct LimitPolicySettings {
    /// How calls are admitted.
    pub algorithm: Algorithm,
    /// Units per window (sliding, fixed).
    pub limit: u32,
    /// The window (sliding, fixed).
    pub window: Duration,
    /// Units per second (token bucket).
    pub rate: f64,
    /// Units at once (token bucket).
    pub burst: u32,
    /// Named overrides.
    pub classes: BTreeMap<Arc<str>, LimitClassSettings>,
    /// What is answered while the engine is away.
    pub on_unavailable: OnUnavailable,
    /// Units per window that each process admits by itself while open; none for ten times the limit of the policy or
    /// class that is asked.
    pub local_guard: Option<u32>,
    /// Decides and counts, never denies.
    pub shadow: bool,
}

// `rate` is checked to be a finite number, so equality is total.
impl Eq for LimitPolicySettings {}

/// Overrides of a class of a limit policy.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LimitClassSettings {
    /// Units per window (sliding, fixed).
    pub limit: u32,
    /// Units per second (token bucket).
    pub rate: f64,
    /// Units at once (token bucket).
    pub burst: u32,
}

/// How calls are admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// An exact log.
    Sliding,
    /// The generic cell rate algorithm.
    TokenBucket,
    /// Fixed windows.
    Fixed,
}

/// What a limit answers while its engine is away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OnUnavailable {
    /// Denies.
    Closed,
    /// Admits, up to the local guard.
    Open,
}

/// Secrets as configured. What is missing in development is made by [`crate::secrets`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretsSettings {
    /// Keys owner tags, token hashes and API-key hashes; the same on all instances.
    pub token_key: Option<KeyMaterial>,
}

/// Health checks (P7).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthSettings {
    /// A median round trip above this is `Degraded`.
    pub degraded_latency: Duration,
    /// Fewer free bytes of disk are `Unhealthy`.
    pub disk_min: u64,
    /// How long one check may take.
    pub check_timeout: Duration,
    /// Who sees the full body.
    pub detail: HealthDetail,
}

/// Who sees health in full.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HealthDetail {
    /// Callers with the scope `health:read`.
    Authenticated,
    /// Also everyone on the ops listener.
    Always,
}

/// Metrics (P8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MetricsSettings {
    /// Whether they are served.
    pub enabled: bool,
    /// Whether the ops listener serves them without credentials.
    pub public: bool,
}

/// Traces (P9).
#[derive(Clone, Debug, PartialEq)]
pub struct TraceSettings {
    /// The collector, without `/v1/traces`; without it nothing is traced.
    pub endpoint: Option<Arc<str>>,
    /// Share of roots that are traced, 0 to 1.
    pub sample_ratio: f64,
}

/// Logs (P9).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogSettings {
    /// A level, or directives such as `info,statehold_server=debug`.
    pub level: String,
    /// How a record looks.
    pub format: LogFormat,
}

/// How a log record looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// For people.
    Text,
}

/// Switches (P3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FeatureSettings {
    /// Requests are summed up in the log at level debug.
    pub verbose_logging: bool,
}

impl FeatureSettings {
    /// Every switch by name, for status, health and metrics.
    pub const fn each(&self) -> [(&'static str, bool); 1] {
        [("verbose_logging", self.verbose_logging)]
    }
}

/// Background jobs (P18).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JobsSettings {
    /// How often expired items are swept.
    pub sweep_interval: Duration,
}
