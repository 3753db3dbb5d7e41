//! The verbs, counted, timed and traced.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use metrics::{Counter, Histogram, counter, histogram};
use statehold_core::{
    Address, Commit, Cx, Description, Engine, Item, Page, Place, Probe, Range, Receipt, Result, Scan,
    ScanPage,
};

use tracing::field::Empty;
use tracing::{Instrument as _, Span, trace_span};

use super::policy::{Outcome, warns};
use super::{ENGINE_OPERATION_DURATION, ENGINE_OPERATIONS};

/// An engine whose calls are counted and timed.
pub(super) struct Metered {
    inner: Arc<dyn Engine>,
    fetch: Meter,
    list: Meter,
    commit: Meter,
    scan: Meter,
    probe: Meter,
}

impl Metered {
    pub(super) fn new(inner: Arc<dyn Engine>) -> Self {
        let meter = |operation| Meter::new(inner.description(), operation);
        Self {
            fetch: meter("fetch"),
            list: meter("list"),
            commit: meter("commit"),
            scan: meter("scan"),
            probe: meter("probe"),
            inner,
        }
    }
}

impl fmt::Debug for Metered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Metered").field(&self.inner).finish()
    }
}

#[async_trait]
impl Engine for Metered {
    fn description(&self) -> &Description {
        self.inner.description()
    }

    async fn fetch(&self, cx: &Cx, wanted: &[Address]) -> Result<Vec<Option<Item>>> {
        self.fetch.watch(self.inner.fetch(cx, wanted)).await
    }

    async fn list(&self, cx: &Cx, at: &Place, ranges: &[Range]) -> Result<Vec<Page>> {
        self.list.watch(self.inner.list(cx, at, ranges)).await
    }

    async fn commit(&self, cx: &Cx, at: &Place, commit: &Commit) -> Result<Receipt> {
        self.commit.watch(self.inner.commit(cx, at, commit)).await
    }

    async fn scan(&self, cx: &Cx, scan: &Scan) -> Result<ScanPage> {
        self.scan.watch(self.inner.scan(cx, scan)).await
    }

    async fn probe(&self, cx: &Cx) -> Result<Probe> {
        self.probe.watch(self.inner.probe(cx)).await
    }
}

/// The metrics of one operation.
struct Meter {
    engine: Arc<str>,
    kind: &'static str,
    operation: &'static str,
    duration: Histogram,
    outcomes: [Counter; Outcome::ALL.len()],
    born: Instant,
    /// Milliseconds after `born` at which the last warning was given, plus one; 0 for never.
    warned_at: AtomicU64,
}

impl Meter {
    fn new(of: &Description, operation: &'static str) -> Self {
        let labels = [
            ("engine", of.name.to_string()),
            ("kind", of.kind.as_str().to_owned()),
            ("operation", operation.to_owned()),
        ];
        let outcome = |outcome: Outcome| {
            let mut labels = labels.to_vec();
            labels.push(("outcome", outcome.as_str().to_owned()));
            counter!(ENGINE_OPERATIONS, &labels)
        };
        Self {
            engine: Arc::clone(&of.name),
            kind: of.kind.as_str(),
            operation,
            duration: histogram!(ENGINE_OPERATION_DURATION, &labels),
            outcomes: Outcome::ALL.map(outcome),
            born: Instant::now(),
            warned_at: AtomicU64::new(0),
        }
    }

    async fn watch<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        let started = Instant::now();
        let span = self.span();
        let result = work.instrument(span.clone()).await;
        self.note(started, &span, result)
    }

    /// Costs a comparison where nothing is traced.
    fn span(&self) -> Span {
        let Self { engine, kind, operation, .. } = self;
        trace_span!(
            target: "statehold::trace",
            "engine",
            otel.name = %format_args!("{engine}.{operation}"),
            engine = &**engine,
            kind,
            operation,
            outcome = Empty,
            otel.status_code = Empty
        )
    }

    fn note<T>(&self, started: Instant, span: &Span, result: Result<T>) -> Result<T> {
        let took = started.elapsed();
        let outcome = result.as_ref().map_or_else(Outcome::of, |_| Outcome::Ok);
        self.outcomes[outcome as usize].increment(1);
        self.duration.record(took);
        span.record("outcome", outcome.as_str());
        if matches!(outcome, Outcome::Unavailable | Outcome::Error) {
            span.record("otel.status_code", "ERROR");
        }
        if warns(took, None) {
            self.warn_slow(took, outcome);
        }
        result
    }

    /// Off the fast path. Of callers that are slow at once, one warns.
    #[cold]
    fn warn_slow(&self, took: Duration, outcome: Outcome) {
        let now = u64::try_from(self.born.elapsed().as_millis()).unwrap_or(u64::MAX).saturating_add(1);
        let last = self.warned_at.load(Ordering::Relaxed);
        let ago = (last > 0).then(|| Duration::from_millis(now.saturating_sub(last)));
        let mine = warns(took, ago)
            && self.warned_at.compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed).is_ok();
        if mine {
            tracing::warn!(
                event = "engine_operation_slow",
                engine = %self.engine,
                operation = self.operation,
                outcome = outcome.as_str(),
                duration_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
                "an engine operation took longer than 100 ms"
            );
        }
    }
}
