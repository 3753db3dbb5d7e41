//! Taking the write-ahead log over into the file, off the request path where possible.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::{Connection, ffi};
use statehold_core::{Error, Kind, Result};

use crate::classify::{self, Fault};
use crate::connect;
use crate::readers::Readers;

/// Pages of log (4 KiB each) after which the background takes over what it can.
const BACKGROUND_PAGES: u32 = 4_096;
/// Pages of log after which the writer itself takes over the rest: only between its own commits can the log be
/// emptied while writes go on, so this is what bounds it.
const WRITER_PAGES: u32 = 8_192;

/// Pages of log after which the writer tries again where a reader was in its way.
const RETRY_PAGES: u32 = 1_024;

/// How long the last checkpoint waits for readers.
const CLOSE_WAIT: Duration = Duration::from_millis(200);

/// The background thread and when it was last asked.
#[derive(Debug)]
pub(super) struct Checkpoints {
    ask: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
    readers: Arc<Readers>,
    failed: Arc<AtomicBool>,
    asked_at_pages: u32,
    tried_at_pages: u32,
}

impl Checkpoints {
    pub(super) fn start(path: &Path, readers: Arc<Readers>) -> Result<Self> {
        let connection = connect::checkpointer(path)?;
        let failed = Arc::new(AtomicBool::new(false));
        let (ask, asked) = sync_channel(1);
        let seen = Arc::clone(&failed);
        let idle = Arc::clone(&readers);
        let thread = std::thread::Builder::new()
            .name("sql-checkpoint".into())
            .spawn(move || {
                while asked.recv().is_ok() {
                    idle.release();
                    if checkpoint(&connection, "PRAGMA wal_checkpoint(PASSIVE)").is_err() {
                        seen.store(true, Ordering::SeqCst);
                        return;
                    }
                }
            })
            .map_err(|e| Error::new(Kind::Unavailable, "no thread for the database").caused_by(e))?;
        Ok(Self {
            ask: Some(ask),
            thread: Some(thread),
            readers,
            failed,
            asked_at_pages: 0,
            tried_at_pages: 0,
        })
    }

    /// Looks after the log between two transactions of the writer. An error is a failed sync.
    pub(super) fn after_commit(&mut self, writer: &Connection, pages: u32) -> Result<(), Fault> {
        if self.failed.load(Ordering::SeqCst) {
            return Err(super::Stop::SyncFailed.fault());
        }
        if pages < self.asked_at_pages {
            // The log began anew.
            (self.asked_at_pages, self.tried_at_pages) = (0, 0);
        }
        if pages >= WRITER_PAGES.max(self.tried_at_pages + RETRY_PAGES) {
            self.tried_at_pages = pages;
            self.asked_at_pages = pages;
            // From here on every short read sees the last commit, so that all of the log can be taken over.
            self.readers.renew();
            let done = checkpoint(writer, "PRAGMA wal_checkpoint(PASSIVE)");
            // Snapshots begun before the last page was taken over still use the log; later ones read the file alone,
            // and do not keep the next commit from beginning the log anew.
            self.readers.renew();
            return done;
        }
        if pages >= self.asked_at_pages + BACKGROUND_PAGES {
            self.asked_at_pages = pages;
            if let Some(ask) = &self.ask {
                // A full channel says that one is asked for already.
                let _ = ask.try_send(());
            }
        }
        Ok(())
    }

    /// Ends the background; empties the log where the disk can be trusted.
    pub(super) fn close(&mut self, writer: &Connection, sound: bool) {
        self.ask = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the database's checkpoint thread had panicked");
        }
        self.readers.release();
        if sound && !self.failed.load(Ordering::SeqCst) {
            // A read that is still under way must not keep the process from ending: the log is taken over later.
            let _ = writer.busy_timeout(CLOSE_WAIT);
            let _ = checkpoint(writer, "PRAGMA wal_checkpoint(TRUNCATE)");
        }
    }
}

/// One checkpoint. Readers in the way, or a full disk, leave the rest for the next one: the log still has it.
fn checkpoint(connection: &Connection, pragma: &str) -> Result<(), Fault> {
    let Err(error) = connection.query_row(pragma, [], |_| Ok(())) else { return Ok(()) };
    let fault = classify::fault(&error);
    match fault.code.map_or(ffi::SQLITE_ERROR, |code| code & 0xff) {
        ffi::SQLITE_BUSY | ffi::SQLITE_LOCKED | ffi::SQLITE_FULL | ffi::SQLITE_NOMEM => {
            tracing::warn!(code = fault.code, "the database's log could not be taken over yet");
            Ok(())
        }
        _ => {
            tracing::error!(code = fault.code, "a checkpoint failed: writes are refused from now on");
            Err(fault)
        }
    }
}
