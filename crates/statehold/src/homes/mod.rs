//! Where every store of every namespace lives, and the stores that are open.

mod needs;
mod shelf;

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::RwLock;
use statehold_core::{Clock, EngineKind, Error, Kind, Namespace, Needs, Result, Space, StoreName, Traits};
use statehold_journal::control::{ControlTables, Placement};
use statehold_moves::placement::Placed;
use statehold_stores::Home;
use statehold_stores::cache::Cache;
use statehold_stores::limits::Limits;
use statehold_stores::sessions::{SessionKeys, Sessions};

use self::needs::{Judgement, judge};
use self::shelf::Shelf;
use crate::config::{Config, StoreSettings, Warning};
use crate::engines::{Engines, Opened};
use crate::fault::OpenError;
use crate::secrets::KeyMaterial;

/// What the product must know of a store to give it a home.
#[derive(Clone, Copy, Debug)]
struct Kept {
    name: &'static str,
    needs: Needs,
    traits: Traits,
}

const CACHE: Kept = Kept { name: Cache::STORE, needs: Cache::NEEDS, traits: Cache::TRAITS };
const LIMITS: Kept = Kept { name: Limits::STORE, needs: Limits::NEEDS, traits: Limits::TRAITS };
const SESSIONS: Kept = Kept { name: Sessions::STORE, needs: Sessions::NEEDS, traits: Sessions::TRAITS };
const STORES: [Kept; 3] = [SESSIONS, CACHE, LIMITS];

/// Where a store is at this moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreHome {
    /// The store.
    pub store: &'static str,
    /// Its engine: of most of its spaces, or of new ones where there is none yet.
    pub engine: Arc<str>,
    /// Which engine that is.
    pub kind: EngineKind,
    /// A process that ends loses nothing.
    pub durable: bool,
    /// Several processes see one state.
    pub distributed: bool,
}

/// The stores and what they are opened with.
#[derive(Debug)]
pub(crate) struct Homes {
    config: RwLock<Arc<Config>>,
    clock: Arc<dyn Clock>,
    tables: Arc<ControlTables>,
    engines: Arc<Engines>,
    spaces: RwLock<BTreeMap<String, Arc<Placed>>>,
    warnings: RwLock<BTreeMap<String, Warning>>,
    token_key: KeyMaterial,
    sessions: Shelf<Sessions>,
    cache: Shelf<Cache>,
    limits: Shelf<Limits>,
}

impl Homes {
    /// Checks every store at its home, before any of them is opened.
    ///
    /// # Errors
    /// `Configuration` where a store must not be where it is configured or placed, or a placement names an engine that
    /// the configuration lacks.
    pub(crate) async fn check(
        config: &Arc<Config>,
        clock: &Arc<dyn Clock>,
        tables: &Arc<ControlTables>,
        engines: &Arc<Engines>,
        token_key: KeyMaterial,
    ) -> Result<Self, OpenError> {
        let homes = Self {
            config: RwLock::new(Arc::clone(config)),
            clock: Arc::clone(clock),
            tables: Arc::clone(tables),
            engines: Arc::clone(engines),
            spaces: RwLock::default(),
            warnings: RwLock::default(),
            token_key,
            sessions: Shelf::default(),
            cache: Shelf::default(),
            limits: Shelf::default(),
        };
        for kept in STORES {
            let settings = homes.settings(kept.name);
            let engine = engines.get(&settings.engine).ok_or_else(|| lacks(kept.name, &settings.engine))?;
            homes.admit(kept, &settings, engine).map_err(refused)?;
        }
        for placement in tables.placements().await? {
            homes.check_placement(&placement)?;
        }
        for home in homes.where_they_are().await? {
            tracing::info!(
                event = "store_home",
                store = home.store,
                engine = %home.engine,
                kind = %home.kind,
                durable = home.durable,
                distributed = home.distributed,
                "store={} engine={} kind={} durable={} distributed={}",
                home.store, home.engine, home.kind, home.durable, home.distributed
            );
        }
        Ok(homes)
    }

    fn check_placement(&self, placement: &Placement) -> Result<(), OpenError> {
        let name = placement.space.store().as_str();
        let engine = self
            .engines
            .get(&placement.engine)
            .ok_or_else(|| lacks(placement.space.key(), &placement.engine))?;
        let Some(kept) = STORES.into_iter().find(|kept| kept.name == name) else { return Ok(()) };
        let settings = self.settings(kept.name);
        self.admit(kept, &settings, engine).map_err(refused)?;
        self.note_difference(placement, &settings);
        Ok(())
    }

    /// The sessions of a namespace.
    pub(crate) async fn sessions(&self, namespace: &Namespace) -> Result<Arc<Sessions>> {
        self.serving(namespace)?;
        if let Some(open) = self.sessions.get(namespace) {
            return Ok(open);
        }
        let open = async {
            let home = self.home(namespace, SESSIONS).await?;
            let config = Arc::clone(&self.config.read());
            let keys = SessionKeys::new(self.token_key.expose());
            Ok(Sessions::new(home, keys, config.session_policies(), config.limit_policies()))
        };
        self.sessions.open(namespace, open).await
    }

    /// The cache of a namespace.
    pub(crate) async fn cache(&self, namespace: &Namespace) -> Result<Arc<Cache>> {
        self.serving(namespace)?;
        if let Some(open) = self.cache.get(namespace) {
            return Ok(open);
        }
        let open = async {
            let home = self.home(namespace, CACHE).await?;
            Ok(Cache::new(home, self.config.read().cache_policy()))
        };
        self.cache.open(namespace, open).await
    }

    /// The limits of a namespace.
    pub(crate) async fn limits(&self, namespace: &Namespace) -> Result<Arc<Limits>> {
        self.serving(namespace)?;
        if let Some(open) = self.limits.get(namespace) {
            return Ok(open);
        }
        let open = async {
            let home = self.home(namespace, LIMITS).await?;
            Ok(Limits::new(home, self.config.read().limit_policies()))
        };
        self.limits.open(namespace, open).await
    }

    /// Puts new rules in force in every open store; later ones open with them.
    pub(crate) fn reload(&self, config: &Arc<Config>) {
        *self.config.write() = Arc::clone(config);
        let limits = config.limit_policies();
        for store in self.sessions.each() {
            store.reload(config.session_policies(), limits.clone());
        }
        for store in self.cache.each() {
            store.reload(config.cache_policy());
        }
        for store in self.limits.each() {
            store.reload(limits.clone());
        }
    }

    /// Lets the stores of a deleted namespace go.
    pub(crate) fn forget(&self, namespace: &Namespace) {
        self.sessions.forget(namespace);
        self.cache.forget(namespace);
        self.limits.forget(namespace);
        self.spaces.write().retain(|_, placed| placed.space().namespace() != namespace);
    }

    /// A space at its home, opened where it is not, for work that no store does.
    pub(crate) async fn placed(&self, placement: &Placement) -> Result<Arc<Placed>> {
        if let Some(known) = self.spaces.read().get(placement.space.key()) {
            return Ok(Arc::clone(known));
        }
        let placed = self.placed_apart(placement).await?;
        let mut spaces = self.spaces.write();
        Ok(Arc::clone(spaces.entry(placement.space.key().to_owned()).or_insert(placed)))
    }

    /// A space at its home that shares nothing with the stores that are open there.
    pub(crate) async fn placed_apart(&self, placement: &Placement) -> Result<Arc<Placed>> {
        let engine = self.engines.get(&placement.engine).ok_or_else(away)?;
        // As its store opens it, whoever comes first: the engine keeps another history for each way of syncing.
        let name = placement.space.store().as_str();
        let kept = STORES.into_iter().find(|kept| kept.name == name);
        let space = kept.map_or_else(
            || placement.space.clone(),
            |kept| placement.space.clone().with_traits(traits(kept, &self.settings(kept.name))),
        );
        Placed::open(space, placement, engine.mounted.clone(), Arc::clone(&self.tables)).await
    }

    /// Warnings about homes, in the order of what they are about.
    pub(crate) fn warnings(&self) -> Vec<Warning> {
        self.warnings.read().values().cloned().collect()
    }

    /// Where every store is: at the engine of its spaces, or of new ones where there is none. A store whose spaces
    /// are at several engines is named once for each.
    pub(crate) async fn where_they_are(&self) -> Result<Vec<StoreHome>> {
        let placements = self.tables.placements().await?;
        let mut homes = Vec::new();
        for kept in STORES {
            let mut engines: Vec<Arc<str>> = placements
                .iter()
                .filter(|placement| placement.space.store().as_str() == kept.name)
                .map(|placement| Arc::clone(&placement.engine))
                .collect();
            engines.sort();
            engines.dedup();
            if engines.is_empty() {
                engines.push(self.settings(kept.name).engine);
            }
            homes.extend(
                engines.iter().filter_map(|name| self.engines.get(name)).map(|at| at_home(kept.name, at)),
            );
        }
        Ok(homes)
    }

    async fn home(&self, namespace: &Namespace, kept: Kept) -> Result<Home> {
        let settings = self.settings(kept.name);
        let traits = traits(kept, &settings);
        let space = Space::new(namespace.clone(), StoreName::new(kept.name)?).with_traits(traits);
        let placement = self.tables.place(&space, &settings.engine).await?;
        let engine = self.engines.get(&placement.engine).ok_or_else(away)?;
        self.admit(kept, &settings, engine).map_err(|text| Error::new(Kind::Refused, text))?;
        self.note_difference(&placement, &settings);
        let placed = self.placed(&placement).await?;
        Ok(Home::new(placed, placement.space, Arc::clone(&self.clock)))
    }

    fn serving(&self, namespace: &Namespace) -> Result<()> {
        if self.tables.serves_namespace(namespace) {
            Ok(())
        } else {
            Err(Error::new(Kind::NotFound, "there is no such namespace"))
        }
    }

    fn admit(&self, kept: Kept, settings: &StoreSettings, engine: &Opened) -> Result<(), String> {
        let profile = self.config.read().profile;
        let description = engine.mounted.engine.description();
        match judge(profile, kept.name, kept.needs, settings.allow_volatile, description) {
            Judgement::Fits => Ok(()),
            Judgement::Warned(text) => {
                self.warn(format!("needs {} {}", kept.name, description.name), "store_needs", text);
                Ok(())
            }
            Judgement::Refused(text) => Err(text),
        }
    }

    fn note_difference(&self, placement: &Placement, settings: &StoreSettings) {
        if placement.engine != settings.engine {
            let text = format!(
                "`{}` is at engine `{}`, the configuration says `{}`: the placement holds until a move",
                placement.space.key(),
                placement.engine,
                settings.engine
            );
            self.warn(format!("differs {}", placement.space.key()), "placement_differs", text);
        }
    }

    /// Tells a warning once, and keeps it for status.
    fn warn(&self, about: String, code: &'static str, text: String) {
        self.warnings.write().entry(about).or_insert_with(|| {
            tracing::warn!(event = code, "{text}");
            Warning { code, text }
        });
    }

    fn settings(&self, store: &str) -> StoreSettings {
        let config = self.config.read();
        let all = config.stores.each();
        let found = all.iter().find(|(name, _)| *name == store);
        found.map(|(_, settings)| StoreSettings::clone(settings)).expect("every store has settings")
    }
}

/// A store's traits as it is configured.
fn traits(kept: Kept, settings: &StoreSettings) -> Traits {
    Traits { unsynced: kept.traits.disposable && !settings.sync, ..kept.traits }
}

fn at_home(store: &'static str, engine: &Opened) -> StoreHome {
    let description = engine.mounted.engine.description();
    StoreHome {
        store,
        engine: Arc::clone(&description.name),
        kind: description.kind,
        durable: description.guarantees.durability > statehold_core::Durability::Volatile,
        distributed: description.guarantees.shared,
    }
}

fn lacks(what: &str, engine: &str) -> OpenError {
    OpenError::configuration(
        format!("`{what}` is at engine `{engine}`, which the configuration does not have"),
        format!("configure `engines.{engine}` again as it was"),
    )
}

fn refused(text: String) -> OpenError {
    OpenError::configuration(
        text,
        "choose another `stores.<store>.engine`, or set `stores.<store>.allow_volatile = true` and accept the loss",
    )
}

fn away() -> Error {
    Error::new(Kind::Unavailable, "the engine of this space is not configured")
}
