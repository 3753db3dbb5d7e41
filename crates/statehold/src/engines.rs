//! The configured engines, opened, each with its layers around it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use statehold_core::{Clock, Cx, Engine, EngineKind, Kind, PAGE_MAX, Probe, Result, StackBuilder};
use statehold_engines::memory::{MemoryConfig, MemoryEngine};
use statehold_engines::sql::{EmbeddedConfig, EmbeddedEngine};
use statehold_journal::control::ControlTables;
use statehold_layers::{DeadlineLayer, MetricsLayer};
use statehold_moves::placement::Mounted;

use crate::config::{Config, EngineChoice, EngineSettings, Synchronous};
use crate::fault::OpenError;

/// Steps of [`PAGE_MAX`] items that one sweep takes at an engine.
const SWEEP_STEPS_MAX: usize = 64;

/// Every engine by name.
#[derive(Debug, Default)]
pub(crate) struct Engines(BTreeMap<Arc<str>, Opened>);

/// One engine.
#[derive(Debug)]
pub(crate) struct Opened {
    /// What placement needs of it.
    pub(crate) mounted: Mounted,
    concrete: Concrete,
}

#[derive(Debug)]
enum Concrete {
    Memory(Arc<MemoryEngine>),
    Embedded(Arc<EmbeddedEngine>),
}

impl Engines {
    /// Opens every configured engine, and notes how often each file has been opened.
    pub(crate) async fn open(
        config: &Config,
        clock: &Arc<dyn Clock>,
        tables: &ControlTables,
    ) -> Result<Self, OpenError> {
        let mut engines = Self::default();
        for settings in config.engines.values() {
            let opened = open_one(config, settings, clock, tables).await?;
            engines.0.insert(Arc::clone(&settings.name), opened);
        }
        Ok(engines)
    }

    /// An engine by its name.
    pub(crate) fn get(&self, name: &str) -> Option<&Opened> {
        self.0.get(name)
    }

    /// Every engine, in the order of names.
    pub(crate) fn each(&self) -> impl Iterator<Item = &Opened> {
        self.0.values()
    }

    /// Removes what has expired, a bounded number of steps per engine; says how much.
    pub(crate) async fn sweep(&self) -> Result<u64> {
        let mut swept = 0;
        for opened in self.0.values() {
            for _ in 0..SWEEP_STEPS_MAX {
                let step = match &opened.concrete {
                    Concrete::Memory(engine) => engine.sweep(PAGE_MAX),
                    Concrete::Embedded(engine) => engine.sweep(PAGE_MAX).await?,
                };
                swept += step as u64;
                if step < PAGE_MAX {
                    break;
                }
                tokio::task::yield_now().await;
            }
        }
        Ok(swept)
    }

    /// Notes how often each file was opened and closed: a lower count at a later start says that an older copy was put
    /// back.
    pub(crate) async fn note_opens(&self, tables: &ControlTables) -> Result<()> {
        for opened in self.0.values() {
            if let Concrete::Embedded(engine) = &opened.concrete {
                tables.note_opens(opened.name(), engine.open_count()).await?;
            }
        }
        Ok(())
    }

    /// Closes every engine; blocks until what waits is written.
    pub(crate) fn close(&self) {
        for opened in self.0.values() {
            if let Concrete::Embedded(engine) = &opened.concrete {
                engine.close();
            }
        }
    }
}

impl Opened {
    /// Its name.
    pub(crate) fn name(&self) -> &Arc<str> {
        &self.mounted.engine.description().name
    }

    /// Which engine it is.
    pub(crate) fn kind(&self) -> EngineKind {
        self.mounted.engine.description().kind
    }

    /// How it is, asked without its layers.
    pub(crate) async fn probe(&self) -> Result<Probe> {
        self.mounted.engine.probe(&Cx::new()).await
    }
}

async fn open_one(
    config: &Config,
    settings: &EngineSettings,
    clock: &Arc<dyn Clock>,
    tables: &ControlTables,
) -> Result<Opened, OpenError> {
    match &settings.kind {
        EngineChoice::Memory { memory_limit } => {
            let memory = MemoryConfig {
                name: Arc::clone(&settings.name),
                bytes_max: *memory_limit,
                disposable_bytes_max: config.cache.memory_limit.min(*memory_limit),
                value_bytes_max: settings.value_bytes_max,
            };
            let engine = MemoryEngine::new(memory, Arc::clone(clock));
            let concrete = Concrete::Memory(Arc::clone(&engine));
            mount(settings, Arc::clone(&engine) as _, engine, concrete)
        }
        EngineChoice::Embedded { path, synchronous, readers } => {
            let noted = tables.noted_opens(&settings.name).await?;
            let embedded = embedded(settings, path, *synchronous, *readers, noted);
            let clock = Arc::clone(clock);
            let opened = tokio::task::spawn_blocking(move || EmbeddedEngine::open(embedded, clock)).await;
            let engine = opened
                .map_err(|panicked| {
                    OpenError::unavailable("an engine did not open", "report this").caused_by(panicked)
                })?
                .map_err(|error| cannot_open(settings, path, error))?;
            tables.note_opens(&settings.name, engine.open_count()).await?;
            let concrete = Concrete::Embedded(Arc::clone(&engine));
            mount(settings, Arc::clone(&engine) as _, engine, concrete)
        }
    }
}

fn embedded(
    settings: &EngineSettings,
    path: &std::path::Path,
    synchronous: Synchronous,
    readers: usize,
    noted: u64,
) -> EmbeddedConfig {
    EmbeddedConfig {
        synchronous: match synchronous {
            Synchronous::Full => statehold_sql::Synchronous::Full,
            Synchronous::Normal => statehold_sql::Synchronous::Normal,
        },
        readers,
        value_bytes_max: settings.value_bytes_max,
        opens_noted: noted,
        ..EmbeddedConfig::at(Arc::clone(&settings.name), PathBuf::from(path))
    }
}

/// Puts the layers around an engine and prints the stack.
fn mount(
    settings: &EngineSettings,
    bare: Arc<dyn Engine>,
    engine: Arc<dyn statehold_core::Movable>,
    concrete: Concrete,
) -> Result<Opened, OpenError> {
    let stack = StackBuilder::new(bare)
        .layer(MetricsLayer)
        .layer(DeadlineLayer::new(settings.command_timeout))
        .build()?;
    tracing::info!(
        event = "engine_opened",
        engine = %settings.name,
        kind = %settings.kind.kind(),
        stack = %stack,
        "the engine is open"
    );
    Ok(Opened { mounted: Mounted { stack: stack.engine(), engine }, concrete })
}

fn cannot_open(settings: &EngineSettings, path: &std::path::Path, error: statehold_core::Error) -> OpenError {
    let name = &settings.name;
    let hint = match error.kind() {
        Kind::Corrupt => {
            "the file is damaged: keep it, run `statehold doctor`, and put a good copy in its place"
        }
        _ => "run `statehold doctor`",
    };
    OpenError::unavailable(format!("engine `{name}` cannot open `{}`", path.display()), hint).caused_by(error)
}
