//! What the writer thread does with the engine's jobs.

use std::sync::Arc;
use std::time::{Duration, Instant};

use statehold_core::{Clock, Commit, Place, Receipt, Result};
use statehold_sql::{Answer, Fault, Tx, Work};
use tokio::sync::oneshot;

use super::commit::{Statements, commit};
use super::memory::{Directory, Memory};
use crate::hub::Hub;

/// What commits are judged by.
#[derive(Debug)]
pub(super) struct Rules {
    pub(super) clock: Arc<dyn Clock>,
    pub(super) commit_memory: Duration,
}

/// The writer's state.
#[derive(Debug)]
pub(super) struct Scribe {
    pub(super) memory: Memory,
    pub(super) rules: Rules,
    pub(super) directory: Arc<Directory>,
    pub(super) hub: Arc<Hub>,
}

/// One job of the engine.
pub(super) enum Job {
    /// A commit.
    Commit(CommitJob),
    /// Anything rarer.
    Other(OtherJob),
}

/// A commit and who waits for it.
pub(super) struct CommitJob {
    pub(super) at: Place,
    pub(super) commit: Commit,
    pub(super) deadline: Option<Instant>,
    pub(super) answer: oneshot::Sender<Result<Receipt>>,
    pub(super) result: Option<Result<Receipt>>,
}

/// A rarer job and how soon it must begin.
pub(super) struct OtherJob {
    pub(super) deadline: Option<Instant>,
    pub(super) unsynced: bool,
    pub(super) call: Box<dyn Call>,
}

/// A job that keeps its answer until the transaction is done.
pub(super) trait Call: Send {
    /// Runs it. The error rolls back everything of the transaction; one that leaves nothing changed is kept as the
    /// answer instead.
    fn run(&mut self, tx: &Tx<'_>, memory: &mut Memory) -> Result<()>;

    /// Gives the answer.
    fn answer(self: Box<Self>, fault: Option<Fault>);
}

/// A [`Call`] made of a closure. Its inner error must leave nothing changed.
pub(super) struct Typed<F, T> {
    pub(super) run: Option<F>,
    pub(super) result: Option<Result<T>>,
    pub(super) answer: oneshot::Sender<Result<T>>,
}

impl<F, T> Call for Typed<F, T>
where
    F: FnOnce(&Tx<'_>, &mut Memory) -> Result<Result<T>> + Send,
    T: Send,
{
    fn run(&mut self, tx: &Tx<'_>, memory: &mut Memory) -> Result<()> {
        let run = self.run.take().expect("a job is run once");
        self.result = Some(run(tx, memory)?);
        Ok(())
    }

    fn answer(self: Box<Self>, fault: Option<Fault>) {
        let result = fault.map(|fault| Err(fault.to_error())).or(self.result);
        if let Some(result) = result {
            // Nobody may wait any more: what has happened stays.
            let _ = self.answer.send(result);
        }
    }
}

impl Answer for Job {
    fn unsynced(&self) -> bool {
        match self {
            Self::Commit(job) => job.at.space.traits().unsynced,
            Self::Other(job) => job.unsynced,
        }
    }

    fn deadline(&self) -> Option<Instant> {
        match self {
            Self::Commit(job) => job.deadline,
            Self::Other(job) => job.deadline,
        }
    }

    fn refuse(self, fault: Fault) {
        match self {
            // Nobody may wait any more.
            Self::Commit(job) => drop(job.answer.send(Err(fault.to_error()))),
            Self::Other(job) => job.call.answer(Some(fault)),
        }
    }
}

impl Work for Scribe {
    type Job = Job;

    fn run(&mut self, tx: &Tx<'_>, jobs: &mut [Job]) -> Result<()> {
        let counted = self.memory.history.counter;
        let mut statements = Statements::prepare(tx)?;
        for job in jobs {
            match job {
                Job::Commit(job) => {
                    let done = commit(&mut statements, &mut self.memory, &self.rules, &job.at, &job.commit)?;
                    job.result = Some(done);
                }
                Job::Other(job) => job.call.run(tx, &mut self.memory)?,
            }
        }
        if self.memory.history.counter != counted {
            self.memory.history.count(tx)?;
        }
        Ok(())
    }

    fn committed(&mut self, jobs: &mut Vec<Job>) {
        self.directory.publish(&mut self.memory);
        for job in jobs.drain(..) {
            match job {
                Job::Commit(job) => {
                    let Some(result) = job.result else { continue };
                    if let Ok(receipt) = &result
                        && !receipt.replayed
                    {
                        self.hub.publish(&job.commit.announce, receipt.revision);
                    }
                    // Nobody may wait any more: what has happened stays.
                    let _ = job.answer.send(result);
                }
                Job::Other(job) => job.call.answer(None),
            }
        }
    }

    fn rolled_back(&mut self, tx: &Tx<'_>) -> Result<()> {
        self.memory = Memory::load(tx)?;
        self.directory.publish(&mut self.memory);
        Ok(())
    }

    fn last(&mut self, tx: &Tx<'_>) -> Result<()> {
        self.memory.history.end(tx)
    }
}
