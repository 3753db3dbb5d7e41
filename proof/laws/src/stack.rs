//! The stacks that the laws are run on.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use statehold_core::{Clock, Engine, Error, Movable, Result, Signals, Slot, StackBuilder};
use statehold_engines::memory::{MemoryConfig, MemoryEngine};
use statehold_engines::sql::{EmbeddedConfig, EmbeddedEngine, Synchronous};
use statehold_layers::{DeadlineLayer, MetricsLayer};

use crate::broken::Habits;
use crate::plain::{Plain, Sound};
use crate::rig::Site;

/// Starts an engine on a site.
pub type Make = Arc<dyn Fn(&Site) -> BoxFuture<'_, Result<Parts>> + Send + Sync>;

/// Ends an engine in order.
pub type Close = Box<dyn FnOnce() -> BoxFuture<'static, Result<()>> + Send + Sync>;

/// A running stack.
pub struct Parts {
    /// The engine itself.
    pub base: Arc<dyn Movable>,
    /// The outermost layer, or the engine itself.
    pub engine: Arc<dyn Engine>,
    /// The engine, where its commits can be heard.
    pub signals: Option<Arc<dyn Signals>>,
    /// The layers, outermost first.
    pub slots: Vec<Slot>,
    /// How it is closed in order; none where dropping it is enough.
    pub close: Option<Close>,
}

impl Parts {
    /// An engine with nothing around it.
    pub fn bare<E: Movable + Signals>(engine: Arc<E>) -> Self {
        Self {
            base: Arc::clone(&engine) as Arc<dyn Movable>,
            engine: Arc::clone(&engine) as Arc<dyn Engine>,
            signals: Some(engine),
            slots: Vec::new(),
            close: None,
        }
    }
}

/// An engine as somebody runs it.
#[derive(Clone)]
pub struct Stack {
    /// Its name in the matrix.
    pub name: &'static str,
    make: Make,
}

impl Stack {
    fn new(name: &'static str, make: impl Fn(&Site) -> Result<Parts> + Send + Sync + 'static) -> Self {
        Self { name, make: ready(make) }
    }

    /// How it is started.
    pub fn maker(&self) -> Make {
        Arc::clone(&self.make)
    }

    /// The stack with this name.
    ///
    /// # Errors
    /// `NotFound` where there is none.
    pub fn named(name: &str) -> Result<Self> {
        stacks()
            .into_iter()
            .find(|stack| stack.name == name)
            .ok_or_else(|| Error::new(statehold_core::Kind::NotFound, "there is no such stack"))
    }
}

impl fmt::Debug for Stack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Stack").field(&self.name).finish()
    }
}

/// Every stack that must keep the laws.
pub fn stacks() -> Vec<Stack> {
    vec![
        Stack::new("memory", |site| Ok(memory(site))),
        Stack::new("embedded", |site| embedded(site, Synchronous::Full)),
        Stack::new("embedded, normal", |site| embedded(site, Synchronous::Normal)),
        Stack::new("metrics > memory", |site| layered(memory(site), |stack| stack.layer(MetricsLayer))),
        Stack::new("deadline > memory", |site| layered(memory(site), |stack| stack.layer(deadline()))),
        Stack::new("production > memory", |site| layered(memory(site), production)),
        Stack::new("production > embedded", |site| layered(embedded(site, Synchronous::Full)?, production)),
    ]
}

fn memory(site: &Site) -> Parts {
    Parts::bare(MemoryEngine::new(MemoryConfig::default(), Arc::clone(&site.clock) as Arc<dyn Clock>))
}

fn embedded(site: &Site, synchronous: Synchronous) -> Result<Parts> {
    let config = EmbeddedConfig {
        synchronous,
        ..EmbeddedConfig::at("embedded", site.directory.path().join("state.db"))
    };
    let engine = EmbeddedEngine::open(config, Arc::clone(&site.clock) as Arc<dyn Clock>)?;
    let closing = Arc::clone(&engine);
    let close: Close = Box::new(move || {
        closing.close();
        Box::pin(std::future::ready(Ok(())))
    });
    Ok(Parts { close: Some(close), ..Parts::bare(engine) })
}

/// The layers that the front door puts around every engine.
fn production(stack: StackBuilder) -> StackBuilder {
    stack.layer(MetricsLayer).layer(deadline())
}

/// Longer than any call of a law takes.
fn deadline() -> DeadlineLayer {
    DeadlineLayer::new(Duration::from_mins(1))
}

/// The same engine with layers around it.
fn layered(parts: Parts, layers: impl FnOnce(StackBuilder) -> StackBuilder) -> Result<Parts> {
    let stack = layers(StackBuilder::new(Arc::clone(&parts.engine))).build()?;
    Ok(Parts { engine: stack.engine(), slots: stack.slots().to_vec(), ..parts })
}

/// The plainest engine that keeps every law: what the broken ones are made of.
pub fn plain() -> Stack {
    Stack { name: "plain", make: made_of(Arc::new(Sound)) }
}

/// The plainest engine, with these habits.
pub(crate) fn made_of(habits: Arc<dyn Habits>) -> Make {
    ready(move |site| {
        let engine = Plain::start(site, Arc::clone(&habits));
        Ok(Parts { slots: vec![Slot::Deadline], ..Parts::bare(engine) })
    })
}

fn ready(make: impl Fn(&Site) -> Result<Parts> + Send + Sync + 'static) -> Make {
    Arc::new(move |site| {
        let parts = make(site);
        Box::pin(std::future::ready(parts))
    })
}
