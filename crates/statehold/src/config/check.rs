//! Checks that look at more than one key, and the rules of the profiles (P2).

use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::Duration;

use statehold_core::SLIDING_LIMIT_MAX;

use super::Config;
use super::into_policies;
use super::origin::Origin;
use super::problem::Problem;
use super::resolve::Entries;
use super::settings::{Algorithm, EngineChoice, Profile};
use super::value::one_of;

/// Policies that the product applies by itself or that stores rely on.
const POLICIES_KEPT: [&str; 3] = ["session", "login", "reset"];
/// The longest window of an exact log.
const SLIDING_WINDOW_MAX: Duration = Duration::from_hours(24);

/// Something legal that an operator should know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// A stable word for logs and status.
    pub code: &'static str,
    /// What it is about, in one sentence without a full stop.
    pub text: String,
}

/// Everything that one key alone cannot tell.
pub(crate) struct Checks<'a> {
    config: &'a Config,
    entries: &'a Entries,
    pub(crate) problems: Vec<Problem>,
    pub(crate) warnings: Vec<Warning>,
}

impl<'a> Checks<'a> {
    pub(crate) fn run(config: &'a Config, entries: &'a Entries) -> Self {
        let mut checks = Self { config, entries, problems: Vec::new(), warnings: Vec::new() };
        checks.engines();
        checks.homes();
        checks.listeners();
        checks.tls_files();
        checks.sessions();
        checks.limits();
        checks.secrets();
        checks
    }

    fn problem(&mut self, path: &str, legal: impl Into<String>) {
        let mut problem = Problem::new(path, legal);
        if let Some(entry) = self.entries.get(path)
            && let Some(value) = &entry.value
        {
            problem = problem.at(&entry.origin).with_value(format!("\"{}\"", value.shown()));
        }
        self.problems.push(problem);
    }

    fn warn(&mut self, code: &'static str, text: String) {
        self.warnings.push(Warning { code, text });
    }

    /// Refused in production, warned about in development.
    fn risky(&mut self, path: &str, code: &'static str, text: &str, unless: &str) {
        match self.config.profile {
            Profile::Production => {
                self.problem(path, format!("{text}: refused in production unless {unless}"));
            }
            Profile::Development => self.warn(code, format!("{path}: {text}")),
        }
    }

    fn is_set(&self, path: &str) -> bool {
        self.entries.get(path).is_some_and(|entry| entry.value.is_some() && entry.origin != Origin::Default)
    }

    fn engines(&mut self) {
        let names: Vec<String> =
            super::build::Reader(self.entries).names("engines").into_iter().map(str::to_owned).collect();
        let mut files: Vec<(std::path::PathBuf, String)> =
            vec![(self.config.records.path.clone(), "the record tier".to_owned())];
        for name in names {
            let at = |key: &str| format!("engines.{name}.{key}");
            let Some(engine) = self.config.engines.get(name.as_str()) else {
                self.problem(&at("kind"), format!("is required: {}", one_of(super::keys::ENGINE_KINDS)));
                continue;
            };
            let (foreign, kind): (&[&str], _) = match &engine.kind {
                EngineChoice::Memory { .. } => (&["path", "synchronous", "readers"], "memory"),
                EngineChoice::Embedded { path, .. } => {
                    if let Some((_, other)) = files.iter().find(|(file, _)| file == path) {
                        let other = other.clone();
                        self.problem(
                            &at("path"),
                            format!("is the file of {other} too: every engine has its own"),
                        );
                    }
                    files.push((path.clone(), format!("engine `{name}`")));
                    (&["memory_limit"], "embedded")
                }
            };
            for key in foreign {
                if self.is_set(&at(key)) {
                    self.problem(
                        &at(key),
                        format!("means nothing for an engine of kind `{kind}`: remove it"),
                    );
                }
            }
        }
    }

    fn homes(&mut self) {
        let config = self.config;
        let known: Vec<&str> = config.engines.keys().map(AsRef::as_ref).collect();
        let unknown = |name: &str| format!("no engine is called `{name}`; configured: {}", one_of(&known));
        for (store, settings) in config.stores.each() {
            let path = format!("stores.{store}.engine");
            match config.engines.get(&settings.engine).map(|engine| &engine.kind) {
                None => self.problem(&path, unknown(&settings.engine)),
                Some(EngineChoice::Memory { .. }) if !settings.allow_volatile => self.risky(
                    &path,
                    "volatile_home",
                    &format!("{store} live on an engine that forgets everything when the process ends"),
                    &format!("`stores.{store}.allow_volatile = true`"),
                ),
                Some(EngineChoice::Memory { .. } | EngineChoice::Embedded { .. }) => {}
            }
        }
        match config.engines.get(&config.records.engine).map(|engine| &engine.kind) {
            None => self.problem("records.engine", unknown(&config.records.engine)),
            Some(EngineChoice::Memory { .. }) => self.problem(
                "records.engine",
                "the record tier needs an engine of kind `embedded`: name one, and keep it configured",
            ),
            Some(EngineChoice::Embedded { .. }) => {}
        }
        let home = config.engines.get(&config.stores.cache.engine).map(|engine| &engine.kind);
        if let Some(EngineChoice::Memory { memory_limit }) = home
            && config.cache.memory_limit > *memory_limit
        {
            let path = format!("engines.{}.memory_limit", config.stores.cache.engine);
            self.problem("cache.memory_limit", format!("is cache's share of `{path}`: at most that"));
        }
    }

    fn listeners(&mut self) {
        let server = &self.config.server;
        let beyond = |addresses: &[SocketAddr]| addresses.iter().any(|address| !address.ip().is_loopback());
        if server.tls.is_some() {
            return;
        }
        if beyond(&server.listen) && !server.behind_tls_proxy {
            self.risky(
                "server.listen",
                "plain_http",
                "plain HTTP beyond loopback",
                "`server.tls` is set or `server.behind_tls_proxy = true`",
            );
        }
        if beyond(&server.ops_listen) && !server.behind_tls_proxy && !server.ops_allow_plain {
            self.risky(
                "server.ops_listen",
                "plain_http",
                "plain HTTP beyond loopback",
                "`server.tls` is set or `server.ops_allow_plain = true`",
            );
        }
        if server.ops_listen.iter().any(|address| address.port() != 0 && server.listen.contains(address)) {
            self.problem(
                "server.ops_listen",
                "is an address of `server.listen` too: leave it out to share the listener",
            );
        }
    }

    fn tls_files(&mut self) {
        const FILES: [&str; 3] = ["server.tls.cert_file", "server.tls.key_file", "server.tls.client_ca_file"];
        let set = FILES.map(|path| self.is_set(path));
        let missing = "is needed too: TLS takes a certificate and its key";
        match set {
            [true, false, _] => self.problem(FILES[1], missing),
            [false, true, _] => self.problem(FILES[0], missing),
            [false, false, true] => self.problem(FILES[2], "means nothing without `server.tls.cert_file`"),
            _ => {}
        }
        for path in FILES {
            let Some(super::value::Value::Text(file)) =
                self.entries.get(path).and_then(|entry| entry.value.as_ref())
            else {
                continue;
            };
            match std::fs::metadata(Path::new(file)) {
                Err(error) => self.problem(path, format!("cannot be read: {error}")),
                Ok(metadata) if path.ends_with("key_file") && metadata.mode() & 0o137 != 0 => {
                    let mode = metadata.mode() & 0o7777;
                    self.problem(
                        path,
                        format!("has mode {mode:04o}, at most 0640 is allowed: `chmod 600` it"),
                    );
                }
                Ok(_) => {}
            }
        }
    }

    fn sessions(&mut self) {
        let config = self.config;
        for (kind, settings) in &config.sessions {
            if settings.absolute_ttl > settings.max_lifetime {
                let bound = super::text::span_shown(settings.max_lifetime);
                let legal = format!("at most `sessions.{kind}.max_lifetime`, which is {bound}");
                self.problem(&format!("sessions.{kind}.absolute_ttl"), legal);
            }
        }
    }

    fn limits(&mut self) {
        let config = self.config;
        for name in POLICIES_KEPT {
            if !config.limits.policies.contains_key(name) {
                self.problem(
                    &format!("limits.policies.{name}.enabled"),
                    format!("the policy `{name}` cannot be removed: redefine or shadow it"),
                );
            }
        }
        for (name, policy) in &config.limits.policies {
            let at = |key: &str| format!("limits.policies.{name}.{key}");
            self.foreign_numbers(name, policy.algorithm);
            if policy.algorithm == Algorithm::TokenBucket {
                continue;
            }
            for key in ["limit", "window"] {
                if self.entries.get(&at(key)).is_some_and(|entry| entry.value.is_none()) {
                    self.problem(&at(key), "is required by `sliding` and `fixed`");
                }
            }
            if policy.algorithm == Algorithm::Sliding {
                self.sliding(name);
            }
        }
        for name in &config.limits.apply {
            if !config.limits.policies.contains_key(name.as_str()) {
                let known: Vec<&str> = config.limits.policies.keys().map(AsRef::as_ref).collect();
                self.problem(
                    "limits.apply",
                    format!("no policy is called `{name}`; there are {}", one_of(&known)),
                );
            }
        }
        self.what_stores_refuse();
    }

    /// Numbers that were written for another algorithm.
    fn foreign_numbers(&mut self, name: &str, algorithm: Algorithm) {
        let foreign: &[&str] = match algorithm {
            Algorithm::TokenBucket => &["limit", "window"],
            Algorithm::Sliding | Algorithm::Fixed => &["rate", "burst"],
        };
        let prefix = format!("limits.policies.{name}.");
        let written: Vec<String> = self
            .entries
            .range(prefix.clone()..)
            .map(|(path, _)| path)
            .take_while(|path| path.starts_with(&prefix))
            .filter(|path| {
                foreign.contains(&path.rsplit('.').next().unwrap_or_default()) && self.is_set(path)
            })
            .cloned()
            .collect();
        for path in written {
            self.problem(&path, "means nothing for this algorithm: remove it");
        }
    }

    /// The stores judge their own rules too, so that nothing which passes here is refused later.
    fn what_stores_refuse(&mut self) {
        if !self.problems.is_empty() {
            return;
        }
        for fault in into_policies::limits(&self.config.limits).err().unwrap_or_default() {
            let class = fault.class.as_ref().map_or(String::new(), |class| format!("classes.{class}."));
            self.problem(
                &format!("limits.policies.{}.{class}{}", fault.policy, fault.field),
                fault.to_string(),
            );
        }
        for (kind, settings) in &self.config.sessions {
            if let Some((key, legal)) = into_policies::session_kind(settings).fault() {
                self.problem(&format!("sessions.{kind}.{key}"), legal);
            }
        }
    }

    fn sliding(&mut self, name: &str) {
        let policy = &self.config.limits.policies[name];
        let legal =
            format!("at most {SLIDING_LIMIT_MAX} with `sliding`: use `token_bucket` or `fixed` above");
        if policy.limit > SLIDING_LIMIT_MAX {
            self.problem(&format!("limits.policies.{name}.limit"), legal.clone());
        }
        if policy.window > SLIDING_WINDOW_MAX {
            let legal = "at most 1d with `sliding`: use `fixed` above";
            self.problem(&format!("limits.policies.{name}.window"), legal);
        }
        for (class, settings) in &policy.classes {
            if settings.limit > SLIDING_LIMIT_MAX && settings.limit != policy.limit {
                self.problem(&format!("limits.policies.{name}.classes.{class}.limit"), legal.clone());
            }
        }
    }

    fn secrets(&mut self) {
        if self.config.secrets.token_key.is_some() {
            return;
        }
        match self.config.profile {
            Profile::Production => self.problem(
                "secrets.token_key",
                "is required in production: make one with `openssl rand -hex 32`, the same for all instances, and name \
                 its file in `secrets.token_key_file`",
            ),
            Profile::Development => self.warn(
                "generated_secret",
                format!(
                    "secrets.token_key: is not set; one is made once and kept in `{}`",
                    self.config.files().token_key().display()
                ),
            ),
        }
    }
}
