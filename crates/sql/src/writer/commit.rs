//! The writer thread: batch, transaction, answers.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use rusqlite::Connection;
use statehold_core::{Kind, Outcome};

use super::checkpoint::Checkpoints;
use super::queue::{Answer, LATE, Stop};
use super::{Shared, Work};
use crate::classify::{self, Fault};
use crate::connect::Synchronous;
use crate::tx::Tx;

/// Jobs in one transaction at most.
const BATCH_MAX: usize = 512;

/// The state of a writer thread.
pub(super) struct Committer<W: Work> {
    connection: Connection,
    /// What synced jobs ask for.
    synchronous: Synchronous,
    /// What the connection is set to.
    set_to: Synchronous,
    work: W,
    shared: Arc<Shared<W::Job>>,
    checkpoints: Checkpoints,
}

impl<W: Work> Committer<W> {
    pub(super) fn new(
        connection: Connection,
        synchronous: Synchronous,
        work: W,
        shared: Arc<Shared<W::Job>>,
        checkpoints: Checkpoints,
    ) -> Self {
        Self { connection, synchronous, set_to: synchronous, work, shared, checkpoints }
    }

    pub(super) fn run(mut self) {
        let mut batch = Vec::with_capacity(BATCH_MAX);
        let mut unsynced = Vec::new();
        while self.shared.queue.take(&mut batch, BATCH_MAX) {
            refuse_late(&mut batch);
            if self.synchronous == Synchronous::Full {
                unsynced.extend(batch.extract_if(.., |job| job.unsynced()));
                self.transact(&mut unsynced, Synchronous::Normal);
            }
            self.transact(&mut batch, self.synchronous);
            let pages = self.shared.log_pages.load(Ordering::Relaxed);
            if self.shared.queue.stopped().is_none()
                && self.checkpoints.after_commit(&self.connection, pages).is_err()
            {
                self.shared.queue.stop(Stop::SyncFailed);
            }
        }
        if self.shared.queue.stopped().is_none()
            && let Err(fault) = self.within(Synchronous::Full, W::last)
        {
            tracing::error!(code = fault.code, "the database could not be closed in order");
            self.shared.queue.stop(Stop::SyncFailed);
        }
        let sound = self.shared.queue.stopped().is_none();
        self.checkpoints.close(&self.connection, sound);
    }

    /// Does the jobs in one transaction and answers every one.
    fn transact(&mut self, jobs: &mut Vec<W::Job>, synchronous: Synchronous) {
        if jobs.is_empty() {
            return;
        }
        let fate = match self.shared.queue.stopped() {
            Some(stop) => Err(stop.fault()),
            None => self.within(synchronous, |work, tx| work.run(tx, jobs)),
        };
        self.shared.transactions.fetch_add(1, Ordering::Relaxed);
        self.shared.jobs.fetch_add(jobs.len() as u64, Ordering::Relaxed);
        let Err(fault) = fate else { return self.work.committed(jobs) };
        if fault.outcome == Outcome::Unknown {
            tracing::error!(
                code = fault.code,
                "a commit could not be made durable: writes are refused from now on"
            );
            self.shared.queue.stop(Stop::SyncFailed);
        }
        if let Err(error) = self.work.rolled_back(&Tx::new(&self.connection)) {
            tracing::error!(%error, "the database cannot be read after a rollback: writes are refused from now on");
            self.shared.queue.stop(Stop::SyncFailed);
        }
        for job in jobs.drain(..) {
            job.refuse(fault);
        }
    }

    /// One transaction, rolled back unless it ends well.
    fn within(
        &mut self,
        synchronous: Synchronous,
        run: impl FnOnce(&mut W, &Tx<'_>) -> statehold_core::Result<()>,
    ) -> Result<(), Fault> {
        if self.set_to != synchronous {
            self.execute(synchronous.pragma())?;
            self.set_to = synchronous;
        }
        self.execute("BEGIN IMMEDIATE")?;
        let tx = Tx::new(&self.connection);
        let work = &mut self.work;
        let ran = catch_unwind(AssertUnwindSafe(|| run(work, &tx)));
        let done = match ran {
            Ok(Ok(())) if tx.is_gone() => Err(Fault::new(Kind::Internal, "the transaction ended by itself")),
            Ok(Ok(())) => self.commit(),
            Ok(Err(error)) => Err(Fault::of(&error)),
            Err(_) => Err(Fault::new(Kind::Internal, "a write panicked")),
        };
        if done.is_err() && !self.connection.is_autocommit() && self.execute("ROLLBACK").is_err() {
            self.shared.queue.stop(Stop::SyncFailed);
        }
        done
    }

    fn commit(&self) -> Result<(), Fault> {
        self.shared.version.raise();
        let done = self.commit_now();
        self.shared.version.raise();
        done
    }

    fn commit_now(&self) -> Result<(), Fault> {
        #[cfg(any(test, feature = "faults"))]
        if let Some(fault) = self.shared.faults.take() {
            let ended = if fault == SyncFault::AfterWrite { "COMMIT" } else { "ROLLBACK" };
            self.execute(ended)?;
            let failure = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_IOERR_FSYNC);
            return Err(classify::commit_fault(&rusqlite::Error::SqliteFailure(failure, None)));
        }
        let committed = self.connection.prepare_cached("COMMIT").and_then(|mut commit| commit.raw_execute());
        committed.map(drop).map_err(|e| classify::commit_fault(&e))
    }

    fn execute(&self, sql: &str) -> Result<(), Fault> {
        // A pragma works while it is prepared, so that it cannot be cached.
        let done = if sql.starts_with("PRAGMA") {
            self.connection.execute_batch(sql)
        } else {
            self.connection.prepare_cached(sql).and_then(|mut sql| sql.raw_execute()).map(drop)
        };
        done.map_err(|e| classify::fault(&e))
    }
}

/// Refuses the jobs whose callers have stopped waiting.
fn refuse_late<J: Answer>(batch: &mut Vec<J>) {
    let mut now = None;
    let late = |job: &mut J| job.deadline().is_some_and(|at| at <= *now.get_or_insert_with(Instant::now));
    for job in batch.extract_if(.., late) {
        job.refuse(LATE);
    }
}

/// How a sync fails in a test: what is on disk is not known to the caller either way.
#[cfg(any(test, feature = "faults"))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SyncFault {
    /// Nothing reached the disk.
    BeforeWrite,
    /// Everything reached the disk, and the sync failed all the same.
    AfterWrite,
}

#[cfg(any(test, feature = "faults"))]
#[derive(Debug, Default)]
pub(super) struct Faults(parking_lot::Mutex<Option<SyncFault>>);

#[cfg(any(test, feature = "faults"))]
impl Faults {
    pub(super) fn arm(&self, fault: SyncFault) {
        *self.0.lock() = Some(fault);
    }

    fn take(&self) -> Option<SyncFault> {
        self.0.lock().take()
    }
}
