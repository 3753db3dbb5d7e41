//! Every key of the configuration, declared once.

use std::time::Duration;

use super::key::{Default, Form, Key, Names};

use Default::{Is, Named, Profile};

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
const DAY: Duration = Duration::from_hours(24);

const fn span(min: Duration, max: Duration) -> Form {
    Form::Span { min, max, or_none: false }
}

const fn seconds(min: u64, max: u64) -> Form {
    span(Duration::from_secs(min), Duration::from_secs(max))
}

/// Kinds of engine that this version offers.
pub(crate) const ENGINE_KINDS: &[&str] = &["memory", "embedded"];

/// Which names may stand for a placeholder.
pub(crate) fn names(placeholder: &str) -> Names {
    match placeholder {
        "<store>" => Names::Closed(&["sessions", "cache", "limits"]),
        "<disposable>" => Names::Closed(&["cache", "limits"]),
        "<kind>" => Names::Closed(&["user", "node", "service"]),
        "<engine>" => Names::Open { bytes_max: 32, count_max: 32, built_in: &["main"] },
        "<policy>" => Names::Open {
            bytes_max: 64,
            count_max: 64,
            built_in: &["session", "login", "login_ip", "api", "endpoint", "reset"],
        },
        "<class>" => Names::Open { bytes_max: 64, count_max: 16, built_in: &["session.sync", "api.bulk"] },
        other => unreachable!("the table of keys uses an undeclared placeholder {other}"),
    }
}

/// The table.
pub static KEYS: &[Key] = &[
    Key::new(
        "profile",
        Form::Choice(&["development", "production"]),
        Is("development"),
        "How strict the product is. Never guessed from host names.",
    ),
    Key::new(
        "data_dir",
        Form::Path,
        Is("./statehold-data"),
        "Where everything lives that this machine keeps: created with mode 0700. Relative to the working directory.",
    ),
    Key::new(
        "server.listen",
        Form::Addresses { least: 1 },
        Is("127.0.0.1:7600"),
        "Addresses of the API.",
    ),
    Key::new(
        "server.ops_listen",
        Form::Addresses { least: 0 },
        Is(""),
        "Addresses of a separate listener for health and metrics; empty means the same as `server.listen`.",
    ),
    Key::new("server.tls.cert_file", Form::Path, Default::None, "Certificate chain, PEM. Needs `server.tls.key_file`."),
    Key::new(
        "server.tls.key_file",
        Form::Path,
        Default::None,
        "Private key of the certificate, PEM, mode at most 0640.",
    ),
    Key::new(
        "server.tls.client_ca_file",
        Form::Path,
        Default::None,
        "Clients must show a certificate of this authority, PEM.",
    ),
    Key::new("server.tls.min_version", Form::Choice(&["1.2", "1.3"]), Is("1.2"), "The lowest version of TLS spoken."),
    Key::new(
        "server.behind_tls_proxy",
        Form::Switch,
        Is("false"),
        "A proxy in front ends TLS. Without it, production refuses plain HTTP beyond loopback.",
    ),
    Key::new(
        "server.ops_allow_plain",
        Form::Switch,
        Is("false"),
        "The ops listener may speak plain HTTP beyond loopback in production.",
    ),
    Key::new(
        "server.body_limit",
        Form::Size { min: KIB, max: 64 * MIB },
        Is("2 MiB"),
        "Most bytes of a request's body; more is answered 413.",
    ),
    Key::new("server.request_timeout", seconds(1, 300), Is("30s"), "How long a request may take."),
    Key::new(
        "server.max_connections",
        Form::Whole { min: 1, max: 1_000_000 },
        Is("10000"),
        "Most connections at once.",
    ),
    Key::new(
        "server.trusted_proxies",
        Form::Networks,
        Is(""),
        "Networks whose `Forwarded` and `X-Forwarded-For` are believed; the right-most untrusted hop is the caller.",
    ),
    Key::new(
        "server.cors_origins",
        Form::Origins,
        Is(""),
        "Exact origins that browsers may call from.",
    ),
    Key::new(
        "server.shutdown_grace",
        seconds(1, 300),
        Is("30s"),
        "How long a stop waits for requests in flight.",
    ),
    Key::new(
        "server.drain_delay",
        span(Duration::ZERO, Duration::from_mins(1)),
        Profile { development: "0s", production: "5s" },
        "How long a stop answers readiness with 503 `draining` before it takes no more connections.",
    ),
    Key::new(
        "server.openapi",
        Form::Switch,
        Profile { development: "true", production: "false" },
        "Serve `/v1/openapi.json` without credentials.",
    ),
    Key::new(
        "engines.<engine>.kind",
        Form::Choice(ENGINE_KINDS),
        Named(&[("main", "embedded")], None),
        "What the engine is. Required for every engine but `main`.",
    ),
    Key::new(
        "engines.<engine>.path",
        Form::Path,
        Default::None,
        "`embedded`: the file, relative to `data_dir`; `state.db` for `main`, `<engine>.db` for others.",
    ),
    Key::new(
        "engines.<engine>.synchronous",
        Form::Choice(&["full", "normal"]),
        Default::None,
        "`embedded`: `full` (default) acknowledges after the sync to disk; after `normal` a power cut may lose the \
         last moments.",
    ),
    Key::new(
        "engines.<engine>.readers",
        Form::Whole { min: 1, max: 64 },
        Default::None,
        "`embedded`: reader threads; 4 where nothing is set.",
    ),
    Key::new(
        "engines.<engine>.memory_limit",
        Form::Size { min: MIB, max: 1024 * GIB },
        Default::None,
        "`memory`: most bytes of state; 512 MiB where nothing is set. Full: disposable stores evict, others answer 503.",
    ),
    Key::new(
        "engines.<engine>.command_timeout",
        span(Duration::from_millis(1), Duration::from_mins(10)),
        Default::None,
        "Longest time one call may take; `memory` 1s, `embedded` 5s where nothing is set.",
    ),
    Key::new(
        "stores.<store>.engine",
        Form::EngineName,
        Is("main"),
        "Home of the store's spaces not yet created; afterwards the placement wins.",
    ),
    Key::new(
        "stores.<store>.allow_volatile",
        Form::Switch,
        Is("false"),
        "The store may live on a `memory` engine in production.",
    ),
    Key::new(
        "stores.<disposable>.sync",
        Form::Switch,
        Named(&[("limits", "false")], Some("true")),
        "On `embedded`: false acknowledges before the sync to disk.",
    ),
    Key::new(
        "records.engine",
        Form::EngineName,
        Is("main"),
        "The record tier uses this engine's kind: `embedded` keeps it in `records.db`, a file and a writer of its own.",
    ),
    Key::new(
        "sessions.<kind>.absolute_ttl",
        span(Duration::from_secs(1), Duration::from_hours(720)),
        Is("1h"),
        "Lifetime of a session that is not renewed; at most `max_lifetime`.",
    )
    .reloadable(),
    Key::new(
        "sessions.<kind>.idle_ttl",
        Form::Span { min: Duration::from_mins(1), max: Duration::from_hours(720), or_none: true },
        Named(&[("user", "30m")], Some("none")),
        "Ends a session that is not used for so long.",
    )
    .reloadable(),
    Key::new(
        "sessions.<kind>.max_lifetime",
        span(Duration::from_mins(1), Duration::from_hours(720)),
        Is("24h"),
        "No renewal goes beyond this, counted from creation.",
    )
    .reloadable(),
    Key::new(
        "sessions.<kind>.max_concurrent",
        Form::Whole { min: 0, max: 1_000 },
        Named(&[("service", "100")], Some("5")),
        "Most live sessions of an owner; 0 means no limit but 10 000.",
    )
    .reloadable(),
    Key::new(
        "sessions.<kind>.over_limit",
        Form::Choice(&["evict_oldest", "refuse"]),
        Is("evict_oldest"),
        "What a session too many does.",
    )
    .reloadable(),
    Key::new(
        "sessions.<kind>.one_per_platform",
        Form::Switch,
        Is("false"),
        "A new session replaces the live one of the same platform.",
    )
    .reloadable(),
    Key::new(
        "sessions.<kind>.touch_granularity",
        span(Duration::ZERO, Duration::from_mins(1)),
        Is("5s"),
        "`last_accessed_at` is written at most once in so long.",
    )
    .reloadable(),
    Key::new(
        "sessions.<kind>.expiring_notice",
        span(Duration::ZERO, DAY),
        Named(&[("service", "0s")], Some("2m")),
        "How long before its deadline a session is reported as expiring; 0 is never.",
    )
    .reloadable(),
    Key::new(
        "cache.default_ttl",
        span(Duration::from_millis(1), Duration::from_hours(24 * 3_650)),
        Is("1h"),
        "Lifetime of an entry that names none.",
    )
    .reloadable(),
    Key::new("cache.max_value", Form::Size { min: 1, max: 8 * MIB }, Is("1 MiB"), "Most bytes of a value."),
    Key::new(
        "cache.memory_limit",
        Form::Size { min: MIB, max: 1024 * GIB },
        Is("256 MiB"),
        "Cache's share of a `memory` engine's limit.",
    ),
    Key::new("cache.allow_no_expiry", Form::Switch, Is("false"), "Entries may live for ever (`ttl = \"none\"`).")
        .reloadable(),
    Key::new(
        "limits.policies.<policy>.enabled",
        Form::Switch,
        Is("true"),
        "False removes the policy. `session`, `login` and `reset` cannot be removed.",
    )
    .reloadable(),
    Key::new(
        "limits.policies.<policy>.algorithm",
        Form::Choice(&["sliding", "token_bucket", "fixed"]),
        Is("sliding"),
        "How calls are admitted: an exact log, the generic cell rate algorithm, or fixed windows.",
    )
    .reloadable(),
    Key::new(
        "limits.policies.<policy>.limit",
        Form::Whole { min: 1, max: 1_000_000_000 },
        Named(
            &[
                ("session", "60"),
                ("login", "5"),
                ("login_ip", "300"),
                ("api", "100"),
                ("endpoint", "100"),
                ("reset", "3"),
            ],
            None,
        ),
        "`sliding` (at most 1000) and `fixed`: units per window. Required there.",
    )
    .reloadable(),
    Key::new(
        "limits.policies.<policy>.window",
        span(Duration::from_secs(1), Duration::from_hours(24 * 31)),
        Named(
            &[
                ("session", "60s"),
                ("login", "60s"),
                ("login_ip", "60s"),
                ("api", "60s"),
                ("endpoint", "60s"),
                ("reset", "1h"),
            ],
            None,
        ),
        "`sliding` (at most 24h) and `fixed`: the window. Required there.",
    )
    .reloadable(),
    Key::new(
        "limits.policies.<policy>.rate",
        Form::Rate { max: 1_000_000_000.0 },
        Is("1"),
        "`token_bucket`: units per second.",
    )
    .reloadable(),
    Key::new(
        "limits.policies.<policy>.burst",
        Form::Whole { min: 1, max: 1_000_000 },
        Is("10"),
        "`token_bucket`: units at once.",
    )
    .reloadable(),
    Key::new(
        "limits.policies.<policy>.on_unavailable",
        Form::Choice(&["closed", "open"]),
        Named(&[("api", "open"), ("endpoint", "open")], Some("closed")),
        "While the engine is away: deny, or admit up to `local_guard`.",
    )
    .reloadable(),
    Key::new(
        "limits.policies.<policy>.local_guard",
        Form::Whole { min: 1, max: 4_000_000_000 },
        Default::None,
        "Units per window that each process admits by itself while open; ten times the limit where nothing is set.",
    )
    .reloadable(),
    Key::new(
        "limits.policies.<policy>.shadow",
        Form::Switch,
        Is("false"),
        "Decide and count, never deny.",
    )
    .reloadable(),
    Key::new(
        "limits.policies.<policy>.classes.<class>.limit",
        Form::Whole { min: 1, max: 1_000_000_000 },
        Named(&[("session.sync", "600"), ("api.bulk", "1000")], None),
        "`sliding` and `fixed`: units per window for this class; the policy's where nothing is set.",
    )
    .reloadable(),
    Key::new(
        "limits.policies.<policy>.classes.<class>.rate",
        Form::Rate { max: 1_000_000_000.0 },
        Default::None,
        "`token_bucket`: units per second for this class; the policy's where nothing is set.",
    )
    .reloadable(),
    Key::new(
        "limits.policies.<policy>.classes.<class>.burst",
        Form::Whole { min: 1, max: 1_000_000 },
        Default::None,
        "`token_bucket`: units at once for this class; the policy's where nothing is set.",
    )
    .reloadable(),
    Key::new(
        "limits.legacy_headers",
        Form::Switch,
        Is("false"),
        "Send the older `X-RateLimit-*` headers too.",
    ),
    Key::new(
        "limits.apply",
        Form::PolicyNames,
        Is(""),
        "Further policies that the product applies to its own routes, beside `login`, `login_ip` and `reset`.",
    ),
    Key::new(
        "secrets.token_key",
        Form::KeyMaterial,
        Default::None,
        "Keys owner tags, token hashes and API-key hashes: the same on all instances, never changed. Required in \
         production; made once in development.",
    )
    .secret(),
    Key::new(
        "health.degraded_latency_ms",
        Form::Whole { min: 1, max: 60_000 },
        Is("100"),
        "A median round trip above this many milliseconds is `Degraded`.",
    ),
    Key::new(
        "health.disk_min",
        Form::Size { min: 0, max: 1024 * GIB },
        Is("100 MB"),
        "Fewer free bytes of disk are `Unhealthy`.",
    ),
    Key::new(
        "health.check_timeout",
        span(Duration::from_millis(100), Duration::from_secs(30)),
        Is("3s"),
        "How long one check may take.",
    ),
    Key::new(
        "health.detail",
        Form::Choice(&["authenticated", "always"]),
        Is("authenticated"),
        "Who sees health in full: callers with `health:read`, or also everyone on `server.ops_listen`.",
    ),
    Key::new("metrics.enabled", Form::Switch, Is("true"), "Serve metrics at `/metrics`.").reloadable(),
    Key::new(
        "metrics.public",
        Form::Switch,
        Is("false"),
        "Serve metrics without credentials on `server.ops_listen`.",
    )
    .reloadable(),
    Key::new(
        "log.level",
        Form::LogLevel,
        Is("info"),
        "`error`, `warn`, `info`, `debug` or `trace`, or directives such as `info,statehold_server=debug`.",
    )
    .reloadable(),
    Key::new(
        "log.format",
        Form::Choice(&["json", "text"]),
        Profile { development: "text", production: "json" },
        "One JSON object a line, or text for people.",
    )
    .reloadable(),
    Key::new(
        "trace.endpoint",
        Form::Endpoint,
        Default::None,
        "Where an OpenTelemetry collector takes OTLP over HTTP; `/v1/traces` is added. Without it nothing is traced.",
    ),
    Key::new(
        "trace.sample_ratio",
        Form::Ratio,
        Is("0.1"),
        "Share of requests traced among those whose caller says nothing; a caller's own decision holds.",
    ),
    Key::new(
        "features.verbose_logging",
        Form::Switch,
        Profile { development: "true", production: "false" },
        "Sum up every request in the log at level debug.",
    ),
    Key::new(
        "jobs.sweep_interval",
        span(Duration::from_secs(1), Duration::from_hours(1)),
        Is("60s"),
        "How often expired items are swept.",
    ),
];
