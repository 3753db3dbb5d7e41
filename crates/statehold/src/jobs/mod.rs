//! Background work: what runs how often, and what became of it.

mod clean;
mod run;
mod survey;
mod sweep;

use std::sync::Arc;
use std::time::Duration;

use parking_lot::RwLock;
use statehold_core::{Clock, Error, Kind, Result};
use statehold_journal::control::{ControlTables, JobRun};
use tokio::time::{Instant, MissedTickBehavior, interval_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::run::Runner;
use crate::config::Config;
use crate::engines::Engines;
use crate::homes::Homes;

/// A job is late when it has not run for so long beyond its time.
pub const LATE_AFTER: Duration = Duration::from_mins(2);
/// How often keys and namespaces are looked at for changes by other processes.
const WATCH_EVERY: Duration = Duration::from_millis(500);
/// How often the engines are surveyed.
const SURVEY_EVERY: Duration = Duration::from_mins(1);

/// One of the jobs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Job {
    /// Removes what has expired, and counts what is there.
    Sweep,
    /// Removes the state of deleted namespaces whose time of grace is over.
    Namespaces,
    /// Asks every engine how it is.
    EngineSurvey,
}

impl Job {
    /// Every job.
    pub const ALL: [Self; 3] = [Self::Sweep, Self::Namespaces, Self::EngineSurvey];

    /// The name in metrics, routes and the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sweep => "sweep",
            Self::Namespaces => "namespaces",
            Self::EngineSurvey => "engine_survey",
        }
    }

    fn every(self, config: &Config) -> Duration {
        match self {
            Self::Sweep => config.jobs.sweep_interval,
            Self::Namespaces => Duration::from_hours(1),
            Self::EngineSurvey => SURVEY_EVERY,
        }
    }
}

/// A job and its last run.
#[derive(Clone, Debug)]
pub struct JobState {
    /// The job.
    pub job: Job,
    /// How often it runs.
    pub every: Duration,
    /// Its last run; none before the first.
    pub last: Option<JobRun>,
    /// Whether it should have run and has not.
    pub late: bool,
}

/// The jobs of one system.
#[derive(Debug)]
pub struct Jobs {
    runners: Vec<Arc<Runner>>,
    tables: Arc<ControlTables>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

/// What jobs work on.
#[derive(Clone, Debug)]
pub(crate) struct Ground {
    pub(crate) config: Arc<RwLock<Arc<Config>>>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) tables: Arc<ControlTables>,
    pub(crate) engines: Arc<Engines>,
    pub(crate) homes: Arc<Homes>,
}

impl Jobs {
    /// Starts every job; the first runs come one period from now.
    pub(crate) fn start(ground: &Ground) -> Self {
        let stop = CancellationToken::new();
        let tasks = TaskTracker::new();
        let runners: Vec<_> = Job::ALL
            .into_iter()
            .map(|job| Arc::new(Runner::new(job, ground.clone(), stop.clone())))
            .collect();
        for runner in &runners {
            let every = runner.job.every(&ground.config.read());
            tasks.spawn(repeat(Arc::clone(runner), every, stop.clone()));
        }
        tasks.spawn(watch(Arc::clone(&ground.tables), stop.clone()));
        tasks.close();
        Self { runners, tables: Arc::clone(&ground.tables), stop, tasks }
    }

    /// Every job with its last run.
    ///
    /// # Errors
    /// What the control tables answer.
    pub async fn states(&self) -> Result<Vec<JobState>> {
        let mut runs = self.tables.job_runs().await?;
        let states = self.runners.iter().map(|runner| {
            let at = runs.iter().position(|run| run.job == runner.job.as_str());
            let last = at.map(|at| runs.swap_remove(at));
            JobState { job: runner.job, every: runner.every(), last, late: runner.is_late() }
        });
        Ok(states.collect())
    }

    /// How many jobs are late.
    pub(crate) fn late(&self) -> usize {
        self.runners.iter().filter(|runner| runner.is_late()).count()
    }

    /// Runs a job now and waits for its end. Of several callers at once each waits for a run of its own.
    ///
    /// # Errors
    /// `NotFound` for a name that is no job; what the run met.
    pub async fn run(&self, name: &str) -> Result<JobRun> {
        let runner = self.runners.iter().find(|runner| runner.job.as_str() == name);
        let runner = runner.ok_or_else(|| Error::new(Kind::NotFound, "there is no such job"))?;
        Arc::clone(runner).run().await
    }

    /// Starts no more runs, and ends those under way at their next step.
    pub(crate) fn cancel(&self) {
        self.stop.cancel();
    }

    /// Stops every job and waits until none runs.
    pub(crate) async fn stop(&self) {
        self.cancel();
        self.tasks.wait().await;
    }
}

async fn repeat(runner: Arc<Runner>, every: Duration, stop: CancellationToken) {
    let mut ticks = interval_at(Instant::now() + every, every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => {}
        }
        // A failed run has been noted and told by the runner; the next one is due all the same.
        let _noted = Arc::clone(&runner).run().await;
    }
}

/// Keeps keys and namespaces as other processes leave them, and notes when keys were used.
async fn watch(tables: Arc<ControlTables>, stop: CancellationToken) {
    let mut ticks = interval_at(Instant::now() + WATCH_EVERY, WATCH_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            _ = ticks.tick() => {}
        }
        if let Err(error) = tables.refresh().await {
            tracing::warn!(event = "control_refresh_failed", error = %error, "keys may be out of date");
        }
        note_uses(&tables).await;
    }
    note_uses(&tables).await;
}

async fn note_uses(tables: &ControlTables) {
    if let Err(error) = tables.note_key_uses().await {
        tracing::warn!(event = "key_uses_not_noted", error = %error, "the last uses of keys were not noted");
    }
}
