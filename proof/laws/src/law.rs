//! What a law is, and how it is run.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use statehold_core::{EngineKind, Guarantees, Slot};

use crate::breach::{Breach, LawResult};
use crate::broken::Broken;
use crate::rig::Rig;
use crate::stack::{Make, Stack};

/// One promise of the contract.
#[derive(Clone, Copy, Debug)]
pub struct Law {
    /// `group.name`, the id of its bullet.
    pub id: &'static str,
    /// The promise in a user's words.
    pub promise: &'static str,
    /// Whether a stack promises it.
    pub applies: fn(&Offer) -> Applies,
    /// Checks it on a rig of its own.
    pub check: fn(Rig) -> BoxFuture<'static, LawResult>,
    /// Engines that break it, each in its own way; the check must catch them all.
    pub broken: &'static [Broken],
}

impl Law {
    /// The part of the id before the dot.
    pub fn group(&self) -> &'static str {
        self.id.split_once('.').map_or(self.id, |(group, _)| group)
    }
}

/// What a stack promises: what laws decide by.
#[derive(Clone, Debug)]
pub struct Offer {
    /// Which engine it is.
    pub kind: EngineKind,
    /// What the engine promises.
    pub guarantees: Guarantees,
    /// Whether commits can be heard.
    pub signals: bool,
    /// The layers around the engine.
    pub slots: Vec<Slot>,
}

/// Whether a stack promises a law.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applies {
    /// It does.
    Yes,
    /// It does not, and says why.
    No(&'static str),
}

/// Runs a law on a stack; a law that the stack does not promise holds.
///
/// # Errors
/// Why the law does not hold.
pub async fn run_on(law: &Law, stack: &Stack) -> LawResult {
    run(law, stack.maker()).await
}

/// Runs a law on the sound engine, with one habit broken.
///
/// # Errors
/// What the law says of it: always, if the law bites.
pub async fn run_on_broken(law: &Law, broken: &Broken) -> LawResult {
    run(law, broken.maker()).await
}

async fn run(law: &Law, make: Make) -> LawResult {
    let rig = Rig::new(Arc::clone(&make)).await?;
    if let Applies::No(_) = (law.applies)(&rig.offer()) {
        return Ok(());
    }
    // On a task of its own, so that a law that panics is a law that fails, by its own name.
    match tokio::spawn((law.check)(rig)).await {
        Ok(result) => result,
        Err(panic) => Err(Breach::Broken(format!("the check of {} did not end: {panic}", law.id))),
    }
}
