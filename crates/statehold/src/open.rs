//! From a configuration to a running system, and back to rest.

use std::path::Path;
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};
use statehold_core::{Clock, Kind, Namespace, Result, Time};
use statehold_journal::control::{
    ControlTables, KeyHasher, KeyNamespaces, LIFETIME_DEFAULT, NewKey, STEPS, ScopeSet,
};
use statehold_sql::{Database, Interrupt, Options, Soundness, Stop, quick_check};
use statehold_stores::cache::Cache;
use statehold_stores::limits::Limits;
use statehold_stores::sessions::Sessions;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::{Config, ConfigErrors, EngineChoice, Profile, Sources, Warning};
use crate::directory::{DataDir, write_private};
use crate::engines::Engines;
use crate::fault::OpenError;
use crate::health::{Health, Phase};
use crate::homes::Homes;
use crate::jobs::{Ground, Jobs};
use crate::secrets::{self, KeyMaterial};

/// A running system. Cheap to clone; all clones are one system.
#[derive(Clone, Debug)]
pub struct Statehold(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    ground: Ground,
    jobs: Arc<Jobs>,
    health: Arc<Health>,
    directory: Mutex<Option<DataDir>>,
    warnings: Vec<Warning>,
    operator_key_written: bool,
    started_at: Time,
    stop: CancellationToken,
    tasks: TaskTracker,
    interrupt: Interrupt,
    closed: tokio::sync::OnceCell<()>,
}

impl Statehold {
    /// Starts the system: data directory, secrets, record database and its schema, engines, homes, jobs. A stop that
    /// was not in order needs no repair.
    ///
    /// # Errors
    /// [`crate::OpenKind::Configuration`] where what is configured must not be; [`crate::OpenKind::Unavailable`] where
    /// the directory is in use, or a database or an engine cannot serve. Nothing runs then.
    pub async fn open(config: Config, clock: Arc<dyn Clock>) -> Result<Self, OpenError> {
        let config = Arc::new(config);
        tracing::info!(
            event = "starting",
            profile = config.profile.as_str(),
            version = crate::VERSION,
            "starting"
        );
        let directory = DataDir::hold(&config)?;
        let mut warnings = config.warnings().to_vec();
        warnings.extend(directory_warning(&directory));
        let token_key = token_key(&config)?;
        let tables = open_tables(&config, &clock, &token_key).await?;
        let engines = Arc::new(Engines::open(&config, &clock, &tables).await?);
        let homes = Arc::new(Homes::check(&config, &clock, &tables, &engines, token_key).await?);
        let operator_key_written = first_operator_key(&config, &tables, &mut warnings).await?;
        for warning in &warnings {
            tracing::warn!(event = warning.code, "{}", warning.text);
        }
        let started_at = clock.now();
        let config = Arc::new(RwLock::new(config));
        let ground = Ground { config, clock, tables, engines, homes };
        let jobs = Arc::new(Jobs::start(&ground));
        let health = Health::new(ground.clone(), Arc::clone(&jobs));
        let inner = Inner {
            ground,
            jobs,
            health,
            directory: Mutex::new(Some(directory)),
            warnings,
            operator_key_written,
            started_at,
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
            interrupt: Interrupt::default(),
            closed: tokio::sync::OnceCell::new(),
        };
        let hold = Self(Arc::new(inner));
        hold.begin();
        Ok(hold)
    }

    /// What goes on beside the jobs: the beat, and one look at the files for damage.
    fn begin(&self) {
        let inner = &self.0;
        inner.tasks.spawn(Arc::clone(&inner.health).beat(inner.stop.clone()));
        let (tables, interrupt) = (Arc::clone(&inner.ground.tables), inner.interrupt.clone());
        inner.tasks.spawn_blocking(move || look_for_damage(tables.database(), &interrupt));
        inner.tasks.close();
        inner.health.enter(Phase::Serving);
    }

    /// The sessions of a namespace; the space is made by its first use.
    ///
    /// # Errors
    /// `NotFound` for a namespace that does not exist or was deleted; `Refused` where the store must not be at its
    /// engine; what the engine and the control tables answer.
    pub async fn sessions(&self, namespace: &Namespace) -> Result<Arc<Sessions>> {
        self.0.ground.homes.sessions(namespace).await
    }

    /// The cache of a namespace; the space is made by its first use.
    ///
    /// # Errors
    /// As [`Self::sessions`].
    pub async fn cache(&self, namespace: &Namespace) -> Result<Arc<Cache>> {
        self.0.ground.homes.cache(namespace).await
    }

    /// The limits of a namespace; the space is made by its first use.
    ///
    /// # Errors
    /// As [`Self::sessions`].
    pub async fn limits(&self, namespace: &Namespace) -> Result<Arc<Limits>> {
        self.0.ground.homes.limits(namespace).await
    }

    /// API keys, namespaces and placements.
    pub fn control(&self) -> &Arc<ControlTables> {
        &self.0.ground.tables
    }

    /// How the system is.
    pub fn health(&self) -> &Arc<Health> {
        &self.0.health
    }

    /// The background jobs.
    pub fn jobs(&self) -> &Arc<Jobs> {
        &self.0.jobs
    }

    /// The clock of this system.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.0.ground.clock
    }

    /// The configuration in force.
    pub fn config(&self) -> Arc<Config> {
        Arc::clone(&self.0.ground.config.read())
    }

    /// When the system was opened.
    pub fn started_at(&self) -> Time {
        self.0.started_at
    }

    /// Whether this start made the first operator key and wrote it to [`crate::config::Files::operator_key`].
    pub fn operator_key_written(&self) -> bool {
        self.0.operator_key_written
    }

    /// Makes the first operator key and writes it to [`crate::config::Files::operator_key`], where none was ever made;
    /// for the command that prepares a directory. Says whether it did.
    ///
    /// # Errors
    /// When the disk or the record database refuses.
    pub async fn make_operator_key(&self) -> Result<bool, OpenError> {
        if self.control().has_operator_key() {
            return Ok(false);
        }
        make_operator_key(&self.config(), self.control()).await?;
        Ok(true)
    }

    /// What an operator should know, from the configuration, the start and the homes.
    pub fn warnings(&self) -> Vec<Warning> {
        let homes = self.0.ground.homes.warnings();
        self.config().warnings().iter().chain(&self.0.warnings).fold(homes, |mut all, warning| {
            if !all.contains(warning) {
                all.push(warning.clone());
            }
            all
        })
    }

    pub(crate) fn homes(&self) -> &Homes {
        &self.0.ground.homes
    }

    /// Writes the URL of this system's server, for the command line to find; taken back by [`Self::close`].
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn note_server(&self, url: &str) -> std::io::Result<()> {
        self.0.directory.lock().as_ref().map_or(Ok(()), |directory| directory.note_server(url))
    }

    /// Reads the configuration again and puts into force what a running system can change: rules of sessions, cache and
    /// limits, health, metrics and features. The level of the log is the caller's to change, from [`Self::config`].
    ///
    /// # Errors
    /// Every mistake at once; nothing has changed then.
    pub fn reload(&self, sources: &Sources) -> Result<crate::config::Change, ConfigErrors> {
        let change = self.config().reload(sources)?;
        let config = Arc::new(change.config.clone());
        self.0.ground.homes.reload(&config);
        *self.0.ground.config.write() = config;
        Ok(change)
    }

    /// Refuses new work to whoever asks health: the first step of a stop.
    pub fn drain(&self) {
        self.0.health.enter(Phase::Draining);
    }

    /// Stops the jobs, writes what waits, closes engines and databases and lets the data directory go. Calling it again
    /// waits for the first call and does nothing.
    pub async fn close(&self) {
        self.0.closed.get_or_init(|| self.0.end()).await;
    }
}

/// A system that is dropped without [`Statehold::close`] ends as one that is killed does, only sooner.
impl Drop for Inner {
    fn drop(&mut self) {
        self.interrupt.raise();
        self.stop.cancel();
        self.jobs.cancel();
    }
}

impl Inner {
    async fn end(&self) {
        self.health.enter(Phase::Draining);
        self.interrupt.raise();
        self.stop.cancel();
        self.jobs.stop().await;
        self.tasks.wait().await;
        let engines = Arc::clone(&self.ground.engines);
        let tables = Arc::clone(&self.ground.tables);
        let closed = tokio::task::spawn_blocking(move || engines.close()).await;
        if closed.is_err() || self.ground.engines.note_opens(&tables).await.is_err() {
            tracing::error!(
                event = "close_incomplete",
                "an engine was not closed in order; the next start sees to it"
            );
        }
        // Nothing is left to do where the thread that closes ends early.
        let _ended = tokio::task::spawn_blocking(move || tables.database().close()).await;
        if let Some(directory) = self.directory.lock().take() {
            directory.forget_server();
        }
        tracing::info!(event = "stopped", "stopped");
    }
}

fn directory_warning(directory: &DataDir) -> Option<Warning> {
    let mode = directory.lets_others_in()?;
    let path = directory.path().display();
    Some(Warning {
        code: "data_dir_mode",
        text: format!("the data directory `{path}` has mode {mode:04o} and lets others in: `chmod 700` it"),
    })
}

/// The configured token key; in development one that is made once, of which the configuration warns.
fn token_key(config: &Config) -> Result<KeyMaterial, OpenError> {
    if let Some(key) = &config.secrets.token_key {
        return Ok(key.clone());
    }
    if config.profile == Profile::Production {
        return Err(OpenError::configuration(
            "`secrets.token_key` is missing, and production makes no secret by itself",
            "run `statehold init`, or set `secrets.token_key_file` to a file with `openssl rand -hex 32`",
        ));
    }
    let path = config.files().token_key();
    let (key, made) = secrets::load_or_create(&path).map_err(|cause| {
        OpenError::unavailable(
            format!("the token key `{}` cannot be used", path.display()),
            "mend the file, or restore it from a copy",
        )
        .caused_by(cause)
    })?;
    if made {
        tracing::info!(event = "secret_made", "a token key was made and kept in `{}`", path.display());
    }
    Ok(key)
}

async fn open_tables(
    config: &Config,
    clock: &Arc<dyn Clock>,
    token_key: &KeyMaterial,
) -> Result<Arc<ControlTables>, OpenError> {
    let path = config.records.path.clone();
    lost_records(config, &path)?;
    let now = clock.now();
    let opened = tokio::task::spawn_blocking(move || {
        let db = Database::open(&Options::at(path))?;
        statehold_sql::migrate(&db, STEPS, now).map(|_| db)
    });
    let opened = opened.await.map_err(|panicked| {
        OpenError::unavailable("the record database did not open", "report this").caused_by(panicked)
    })?;
    let failed = |error| cannot_open(&config.records.path, error);
    let db = opened.map_err(failed)?;
    ControlTables::open(db, Arc::clone(clock), KeyHasher::new(token_key.expose())).await.map_err(failed)
}

/// State without its record database would belong to nobody: its keys, namespaces and placements are gone.
fn lost_records(config: &Config, records: &Path) -> Result<(), OpenError> {
    if records.exists() {
        return Ok(());
    }
    let left = config.engines.values().find_map(|engine| match &engine.kind {
        EngineChoice::Embedded { path, .. } if path.exists() => Some(path),
        _ => None,
    });
    match left {
        None => Ok(()),
        Some(state) => Err(OpenError::unavailable(
            format!("`{}` is missing, but `{}` is there", records.display(), state.display()),
            "put the record database back; to begin anew, move the state file away",
        )),
    }
}

fn cannot_open(path: &Path, error: statehold_core::Error) -> OpenError {
    let hint = match error.kind() {
        Kind::Corrupt => {
            "the file is damaged: keep it, run `statehold doctor`, and put a good copy in its place"
        }
        Kind::Refused => {
            "use the version of statehold that wrote it, or a newer one; `statehold doctor` says more"
        }
        _ => "run `statehold doctor`",
    };
    OpenError::unavailable(format!("the record database `{}` cannot be opened", path.display()), hint)
        .caused_by(error)
}

/// In development, where there is no operator key: makes one. Says whether it did.
async fn first_operator_key(
    config: &Config,
    tables: &ControlTables,
    warnings: &mut Vec<Warning>,
) -> Result<bool, OpenError> {
    if tables.has_operator_key() {
        return Ok(false);
    }
    if config.profile == Profile::Production {
        warnings.push(Warning {
            code: "no_operator_key",
            text: "there is no operator key: make one with `statehold keys api create --operator`".to_owned(),
        });
        return Ok(false);
    }
    make_operator_key(config, tables).await?;
    Ok(true)
}

/// Makes a key that may do everything everywhere and writes it to the data directory.
async fn make_operator_key(config: &Config, tables: &ControlTables) -> Result<(), OpenError> {
    let issued = tables.draft_key(NewKey {
        name: "operator".to_owned(),
        namespaces: KeyNamespaces::All,
        scopes: ScopeSet::all(),
        lifetime: Some(LIFETIME_DEFAULT),
        allowed_cidrs: Vec::new(),
        created_by: "start".to_owned(),
    })?;
    // The file first: a key that is accepted but was never written down would leave the operator outside.
    let path = config.files().operator_key();
    write_private(&path, &format!("{}\n", issued.text.expose()))
        .map_err(|cause| OpenError::file(&path, cause))?;
    tables.keep_key(&issued.key).await?;
    Ok(())
}

/// Reads the whole record database once; damage stops writes, and health shows it.
fn look_for_damage(database: &Database, interrupt: &Interrupt) {
    match quick_check(database.path(), interrupt) {
        Ok(Soundness::Sound | Soundness::Interrupted) => {}
        Ok(Soundness::Unsound) => {
            database.stop(Stop::Unsound);
            tracing::error!(
                event = "records_unsound",
                "damage was found in the record database: writes have stopped"
            );
        }
        Err(error) => {
            tracing::warn!(event = "records_unchecked", error = %error, "the record database was not checked");
        }
    }
}
