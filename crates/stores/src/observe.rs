//! Counts, times and traces every operation of a store: `statehold_store_operations_total` and
//! `statehold_store_operation_duration_seconds`. Labels come from closed lists; ids and names are never among them.

use std::sync::OnceLock;
use std::time::Instant;

use metrics::{Counter, Histogram, counter, histogram};
use statehold_core::{Error, Kind};
use tracing::field::Empty;
use tracing::{Instrument as _, Span, trace_span};

use crate::contend::Contention;

/// How an operation ended, as a metric's label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It did what was asked.
    Ok,
    /// What was asked for is not there.
    Absent,
    /// It met another state than it asked for.
    Conflict,
    /// A limit or a credential denied it.
    Denied,
    /// The request was wrong.
    Invalid,
    /// The engine could not serve.
    Unavailable,
    /// Something is broken.
    Error,
}

impl Outcome {
    const COUNT: usize = 7;

    /// The label's value.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Absent => "absent",
            Self::Conflict => "conflict",
            Self::Denied => "denied",
            Self::Invalid => "invalid",
            Self::Unavailable => "unavailable",
            Self::Error => "error",
        }
    }
}

/// An error that knows which outcome it is counted as.
pub trait Observed {
    /// The outcome.
    fn outcome(&self) -> Outcome;
}

impl Observed for Error {
    fn outcome(&self) -> Outcome {
        match self.kind() {
            Kind::Conflict => Outcome::Conflict,
            Kind::Invalid => Outcome::Invalid,
            Kind::NotFound => Outcome::Absent,
            Kind::Moved | Kind::Refused | Kind::Unavailable | Kind::Overloaded | Kind::Deadline => {
                Outcome::Unavailable
            }
            Kind::Unsupported | Kind::Corrupt | Kind::Internal => Outcome::Error,
        }
    }
}

impl Observed for Contention {
    fn outcome(&self) -> Outcome {
        Outcome::Conflict
    }
}

/// The two metrics of one operation. Kept by the store, so that an operation looks nothing up.
#[derive(Debug)]
pub struct Meter {
    store: &'static str,
    operation: &'static str,
    duration: OnceLock<Histogram>,
    outcomes: [OnceLock<Counter>; Outcome::COUNT],
}

impl Meter {
    /// The meter of an operation.
    pub const fn new(store: &'static str, operation: &'static str) -> Self {
        let outcomes = [const { OnceLock::new() }; Outcome::COUNT];
        Self { store, operation, duration: OnceLock::new(), outcomes }
    }

    /// Runs the operation; what it answers is `Ok` for the metric unless it is an error.
    pub async fn watch<T, E: Observed>(&self, work: impl Future<Output = Result<T, E>>) -> Result<T, E> {
        self.watch_as(work, |_| Outcome::Ok).await
    }

    /// Runs the operation; `success` says what an answer counts as, where not every answer is `Ok`.
    pub async fn watch_as<T, E: Observed>(
        &self,
        work: impl Future<Output = Result<T, E>>,
        success: impl FnOnce(&T) -> Outcome,
    ) -> Result<T, E> {
        let began = Instant::now();
        let span = self.span();
        let answer = work.instrument(span.clone()).await;
        let outcome = match &answer {
            Ok(value) => success(value),
            Err(error) => error.outcome(),
        };
        self.note(began, outcome);
        span.record("outcome", outcome.as_str());
        if matches!(outcome, Outcome::Unavailable | Outcome::Error) {
            span.record("otel.status_code", "ERROR");
        }
        answer
    }

    /// Costs a comparison where nothing is traced.
    fn span(&self) -> Span {
        let Self { store, operation, .. } = *self;
        trace_span!(
            target: "statehold::trace",
            "store",
            otel.name = %format_args!("{store}.{operation}"),
            store,
            operation,
            outcome = Empty,
            otel.status_code = Empty
        )
    }

    fn note(&self, began: Instant, outcome: Outcome) {
        let Self { store, operation, .. } = *self;
        self.duration
            .get_or_init(|| {
                histogram!("statehold_store_operation_duration_seconds", "store" => store, "operation" => operation)
            })
            .record(began.elapsed());
        self.outcomes[outcome as usize]
            .get_or_init(|| {
                let outcome = outcome.as_str();
                counter!("statehold_store_operations_total",
                    "store" => store, "operation" => operation, "outcome" => outcome)
            })
            .increment(1);
    }
}
