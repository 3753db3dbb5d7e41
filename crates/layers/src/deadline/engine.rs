//! The verbs, ended in time.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use statehold_core::{
    Address, Commit, Cx, Description, Engine, EngineKind, Error, Item, Kind, Page, Place, Probe, Range,
    Receipt, Result, Scan, ScanPage,
};
use tokio::runtime::Handle;
use tokio::time::timeout_at;

use super::policy::{Verb, ends_at, outcome};

/// Most commits of an engine that run on after their callers left. Beyond, a commit is dropped, and the engine alone
/// keeps it whole, as it must when its caller's task is dropped.
const LEFT_RUNNING_MAX: usize = 4_096;

/// An engine whose calls end in time.
#[derive(Debug)]
pub(super) struct Timed {
    inner: Arc<dyn Engine>,
    call_max: Duration,
    left_running: Arc<AtomicUsize>,
}

impl Timed {
    pub(super) fn new(inner: Arc<dyn Engine>, call_max: Duration) -> Self {
        Self { inner, call_max, left_running: Arc::default() }
    }

    fn error(&self, verb: Verb, begun: bool) -> Error {
        Error::new(Kind::Deadline, "the caller's time ran out")
            .with_outcome(outcome(verb, begun))
            .during(verb.as_str())
            .at_engine(&self.inner.description().name)
    }

    fn end(&self, cx: &Cx, verb: Verb) -> Result<tokio::time::Instant> {
        match ends_at(cx.deadline, Instant::now(), self.call_max) {
            Some(end) => Ok(end.into()),
            None => Err(self.error(verb, false)),
        }
    }

    async fn read<T>(&self, cx: &Cx, verb: Verb, call: impl Future<Output = Result<T>> + Send) -> Result<T> {
        let end = self.end(cx, verb)?;
        timeout_at(end, call).await.unwrap_or_else(|_| Err(self.error(verb, true)))
    }
}

#[async_trait]
impl Engine for Timed {
    fn description(&self) -> &Description {
        self.inner.description()
    }

    async fn fetch(&self, cx: &Cx, wanted: &[Address]) -> Result<Vec<Option<Item>>> {
        self.read(cx, Verb::Fetch, self.inner.fetch(cx, wanted)).await
    }

    async fn list(&self, cx: &Cx, at: &Place, ranges: &[Range]) -> Result<Vec<Page>> {
        self.read(cx, Verb::List, self.inner.list(cx, at, ranges)).await
    }

    async fn commit(&self, cx: &Cx, at: &Place, commit: &Commit) -> Result<Receipt> {
        let end = self.end(cx, Verb::Commit)?;
        if self.inner.description().kind == EngineKind::Memory {
            // A commit in memory is one step: it cannot be cut, so it needs no owner of its own.
            return self.inner.commit(cx, at, commit).await;
        }
        let (inner, cx, at, commit) = (Arc::clone(&self.inner), cx.clone(), at.clone(), commit.clone());
        let call = Box::pin(async move { inner.commit(&cx, &at, &commit).await });
        let running = Running { call: Some(call), begun: false, others: Arc::clone(&self.left_running) };
        timeout_at(end, running).await.unwrap_or_else(|_| Err(self.error(Verb::Commit, true)))
    }

    async fn scan(&self, cx: &Cx, scan: &Scan) -> Result<ScanPage> {
        self.read(cx, Verb::Scan, self.inner.scan(cx, scan)).await
    }

    async fn probe(&self, cx: &Cx) -> Result<Probe> {
        self.read(cx, Verb::Probe, self.inner.probe(cx)).await
    }
}

type Call = Pin<Box<dyn Future<Output = Result<Receipt>> + Send>>;

/// A commit that owns what it needs. Dropped before its end, by a deadline or by a caller who left, it goes on as a
/// task of its own.
struct Running {
    call: Option<Call>,
    begun: bool,
    others: Arc<AtomicUsize>,
}

impl Future for Running {
    type Output = Result<Receipt>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.begun = true;
        let Some(call) = &mut self.call else { return Poll::Pending };
        let answer = call.as_mut().poll(cx);
        if answer.is_ready() {
            self.call = None;
        }
        answer
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let Some(call) = self.call.take().filter(|_| self.begun) else { return };
        let Ok(runtime) = Handle::try_current() else { return };
        if self.others.fetch_add(1, Ordering::Relaxed) >= LEFT_RUNNING_MAX {
            self.others.fetch_sub(1, Ordering::Relaxed);
            return;
        }
        let left = Left(Arc::clone(&self.others));
        runtime.spawn(async move {
            let _left = left;
            // Whoever asked was told `Unknown`; a repeated commit id finds the receipt.
            let _ = call.await;
        });
    }
}

/// Counts one commit that was left running, until it ends in whatever way.
struct Left(Arc<AtomicUsize>);

impl Drop for Left {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
