//! What became of the last run of each job.

use std::time::Duration;

use statehold_core::{Error, Result, Time};
use statehold_sql::{Row, Sql};

use super::ControlTables;
use super::rows::{count, micros, time};

static NOTE: Sql = Sql::new(
    "INSERT INTO job_runs VALUES ($1, $2, $3, $4, $5, CASE WHEN $5 IS NULL THEN $2 END, 1) \
     ON CONFLICT (job) DO UPDATE SET started_at = excluded.started_at, duration_us = excluded.duration_us, \
     items = excluded.items, trouble = excluded.trouble, \
     succeeded_at = coalesce(excluded.succeeded_at, succeeded_at), runs = runs + 1 \
     RETURNING job, started_at, duration_us, items, trouble, succeeded_at, runs",
);
static ALL: Sql = Sql::new(
    "SELECT job, started_at, duration_us, items, trouble, succeeded_at, runs FROM job_runs ORDER BY job",
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
    /// How many items it dealt with.
    pub items: u64,
    /// What stopped it; none where it did all its work.
    pub trouble: Option<String>,
    /// When the last run that did all its work began.
    pub succeeded_at: Option<Time>,
    /// Runs since the installation was made.
    pub runs: u64,
}

impl ControlTables {
    /// Notes the end of a run, and answers what is now known of the job.
    pub async fn note_job_run(
        &self,
        job: &str,
        started_at: Time,
        duration: Duration,
        items: u64,
        trouble: Option<&str>,
    ) -> Result<JobRun> {
        let duration_us = i64::try_from(duration.as_micros()).unwrap_or(i64::MAX);
        let items = i64::try_from(items).unwrap_or(i64::MAX);
        let parameters = [job.into(), micros(started_at), duration_us.into(), items.into(), trouble.into()];
        self.db
            .write("jobs.note", move |tx| {
                tx.query_row(&NOTE, &parameters, read)?.ok_or_else(|| Error::internal("a run was not noted"))
            })
            .await
    }

    /// The last run of every job that ever ran.
    pub async fn job_runs(&self) -> Result<Vec<JobRun>> {
        self.db.read("jobs.all", |tx| tx.query(&ALL, &[], read)).await
    }
}

fn read(row: &Row<'_>) -> Result<JobRun> {
    Ok(JobRun {
        job: row.text(0)?.to_owned(),
        started_at: time(row.int(1)?),
        duration: Duration::from_micros(count(row.int(2)?)?),
        items: count(row.int(3)?)?,
        trouble: row.opt_text(4)?.map(str::to_owned),
        succeeded_at: row.opt_int(5)?.map(time),
        runs: count(row.int(6)?)?,
    })
}
