//! One job, run after run.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use metrics::{counter, gauge, histogram};
use statehold_core::{Error, Result, Time};
use statehold_journal::control::JobRun;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{Ground, Job, LATE_AFTER, clean, survey, sweep};

/// What one run has done, and what it could not do.
#[derive(Debug, Default)]
pub(super) struct Done {
    /// Items dealt with.
    pub(super) items: u64,
    /// The first thing that went wrong; the rest was done all the same.
    pub(super) trouble: Option<Error>,
}

impl Done {
    /// Adds what a part of the work came to.
    pub(super) fn add(&mut self, part: Result<u64>) {
        match part {
            Ok(items) => self.items += items,
            Err(error) => drop(self.trouble.get_or_insert(error)),
        }
    }
}

#[derive(Debug)]
pub(super) struct Runner {
    pub(super) job: Job,
    ground: Ground,
    stop: CancellationToken,
    counts: sweep::Counts,
    /// One run at a time.
    running: tokio::sync::Mutex<()>,
    started: Instant,
    /// Milliseconds from `started` to the end of the last run.
    ended: AtomicU64,
}

impl Runner {
    pub(super) fn new(job: Job, ground: Ground, stop: CancellationToken) -> Self {
        Self {
            job,
            ground,
            stop,
            counts: sweep::Counts::default(),
            running: tokio::sync::Mutex::new(()),
            started: Instant::now(),
            ended: AtomicU64::new(0),
        }
    }

    pub(super) fn every(&self) -> Duration {
        self.job.every(&self.ground.config.read())
    }

    /// Whether no run has ended for longer than there should be one.
    pub(super) fn is_late(&self) -> bool {
        let ended = Duration::from_millis(self.ended.load(Ordering::Relaxed));
        self.started.elapsed().saturating_sub(ended) > self.every() + LATE_AFTER
    }

    /// One run, noted in the control tables, the metrics and, when it failed, the log.
    pub(super) async fn run(self: Arc<Self>) -> Result<JobRun> {
        let _one_at_a_time = self.running.lock().await;
        let (began, started_at) = (Instant::now(), self.ground.clock.now());
        let done = self.work().await;
        let duration = began.elapsed();
        let since = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.ended.store(since, Ordering::Relaxed);
        self.tell(started_at, duration, done.trouble.as_ref());
        let trouble = done.trouble.as_ref().map(ToString::to_string);
        self.ground
            .tables
            .note_job_run(self.job.as_str(), started_at, duration, done.items, trouble.as_deref())
            .await
    }

    async fn work(&self) -> Done {
        match self.job {
            Job::Sweep => sweep::run(&self.ground, &self.counts, &self.stop).await,
            Job::Namespaces => clean::run(&self.ground, &self.stop).await,
            Job::EngineSurvey => survey::run(&self.ground).await,
        }
    }

    fn tell(&self, started_at: Time, duration: Duration, trouble: Option<&Error>) {
        let job = self.job.as_str();
        let outcome = if trouble.is_none() { "ok" } else { "error" };
        counter!("statehold_job_runs_total", "job" => job, "outcome" => outcome).increment(1);
        histogram!("statehold_job_duration_seconds", "job" => job, "outcome" => outcome).record(duration);
        match trouble {
            None => gauge!("statehold_job_last_success_seconds", "job" => job, "outcome" => outcome)
                .set(started_at.millis() as f64 / 1_000.0),
            Some(error) => {
                tracing::error!(event = "job_failed", job, error = %error, "a job could not do all its work");
            }
        }
    }
}
