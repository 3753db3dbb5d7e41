//! Behaviour around any engine, in an order the product fixes.

use std::fmt;
use std::sync::Arc;

use crate::engine::Engine;
use crate::error::{Error, Result};

/// Where a layer stands, outermost first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Slot {
    /// Counts and times what callers see.
    Metrics,
    /// Ends calls whose time ran out.
    Deadline,
    /// Answers from near copies.
    Cache,
    /// Repeats what is safe to repeat.
    Retry,
    /// Fails fast while an engine is down.
    Breaker,
    /// Encrypts values.
    Seal,
}

/// Behaviour around an engine.
pub trait Layer: fmt::Debug + Send + Sync {
    /// Where it stands.
    fn slot(&self) -> Slot;

    /// Puts it around an engine.
    fn wrap(&self, inner: Arc<dyn Engine>) -> Arc<dyn Engine>;
}

/// Collects layers; the slots, not the order of calls, decide where each stands.
#[derive(Debug)]
pub struct StackBuilder {
    engine: Arc<dyn Engine>,
    layers: Vec<Box<dyn Layer>>,
}

/// An engine with its layers around it.
#[derive(Clone)]
pub struct Stack {
    engine: Arc<dyn Engine>,
    slots: Vec<Slot>,
}

impl StackBuilder {
    /// Begins with an engine.
    pub fn new(engine: Arc<dyn Engine>) -> Self {
        Self { engine, layers: Vec::new() }
    }

    /// Adds a layer.
    #[must_use]
    pub fn layer(mut self, layer: impl Layer + 'static) -> Self {
        self.layers.push(Box::new(layer));
        self
    }

    /// Builds the stack.
    ///
    /// # Errors
    /// `Invalid` when two layers ask for one slot.
    pub fn build(mut self) -> Result<Stack> {
        self.layers.sort_by_key(|layer| layer.slot());
        if let Some(twice) = self.layers.windows(2).find(|pair| pair[0].slot() == pair[1].slot()) {
            return Err(Error::invalid(format!("two layers in the slot {:?}", twice[0].slot())));
        }
        let slots = self.layers.iter().map(|layer| layer.slot()).collect();
        let engine = self.layers.iter().rev().fold(self.engine, |inner, layer| layer.wrap(inner));
        Ok(Stack { engine, slots })
    }
}

impl Stack {
    /// The outermost layer, or the bare engine.
    pub fn engine(&self) -> Arc<dyn Engine> {
        Arc::clone(&self.engine)
    }

    /// The slots of the layers, outermost first.
    pub fn slots(&self) -> &[Slot] {
        &self.slots
    }
}

impl fmt::Display for Stack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for slot in &self.slots {
            write!(f, "{} > ", format!("{slot:?}").to_lowercase())?;
        }
        f.write_str(&self.engine.description().name)
    }
}

impl fmt::Debug for Stack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Stack({self})")
    }
}
