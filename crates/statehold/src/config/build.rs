//! From effective values to typed settings.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use statehold_core::{EngineKind, VALUE_BYTES_MAX};

use super::resolve::Entries;
use super::settings::{
    Algorithm, CacheSettings, EngineChoice, EngineSettings, FeatureSettings, HealthDetail, HealthSettings,
    JobsSettings, LimitClassSettings, LimitPolicySettings, LimitsSettings, LogFormat, LogSettings,
    MetricsSettings, OnUnavailable, OverLimit, RecordsSettings, SecretsSettings, ServerSettings,
    SessionKindSettings, StoreSettings, StoresSettings, Synchronous, TlsSettings, TlsVersion, TraceSettings,
};
use super::value::Value;
use crate::secrets::KeyMaterial;

/// The file of the embedded record tier, in the data directory.
const RECORDS_FILE: &str = "records.db";
/// What an item needs besides the value a user stores.
const VALUE_OVERHEAD_BYTES: usize = 64 << 10;

/// Reads typed values by path.
///
/// The table of keys gives every path its form, so a path read with another form is a broken invariant that the test
/// of the defaults meets at once.
#[derive(Clone, Copy)]
pub(crate) struct Reader<'a>(pub(crate) &'a Entries);

impl<'a> Reader<'a> {
    fn maybe(self, path: &str) -> Option<&'a Value> {
        let entry = self.0.get(path).unwrap_or_else(|| panic!("the table of keys has no `{path}`"));
        entry.value.as_ref()
    }

    fn value(self, path: &str) -> &'a Value {
        self.maybe(path).unwrap_or_else(|| panic!("the table of keys has no default for `{path}`"))
    }

    fn switch(self, path: &str) -> bool {
        matches!(self.value(path), Value::Switch(true))
    }

    fn text(self, path: &str) -> &'a str {
        self.maybe_text(path).unwrap_or_else(|| panic!("`{path}` is no text"))
    }

    fn maybe_text(self, path: &str) -> Option<&'a str> {
        match self.maybe(path)? {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    fn maybe_path(self, path: &str) -> Option<PathBuf> {
        self.maybe_text(path).map(PathBuf::from)
    }

    fn whole(self, path: &str) -> u64 {
        self.maybe_whole(path).unwrap_or_else(|| panic!("`{path}` is no number"))
    }

    fn maybe_whole(self, path: &str) -> Option<u64> {
        match self.maybe(path)? {
            Value::Whole(number) | Value::Size(number) => Some(*number),
            _ => None,
        }
    }

    fn maybe_rate(self, path: &str) -> Option<f64> {
        match self.maybe(path)? {
            Value::Rate(rate) => Some(*rate),
            _ => None,
        }
    }

    fn span(self, path: &str) -> Duration {
        self.maybe_span(path).unwrap_or_else(|| panic!("`{path}` is no duration"))
    }

    fn maybe_span(self, path: &str) -> Option<Duration> {
        match self.maybe(path)? {
            Value::Span(span) => *span,
            _ => None,
        }
    }

    fn list<T: std::str::FromStr>(self, path: &str) -> Vec<T> {
        match self.value(path) {
            Value::List(elements) => elements.iter().filter_map(|element| element.parse().ok()).collect(),
            _ => panic!("`{path}` is no list"),
        }
    }

    fn name(self, path: &str) -> Arc<str> {
        self.text(path).into()
    }

    /// The names that stand below a path.
    pub(crate) fn names(self, below: &str) -> BTreeSet<&'a str> {
        let prefix = format!("{below}.");
        self.0
            .range(prefix.clone()..)
            .take_while(|(path, _)| path.starts_with(&prefix))
            .filter_map(|(path, _)| path[prefix.len()..].split('.').next())
            .collect()
    }
}

pub(crate) fn server(read: Reader<'_>) -> ServerSettings {
    ServerSettings {
        listen: read.list("server.listen"),
        ops_listen: read.list("server.ops_listen"),
        tls: tls(read),
        behind_tls_proxy: read.switch("server.behind_tls_proxy"),
        ops_allow_plain: read.switch("server.ops_allow_plain"),
        body_limit: read.whole("server.body_limit") as usize,
        request_timeout: read.span("server.request_timeout"),
        max_connections: read.whole("server.max_connections") as usize,
        trusted_proxies: read.list("server.trusted_proxies"),
        cors_origins: read.list("server.cors_origins"),
        shutdown_grace: read.span("server.shutdown_grace"),
        drain_delay: read.span("server.drain_delay"),
        openapi: read.switch("server.openapi"),
    }
}

fn tls(read: Reader<'_>) -> Option<TlsSettings> {
    Some(TlsSettings {
        cert_file: read.maybe_path("server.tls.cert_file")?,
        key_file: read.maybe_path("server.tls.key_file")?,
        client_ca_file: read.maybe_path("server.tls.client_ca_file"),
        min_version: match read.text("server.tls.min_version") {
            "1.3" => TlsVersion::V1_3,
            _ => TlsVersion::V1_2,
        },
    })
}

/// Engines whose kind is known; a missing kind is told by the checks.
pub(crate) fn engines(read: Reader<'_>, data_dir: &Path) -> BTreeMap<Arc<str>, EngineSettings> {
    let largest = read.whole("cache.max_value") as usize + VALUE_OVERHEAD_BYTES;
    let value_bytes_max = largest.max(VALUE_BYTES_MAX);
    let engine = |name: &str| {
        let at = |key: &str| format!("engines.{name}.{key}");
        let kind = match read.maybe_text(&at("kind"))? {
            "memory" => EngineChoice::Memory {
                memory_limit: read.maybe_whole(&at("memory_limit")).unwrap_or(512 << 20),
            },
            _ => EngineChoice::Embedded {
                path: data_dir.join(embedded_file(name, read.maybe_text(&at("path")))),
                synchronous: match read.maybe_text(&at("synchronous")) {
                    Some("normal") => Synchronous::Normal,
                    _ => Synchronous::Full,
                },
                readers: read.maybe_whole(&at("readers")).unwrap_or(4) as usize,
            },
        };
        let command_timeout = match kind.kind() {
            EngineKind::Memory => Duration::from_secs(1),
            EngineKind::Embedded | EngineKind::Redis | EngineKind::Postgres => Duration::from_secs(5),
        };
        let name: Arc<str> = name.into();
        let command_timeout = read.maybe_span(&at("command_timeout")).unwrap_or(command_timeout);
        Some((Arc::clone(&name), EngineSettings { name, command_timeout, value_bytes_max, kind }))
    };
    read.names("engines").into_iter().filter_map(engine).collect()
}

fn embedded_file(name: &str, configured: Option<&str>) -> PathBuf {
    match (configured, name) {
        (Some(path), _) => PathBuf::from(path),
        (None, "main") => PathBuf::from("state.db"),
        (None, name) => PathBuf::from(format!("{name}.db")),
    }
}

pub(crate) fn stores(read: Reader<'_>) -> StoresSettings {
    let store = |name: &str, sync: bool| StoreSettings {
        engine: read.name(&format!("stores.{name}.engine")),
        sync,
        allow_volatile: read.switch(&format!("stores.{name}.allow_volatile")),
    };
    StoresSettings {
        sessions: store("sessions", true),
        cache: store("cache", read.switch("stores.cache.sync")),
        limits: store("limits", read.switch("stores.limits.sync")),
    }
}

pub(crate) fn records(read: Reader<'_>, data_dir: &Path) -> RecordsSettings {
    RecordsSettings { engine: read.name("records.engine"), path: data_dir.join(RECORDS_FILE) }
}

pub(crate) fn sessions(read: Reader<'_>) -> BTreeMap<Arc<str>, SessionKindSettings> {
    let kind = |name: &str| {
        let at = |key: &str| format!("sessions.{name}.{key}");
        let settings = SessionKindSettings {
            absolute_ttl: read.span(&at("absolute_ttl")),
            idle_ttl: read.maybe_span(&at("idle_ttl")),
            max_lifetime: read.span(&at("max_lifetime")),
            max_concurrent: read.whole(&at("max_concurrent")) as u32,
            over_limit: match read.text(&at("over_limit")) {
                "refuse" => OverLimit::Refuse,
                _ => OverLimit::EvictOldest,
            },
            one_per_platform: read.switch(&at("one_per_platform")),
            touch_granularity: read.span(&at("touch_granularity")),
            expiring_notice: read.span(&at("expiring_notice")),
        };
        (Arc::from(name), settings)
    };
    read.names("sessions").into_iter().map(kind).collect()
}

pub(crate) fn cache(read: Reader<'_>) -> CacheSettings {
    CacheSettings {
        default_ttl: read.span("cache.default_ttl"),
        max_value: read.whole("cache.max_value") as usize,
        memory_limit: read.whole("cache.memory_limit"),
        allow_no_expiry: read.switch("cache.allow_no_expiry"),
    }
}

pub(crate) fn limits(read: Reader<'_>) -> LimitsSettings {
    let enabled = |name: &&str| read.switch(&format!("limits.policies.{name}.enabled"));
    LimitsSettings {
        policies: read
            .names("limits.policies")
            .into_iter()
            .filter(enabled)
            .map(|name| (Arc::from(name), limit_policy(read, name)))
            .collect(),
        legacy_headers: read.switch("limits.legacy_headers"),
        apply: read.list("limits.apply"),
    }
}

fn limit_policy(read: Reader<'_>, name: &str) -> LimitPolicySettings {
    let at = |key: &str| format!("limits.policies.{name}.{key}");
    let algorithm = match read.text(&at("algorithm")) {
        "token_bucket" => Algorithm::TokenBucket,
        "fixed" => Algorithm::Fixed,
        _ => Algorithm::Sliding,
    };
    // A missing limit or window is told by the checks; until then 1 stands for it.
    let limit = read.maybe_whole(&at("limit")).unwrap_or(1) as u32;
    let burst = read.whole(&at("burst")) as u32;
    let rate = read.maybe_rate(&at("rate")).unwrap_or(1.0);
    let class = |class: &str| {
        let at = |key: &str| format!("limits.policies.{name}.classes.{class}.{key}");
        let settings = LimitClassSettings {
            limit: read.maybe_whole(&at("limit")).map_or(limit, |limit| limit as u32),
            rate: read.maybe_rate(&at("rate")).unwrap_or(rate),
            burst: read.maybe_whole(&at("burst")).map_or(burst, |burst| burst as u32),
        };
        (Arc::from(class), settings)
    };
    LimitPolicySettings {
        algorithm,
        limit,
        window: read.maybe_span(&at("window")).unwrap_or(Duration::from_secs(1)),
        rate,
        burst,
        classes: read.names(&at("classes")).into_iter().map(class).collect(),
        on_unavailable: match read.text(&at("on_unavailable")) {
            "open" => OnUnavailable::Open,
            _ => OnUnavailable::Closed,
        },
        local_guard: read.maybe_whole(&at("local_guard")).map(|guard| guard as u32),
        shadow: read.switch(&at("shadow")),
    }
}

pub(crate) fn secrets(read: Reader<'_>) -> SecretsSettings {
    let key = |path: &str| -> Option<KeyMaterial> {
        match read.maybe(path)? {
            Value::Secret(key) => Some(key.clone()),
            _ => None,
        }
    };
    SecretsSettings { token_key: key("secrets.token_key") }
}

pub(crate) fn health(read: Reader<'_>) -> HealthSettings {
    HealthSettings {
        degraded_latency: Duration::from_millis(read.whole("health.degraded_latency_ms")),
        disk_min: read.whole("health.disk_min"),
        check_timeout: read.span("health.check_timeout"),
        detail: match read.text("health.detail") {
            "always" => HealthDetail::Always,
            _ => HealthDetail::Authenticated,
        },
    }
}

pub(crate) fn metrics(read: Reader<'_>) -> MetricsSettings {
    MetricsSettings { enabled: read.switch("metrics.enabled"), public: read.switch("metrics.public") }
}

pub(crate) fn trace(read: Reader<'_>) -> TraceSettings {
    TraceSettings {
        endpoint: read.maybe_text("trace.endpoint").map(Arc::from),
        sample_ratio: read.maybe_rate("trace.sample_ratio").expect("the table has a default"),
    }
}

pub(crate) fn log(read: Reader<'_>) -> LogSettings {
    LogSettings {
        level: read.text("log.level").to_owned(),
        format: match read.text("log.format") {
            "text" => LogFormat::Text,
            _ => LogFormat::Json,
        },
    }
}

pub(crate) fn features(read: Reader<'_>) -> FeatureSettings {
    FeatureSettings { verbose_logging: read.switch("features.verbose_logging") }
}

pub(crate) fn jobs(read: Reader<'_>) -> JobsSettings {
    JobsSettings { sweep_interval: read.span("jobs.sweep_interval") }
}

pub(crate) fn data_dir(read: Reader<'_>) -> PathBuf {
    PathBuf::from(read.text("data_dir"))
}
