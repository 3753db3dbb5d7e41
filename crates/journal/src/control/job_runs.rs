//! What became of the last run of each job.

use std::time::Duration;

use statehold_core::{Result, Time};
use statehold_sql::Sql;

use super::ControlTables;
use super::rows::{count, micros, time};

static NOTE: Sql = Sql::new(
    "INSERT INTO job_runs VALUES ($1, $2, $3, $4, $5, CASE WHEN $4 = 'ok' THEN $2 END, 1) \
     ON CONFLICT (job) DO UPDATE SET started_at = excluded.started_at, duration_us = excluded.duration_us, \
     outcome = excluded.outcome, detail = excluded.detail, \
     succeeded_at = coalesce(excluded.succeeded_at, succeeded_at), runs = runs + 1",
);
static ALL: Sql = Sql::new(
    "SELECT job, started_at, duration_us, outcome, detail, succeeded_at, runs FROM job_runs ORDER BY job",
);

/// The last run of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobRun {
    /// The job's name.
    pub job: String,
    /// When it began.
    pub started_at: Time,
    /// How long it took.
    pub duration: Duration,
    /// Whether it did all its work.
    pub ok: bool,
    /// What it did, or what stopped it.
    pub detail: String,
    /// When the last run that did all its work began.
    pub succeeded_at: Option<Time>,
    /// Runs since the installation was made.
    pub runs: u64,
}

impl ControlTables {
    /// Notes the end of a run.
    pub async fn note_job_run(
        &self,
        job: &str,
        started_at: Time,
        duration: Duration,
        ended: Result<String, String>,
    ) -> Result<()> {
        let outcome = if ended.is_ok() { "ok" } else { "error" };
        let duration_us = i64::try_from(duration.as_micros()).unwrap_or(i64::MAX);
        let detail = ended.unwrap_or_else(|trouble| trouble);
        let parameters =
            [job.into(), micros(started_at), duration_us.into(), outcome.into(), detail.into()];
        self.db.write("jobs.note", move |tx| tx.execute(&NOTE, &parameters).map(drop)).await
    }

    /// The last run of every job that ever ran.
    pub async fn job_runs(&self) -> Result<Vec<JobRun>> {
        self.db
            .read("jobs.all", |tx| {
                tx.query(&ALL, &[], |row| {
                    Ok(JobRun {
                        job: row.text(0)?.to_owned(),
                        started_at: time(row.int(1)?),
                        duration: Duration::from_micros(count(row.int(2)?)?),
                        ok: row.text(3)? == "ok",
                        detail: row.text(4)?.to_owned(),
                        succeeded_at: row.opt_int(5)?.map(time),
                        runs: count(row.int(6)?)?,
                    })
                })
            })
            .await
    }
}
