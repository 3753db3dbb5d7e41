//! How the system is: alive, ready, started.

mod checks;
mod policy;
mod report;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use metrics::gauge;
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

pub use self::report::{Check, Report, Status};

use self::checks::Checks;

/// How long a report is given to further callers.
pub const REPORT_REUSED_FOR: Duration = Duration::from_secs(2);
/// A runtime that has not run a small task for so long is stuck.
const STUCK_AFTER: Duration = Duration::from_secs(10);
/// How often that task runs.
const BEAT_EVERY: Duration = Duration::from_secs(1);

/// Where the system is between its start and its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Phase {
    /// Not yet serving.
    Starting,
    /// Serving.
    Serving,
    /// Ending: what is under way is finished, nothing new is taken.
    Draining,
}

/// Health checks, run in parallel, each with a timeout, the result kept for [`REPORT_REUSED_FOR`].
#[derive(Debug)]
pub struct Health {
    checks: Checks,
    phase: AtomicU8,
    last: tokio::sync::Mutex<Option<(Instant, Arc<Report>)>>,
    told: Mutex<HashMap<&'static str, Status>>,
    started: Instant,
    /// Milliseconds from `started` to the last beat.
    beat: AtomicU64,
}

impl Health {
    pub(crate) fn new(ground: crate::jobs::Ground, jobs: Arc<crate::jobs::Jobs>) -> Arc<Self> {
        Arc::new(Self {
            checks: Checks::new(ground, jobs),
            phase: AtomicU8::new(Phase::Starting as u8),
            last: tokio::sync::Mutex::new(None),
            told: Mutex::default(),
            started: Instant::now(),
            beat: AtomicU64::new(0),
        })
    }

    /// Where the system is.
    pub fn phase(&self) -> Phase {
        match self.phase.load(Ordering::Acquire) {
            0 => Phase::Starting,
            1 => Phase::Serving,
            _ => Phase::Draining,
        }
    }

    /// Goes on to a later phase; never back.
    pub(crate) fn enter(&self, phase: Phase) {
        self.phase.fetch_max(phase as u8, Ordering::AcqRel);
    }

    /// Whether the process and its runtime respond. No engine is asked.
    pub fn live(&self) -> bool {
        let beat = Duration::from_millis(self.beat.load(Ordering::Relaxed));
        self.started.elapsed().saturating_sub(beat) <= STUCK_AFTER
    }

    /// Whether the start is complete.
    pub fn started(&self) -> bool {
        self.phase() > Phase::Starting
    }

    /// Whether requests may be sent here, in full: see [`Report::serves`]. While the system starts or drains the report
    /// is `Unhealthy` whatever the checks say.
    pub async fn ready(&self) -> Arc<Report> {
        let mut last = self.last.lock().await;
        let phase = self.phase();
        if let Some((at, report)) = last.as_ref()
            && at.elapsed() < REPORT_REUSED_FOR
            && report.checks.contains_key("phase") == (phase != Phase::Serving)
        {
            return Arc::clone(report);
        }
        let report = Arc::new(self.look(phase).await);
        *last = Some((Instant::now(), Arc::clone(&report)));
        report
    }

    async fn look(&self, phase: Phase) -> Report {
        let began = Instant::now();
        let mut checks = self.checks.run().await;
        if phase != Phase::Serving {
            let word = if phase == Phase::Starting { "starting" } else { "draining" };
            checks.insert("phase", Check::new(Status::Unhealthy).described(word));
        }
        self.tell(&checks);
        let (time, features) = self.checks.surroundings();
        Report {
            status: policy::worst(checks.values().map(|check| check.status)),
            version: crate::VERSION,
            time: rfc3339(time),
            duration_ms: began.elapsed().as_secs_f64() * 1_000.0,
            features,
            checks,
        }
    }

    /// Each change is one line and one step of the metric.
    fn tell(&self, checks: &BTreeMap<&'static str, Check>) {
        let mut told = self.told.lock();
        for (&name, check) in checks {
            if told.insert(name, check.status) != Some(check.status) {
                let (status, why) = (check.status.as_str(), check.description.as_deref().unwrap_or_default());
                gauge!("statehold_health_status", "check" => name).set(f64::from(check.status.number()));
                if check.status == Status::Healthy {
                    tracing::info!(event = "health_changed", check = name, status, why);
                } else {
                    tracing::warn!(event = "health_changed", check = name, status, why);
                }
            }
        }
    }

    /// Shows that the runtime runs, until told to stop.
    pub(crate) async fn beat(self: Arc<Self>, stop: CancellationToken) {
        loop {
            let since = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
            self.beat.store(since, Ordering::Relaxed);
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(BEAT_EVERY) => {}
            }
        }
    }
}

/// An instant as text: UTC, six digits.
fn rfc3339(time: statehold_core::Time) -> String {
    let micros = i64::try_from(time.micros()).unwrap_or(i64::MAX);
    let text = Timestamp::from_microsecond(micros).unwrap_or(Timestamp::MAX);
    format!("{text:.6}")
}
