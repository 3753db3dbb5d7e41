//! One SQLite file, its writer and its readers.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::time::Instant;

use statehold_core::{Error, Kind, Outcome, Result};
use tokio::sync::oneshot;

use crate::classify::Fault;
use crate::connect::Options;
use crate::readers::{Readers, Scanners};
use crate::sql::Sql;
use crate::tx::Tx;
use crate::writer::{Answer, Setup, Stop, Work, Writer, WriterStats};

static SAVEPOINT: Sql = Sql::new("SAVEPOINT job");
static RELEASE: Sql = Sql::new("RELEASE job");
static ROLLBACK_TO: Sql = Sql::new("ROLLBACK TO job");

/// How a write is done.
#[derive(Clone, Copy, Debug)]
pub struct Manner {
    /// Names the write in errors and logs.
    pub label: &'static str,
    /// A write not begun by then is refused with `Deadline`.
    pub deadline: Option<Instant>,
    /// May be acknowledged before it is synced.
    pub unsynced: bool,
    /// Never fails after its first change, so that it needs no savepoint; if it does all the same, every write of its
    /// group fails with it.
    pub decided: bool,
}

impl Manner {
    /// A synced write that may fail at any point.
    pub const fn new(label: &'static str) -> Self {
        Self { label, deadline: None, unsynced: false, decided: false }
    }
}

/// One SQLite file in WAL mode. Cheap to share behind an `Arc`; dropping the last one closes it.
#[derive(Debug)]
pub struct Database {
    writer: Writer<Calls>,
    readers: Arc<Readers>,
    scanners: Scanners,
    path: PathBuf,
}

impl Database {
    /// Opens a file, making it where it is missing. Blocks.
    ///
    /// # Errors
    /// As [`Setup::open`].
    pub fn open(options: &Options) -> Result<Self> {
        Self::start(Setup::open(options)?)
    }

    /// Goes on from an opened file. Blocks.
    ///
    /// # Errors
    /// As [`Setup::open`].
    pub fn start(setup: Setup) -> Result<Self> {
        let options = setup.options().clone();
        let readers = setup.readers();
        let writer = Writer::start(setup, Calls)?;
        Ok(Self {
            writer,
            readers,
            scanners: Scanners::open(&options.path, options.scanners)?,
            path: options.path,
        })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Changes the database in one transaction, shared with the other writes that wait; answers after the sync. A
    /// failed write leaves nothing of its own behind, whatever becomes of the others.
    ///
    /// Dropping the future does not stop the write: its outcome is then unknown.
    ///
    /// # Errors
    /// What `f` returned; `Overloaded` when too many wait or the disk is full; `Unavailable` with an unknown outcome
    /// when the sync failed, and after that without effect until the database is opened again.
    pub async fn write<T: Send + 'static>(
        &self,
        label: &'static str,
        f: impl FnOnce(&mut Tx<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.write_as(Manner::new(label), f).await
    }

    /// [`Self::write`] in a manner of its own.
    ///
    /// # Errors
    /// As [`Self::write`], and `Deadline`.
    pub async fn write_as<T: Send + 'static>(
        &self,
        manner: Manner,
        f: impl FnOnce(&mut Tx<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (answer, answered) = oneshot::channel();
        self.submit(manner, f, move |result| drop(answer.send(result)));
        answered.await.unwrap_or_else(|_| Err(unanswered())).map_err(|e| e.during(manner.label))
    }

    /// [`Self::write`] for callers outside of a runtime. Blocks the thread.
    ///
    /// # Errors
    /// As [`Self::write`].
    pub fn write_blocking<T: Send + 'static>(
        &self,
        label: &'static str,
        f: impl FnOnce(&mut Tx<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (answer, answered) = sync_channel(1);
        self.submit(Manner::new(label), f, move |result| drop(answer.send(result)));
        answered.recv().unwrap_or_else(|_| Err(unanswered())).map_err(|e| e.during(label))
    }

    fn submit<T: Send + 'static>(
        &self,
        manner: Manner,
        f: impl FnOnce(&mut Tx<'_>) -> Result<T> + Send + 'static,
        answer: impl FnOnce(Result<T>) + Send + 'static,
    ) {
        let call = Typed { run: Some(f), result: None, answer };
        self.writer.submit(Call { manner, call: Box::new(call) });
    }

    /// Reads at one instant, on a thread that may block.
    ///
    /// # Errors
    /// What `f` returned.
    pub async fn read<T: Send + 'static>(
        &self,
        label: &'static str,
        f: impl FnOnce(&mut Tx<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.scanners.snapshot(move |tx| f(&mut Tx::again(tx))).await.map_err(|e| e.during(label))
    }

    /// Reads at one instant on the calling thread: for look-ups of some microseconds, where changing threads would
    /// cost more than the read.
    ///
    /// # Errors
    /// What `f` returned.
    pub fn read_inline<T>(&self, label: &'static str, f: impl FnOnce(&mut Tx<'_>) -> Result<T>) -> Result<T> {
        self.readers.snapshot(|tx| f(&mut Tx::again(tx))).map_err(|e| e.during(label))
    }

    /// What the writer has done so far.
    pub fn stats(&self) -> WriterStats {
        self.writer.stats()
    }

    /// Why writes are refused, if they are.
    pub fn stopped(&self) -> Option<Stop> {
        self.writer.stopped()
    }

    /// Takes no more writes until the database is opened again.
    pub fn stop(&self, why: Stop) {
        self.writer.stop(why);
    }

    /// Does the writes that wait, takes the log over into the file, ends the writer. Blocks; again is nothing.
    pub fn close(&self) {
        self.writer.close();
    }

    /// Makes the next commit meet a failing sync.
    #[cfg(any(test, feature = "faults"))]
    pub fn fail_next_sync(&self, fault: crate::SyncFault) {
        self.writer.fail_next_sync(fault);
    }
}

fn unanswered() -> Error {
    Error::new(Kind::Unavailable, "the database's writer ended").with_outcome(Outcome::Unknown)
}

/// One write that waits.
struct Call {
    manner: Manner,
    call: Box<dyn Callable>,
}

trait Callable: Send {
    /// Runs it and keeps the result; says whether it succeeded.
    fn run(&mut self, tx: &mut Tx<'_>) -> Result<(), Fault>;
    fn answer(self: Box<Self>);
    fn refuse(self: Box<Self>, fault: Fault);
}

struct Typed<F, T, A> {
    run: Option<F>,
    result: Option<Result<T>>,
    answer: A,
}

impl<F, T, A> Callable for Typed<F, T, A>
where
    F: FnOnce(&mut Tx<'_>) -> Result<T> + Send,
    T: Send,
    A: FnOnce(Result<T>) + Send,
{
    fn run(&mut self, tx: &mut Tx<'_>) -> Result<(), Fault> {
        let run = self.run.take().expect("a call is run once");
        let result = catch_unwind(AssertUnwindSafe(|| run(tx)))
            .unwrap_or_else(|_| Err(Error::internal("a write panicked")));
        let done = result.as_ref().map(drop).map_err(Fault::of);
        self.result = Some(result);
        done
    }

    fn answer(self: Box<Self>) {
        let this = *self;
        (this.answer)(this.result.unwrap_or_else(|| Err(unanswered())));
    }

    fn refuse(self: Box<Self>, fault: Fault) {
        let this = *self;
        (this.answer)(Err(fault.to_error()));
    }
}

impl Answer for Call {
    fn unsynced(&self) -> bool {
        self.manner.unsynced
    }

    fn deadline(&self) -> Option<Instant> {
        self.manner.deadline
    }

    fn refuse(self, fault: Fault) {
        self.call.refuse(fault);
    }
}

/// Runs closures, each in a savepoint of its own unless it promised not to need one.
struct Calls;

impl Work for Calls {
    type Job = Call;

    fn run(&mut self, tx: &Tx<'_>, jobs: &mut [Call]) -> Result<()> {
        for job in jobs {
            let mut own = Tx::again(tx);
            if job.manner.decided {
                job.call.run(&mut own).map_err(Fault::to_error)?;
                continue;
            }
            tx.execute(&SAVEPOINT, &[])?;
            if let Err(fault) = job.call.run(&mut own) {
                // Some errors (a full disk among them) roll the whole transaction back by themselves.
                if tx.is_gone() {
                    return Err(fault.to_error());
                }
                tx.execute(&ROLLBACK_TO, &[])?;
            }
            tx.execute(&RELEASE, &[])?;
        }
        Ok(())
    }

    fn committed(&mut self, jobs: &mut Vec<Call>) {
        for job in jobs.drain(..) {
            job.call.answer();
        }
    }

    fn rolled_back(&mut self, _: &Tx<'_>) -> Result<()> {
        Ok(())
    }

    fn last(&mut self, _: &Tx<'_>) -> Result<()> {
        Ok(())
    }
}
