//! Configuration: every key declared once, every value with its origin, every mistake told at once.
//!
//! Precedence, low to high: built-in defaults, profile, file, environment, command line. The table in
//! [`KEYS`] is the one place that declares a key; parsing, [`Config::print_table`], [`Config::print_json`],
//! [`schema`] and the reference page come from it.

mod build;
mod check;
mod into_policies;
mod key;
mod keys;
mod origin;
mod print;
mod problem;
mod reference;
mod reload;
mod resolve;
mod schema;
mod settings;
mod sources;
mod suggest;
mod text;
mod value;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use build::Reader;
pub use check::Warning;
pub use key::{Default, Form, Key, Names};
pub use keys::KEYS;
pub use origin::Origin;
pub use problem::{ConfigErrors, Problem};
pub use reference::reference;
pub use reload::Change;
use resolve::Entries;
pub use resolve::Entry;
pub use schema::schema;
pub use settings::{
    Algorithm, CacheSettings, EngineChoice, EngineSettings, FeatureSettings, HealthDetail, HealthSettings,
    JobsSettings, LimitClassSettings, LimitPolicySettings, LimitsSettings, LogFormat, LogSettings,
    MetricsSettings, OnUnavailable, OverLimit, Profile, RecordsSettings, SecretsSettings, ServerSettings,
    SessionKindSettings, StoreSettings, StoresSettings, Synchronous, TlsSettings, TlsVersion, TraceSettings,
};
pub use sources::{Flag, Sources};
pub use value::Value;

/// Everything that was decided before the start, checked as a whole.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// How strict the product is.
    pub profile: Profile,
    /// Where everything lives that this machine keeps.
    pub data_dir: PathBuf,
    /// What the server listens on and how much it takes.
    pub server: ServerSettings,
    /// Engines by name.
    pub engines: BTreeMap<Arc<str>, EngineSettings>,
    /// Homes of spaces not yet created.
    pub stores: StoresSettings,
    /// The record tier.
    pub records: RecordsSettings,
    /// Session kinds by name: `user`, `node`, `service`.
    pub sessions: BTreeMap<Arc<str>, SessionKindSettings>,
    /// The cache.
    pub cache: CacheSettings,
    /// Rate limits.
    pub limits: LimitsSettings,
    /// Secrets as configured.
    pub secrets: SecretsSettings,
    /// Health checks.
    pub health: HealthSettings,
    /// Metrics.
    pub metrics: MetricsSettings,
    /// Logs.
    pub log: LogSettings,
    /// Traces.
    pub trace: TraceSettings,
    /// Switches.
    pub features: FeatureSettings,
    /// Background jobs.
    pub jobs: JobsSettings,
    entries: Entries,
    warnings: Vec<Warning>,
}

impl Config {
    /// Reads all sources and checks the whole. Nothing is created and no engine is asked.
    ///
    /// # Errors
    /// Every mistake at once.
    pub fn load(sources: &Sources) -> Result<Self, ConfigErrors> {
        let mut problems = Vec::new();
        let collected = sources::collect(sources, &mut problems);
        let (profile, entries) = resolve::resolve(&collected, &mut problems);
        let mut config = Self::typed(profile, entries);
        let checks = check::Checks::run(&config, &config.entries);
        // A key whose own value is wrong is told once: what follows from the default in its place would mislead.
        let told: Vec<String> = problems.iter().map(|problem| problem.key.clone()).collect();
        let follows = |problem: &Problem| {
            told.iter().any(|key| *key == problem.key || key.strip_suffix("_file") == Some(&problem.key))
        };
        let (found, warnings) = (checks.problems, checks.warnings);
        problems.extend(found.into_iter().filter(|problem| !follows(problem)));
        if let Some(errors) = ConfigErrors::from_problems(problems) {
            return Err(errors);
        }
        config.warnings = warnings;
        Ok(config)
    }

    /// The development profile in a directory, everything else by default: for programs that embed the crate, and
    /// for tests.
    ///
    /// # Errors
    /// When the directory's name is no legal path.
    pub fn in_directory(data_dir: &Path) -> Result<Self, ConfigErrors> {
        let flag = Flag {
            flag: "--data".to_owned(),
            key: "data_dir".to_owned(),
            value: data_dir.to_string_lossy().into_owned(),
        };
        Self::load(&Sources { flags: vec![flag], ..Sources::default() })
    }

    fn typed(profile: Profile, entries: Entries) -> Self {
        let read = Reader(&entries);
        let data_dir = build::data_dir(read);
        Self {
            profile,
            server: build::server(read),
            engines: build::engines(read, &data_dir),
            stores: build::stores(read),
            records: build::records(read, &data_dir),
            sessions: build::sessions(read),
            cache: build::cache(read),
            limits: build::limits(read),
            secrets: build::secrets(read),
            health: build::health(read),
            metrics: build::metrics(read),
            log: build::log(read),
            trace: build::trace(read),
            features: build::features(read),
            jobs: build::jobs(read),
            data_dir,
            entries,
            warnings: Vec::new(),
        }
    }

    /// Every effective value by path, in the order of paths.
    pub fn entries(&self) -> impl Iterator<Item = (&str, &Entry)> {
        self.entries.iter().map(|(path, entry)| (path.as_str(), entry))
    }

    /// Legal things that an operator should know: logged at start, shown in status.
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    /// Files in the data directory that others meet by name.
    pub fn files(&self) -> Files<'_> {
        Files { data_dir: &self.data_dir }
    }
}

/// Files in the data directory that others meet by name.
#[derive(Clone, Copy, Debug)]
pub struct Files<'a> {
    data_dir: &'a Path,
}

impl Files<'_> {
    /// Held while a process uses the directory.
    pub fn lock(self) -> PathBuf {
        self.data_dir.join("lock")
    }

    /// The address of the running server.
    pub fn server_address(self) -> PathBuf {
        self.data_dir.join("server.addr")
    }

    /// The first operator key, mode 0600.
    pub fn operator_key(self) -> PathBuf {
        self.data_dir.join("operator.key")
    }

    /// The token key that development makes, mode 0600.
    pub fn token_key(self) -> PathBuf {
        self.data_dir.join("secrets").join("token.key")
    }
}
