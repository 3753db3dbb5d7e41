//! The verbs.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use async_trait::async_trait;
use statehold_core::{
    Address, Commit, Cx, Description, Engine, Error, Item, Kind, Outcome, Page, Place, Probe, Range, Read,
    Receipt, Result, Scan, ScanPage, SignalStream, Signals, Topic, validate,
};
use statehold_sql::{Stop, Tx};
use tokio::sync::oneshot;

use super::memory::Memory;
use super::open::EmbeddedEngine;
use super::reads::Reading;
use super::scans;
use super::writer::{CommitJob, Job, OtherJob, Typed};

/// Fetches of up to so many items run on the calling thread: changing threads would cost more than the reads.
const INLINE_MAX: usize = 16;

#[async_trait]
impl Engine for EmbeddedEngine {
    fn description(&self) -> &Description {
        &self.description
    }

    async fn fetch(&self, cx: &Cx, wanted: &[Address]) -> Result<Vec<Option<Item>>> {
        self.named("fetch", self.fetch_items(cx, wanted).await)
    }

    async fn list(&self, cx: &Cx, at: &Place, ranges: &[Range]) -> Result<Vec<Page>> {
        self.named("list", self.list_pages(cx, at, ranges).await)
    }

    async fn commit(&self, cx: &Cx, at: &Place, commit: &Commit) -> Result<Receipt> {
        let checked = self
            .ready(cx)
            .and_then(|()| validate::commit(commit, &at.space, self.description.value_bytes_max));
        if let Err(error) = checked {
            return self.named("commit", Err(error));
        }
        let (answer, answered) = oneshot::channel();
        self.writer.submit(Job::Commit(CommitJob {
            at: at.clone(),
            commit: commit.clone(),
            deadline: cx.deadline,
            answer,
            result: None,
        }));
        self.named("commit", answered.await.unwrap_or_else(|_| Err(unanswered())))
    }

    async fn scan(&self, cx: &Cx, scan: &Scan) -> Result<ScanPage> {
        self.named("scan", self.scan_page(cx, scan).await)
    }

    async fn probe(&self, cx: &Cx) -> Result<Probe> {
        self.named("probe", self.probe_file(cx))
    }
}

#[async_trait]
impl Signals for EmbeddedEngine {
    async fn subscribe(&self, cx: &Cx, prefix: &Topic) -> Result<SignalStream> {
        self.named("subscribe", self.ready(cx).and_then(|()| self.hub.subscribe(prefix)))
    }
}

impl EmbeddedEngine {
    /// Names engine and operation in an error.
    pub(super) fn named<T>(&self, operation: &'static str, result: Result<T>) -> Result<T> {
        result.map_err(|e| e.at_engine(&self.description.name).during(operation))
    }

    /// Refuses what comes too late.
    pub(super) fn ready(&self, cx: &Cx) -> Result<()> {
        if self.closed.load(Ordering::Relaxed) {
            return Err(Stop::Closed.fault().to_error());
        }
        if cx.deadline.is_some_and(|deadline| deadline <= Instant::now()) {
            return Err(Error::new(Kind::Deadline, "the time ran out before the call was begun"));
        }
        Ok(())
    }

    /// How a read treats controls and time.
    fn reading(&self, cx: &Cx) -> Reading {
        Reading { now: self.clock.now(), fenced: cx.read == Read::Fenced, history: self.history }
    }

    async fn fetch_items(&self, cx: &Cx, wanted: &[Address]) -> Result<Vec<Option<Item>>> {
        self.ready(cx)?;
        validate::fetch(wanted)?;
        let reading = self.reading(cx);
        if let ([address], false) = (wanted, reading.fenced) {
            let Some(known) = self.directory.get(&address.place.space) else { return Ok(vec![None]) };
            return self.readers.recent(|tx| Ok(vec![reading.item(tx, &known, address)?]));
        }
        if wanted.len() <= INLINE_MAX {
            return self.readers.recent(|tx| reading.items(tx, &self.directory, wanted));
        }
        let (directory, wanted) = (Arc::clone(&self.directory), wanted.to_vec());
        self.scanners.snapshot(move |tx| reading.items(tx, &directory, &wanted)).await
    }

    async fn list_pages(&self, cx: &Cx, at: &Place, ranges: &[Range]) -> Result<Vec<Page>> {
        self.ready(cx)?;
        validate::list(&at.space, ranges)?;
        let reading = self.reading(cx);
        let known = self.directory.get(&at.space);
        let (at, ranges) = (at.clone(), ranges.to_vec());
        self.scanners.snapshot(move |tx| reading.pages(tx, known.as_deref(), &at, &ranges)).await
    }

    async fn scan_page(&self, cx: &Cx, scan: &Scan) -> Result<ScanPage> {
        self.ready(cx)?;
        validate::scan(scan)?;
        let Some(known) = self.directory.get(&scan.space) else { return Ok(ScanPage::default()) };
        let (scan, now) = (scan.clone(), self.clock.now());
        self.scanners.snapshot(move |tx| scans::page(tx, &known, &scan, now)).await
    }

    fn probe_file(&self, cx: &Cx) -> Result<Probe> {
        self.ready(cx)?;
        let begun = Instant::now();
        self.readers.snapshot(super::reads::touch)?;
        let round_trip = begun.elapsed();
        let connections = (self.readers.count() + self.scanners.count() + 1) as u32;
        Ok(Probe {
            round_trip,
            connections,
            connections_max: connections,
            bytes: Some(self.bytes()),
            unsound: self.unsound.load(Ordering::SeqCst),
            ..Probe::default()
        })
    }

    /// The bytes that the file and its log take.
    fn bytes(&self) -> u64 {
        let mut log = self.config.path.as_os_str().to_owned();
        log.push("-wal");
        let size = |path: &std::path::Path| std::fs::metadata(path).map_or(0, |file| file.len());
        size(&self.config.path) + size(log.as_ref())
    }

    /// Runs a rarer job on the writer thread, in one transaction with the commits that wait. The inner error of `run`
    /// must leave nothing changed.
    pub(super) async fn on_writer<T: Send + 'static>(
        &self,
        cx: &Cx,
        unsynced: bool,
        run: impl FnOnce(&Tx<'_>, &mut Memory) -> Result<Result<T>> + Send + 'static,
    ) -> Result<T> {
        self.ready(cx)?;
        let (answer, answered) = oneshot::channel();
        let call = Box::new(Typed { run: Some(run), result: None, answer });
        self.writer.submit(Job::Other(OtherJob { deadline: cx.deadline, unsynced, call }));
        answered.await.unwrap_or_else(|_| Err(unanswered()))
    }
}

fn unanswered() -> Error {
    Error::new(Kind::Unavailable, "the database's writer ended").with_outcome(Outcome::Unknown)
}
