//! `/v1/status` and `/v1/jobs`.

use axum::extract::State;
use statehold::jobs::JobState;
use statehold_api::ops::{JobRun, JobView, StatusReport, StatusWarning, StoreHome};
use statehold_api::{Code, Page, Ts};
use statehold_core::Time;
use statehold_journal::control;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::AppState;
use crate::auth::{Operator, needs};
use crate::extract::{Json, Path};
use crate::problem::Problem;

pub(crate) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(status)).routes(routes!(jobs)).routes(routes!(last_run, run))
}

/// What runs: version, features, where every store is, what an operator should know.
#[utoipa::path(get, path = "/v1/status", tag = "operations",
    responses((status = 200, description = "The installation in short", body = StatusReport)))]
async fn status(
    _: Operator<needs::OpsRead>,
    State(state): State<AppState>,
) -> Result<Json<StatusReport>, Problem> {
    let status = state.hold().status().await?;
    let health = state.hold().health().ready().await;
    let home = |home: statehold::StoreHome| {
        let seen =
            health.checks.get("stores").and_then(|check| check.data.get(home.store)?["state"].as_str());
        let shown = StoreHome {
            engine: home.engine.to_string(),
            kind: home.kind.to_string(),
            durable: home.durable,
            distributed: home.distributed,
            state: seen.unwrap_or("unavailable").to_owned(),
        };
        (home.store.to_owned(), shown)
    };
    Ok(Json(StatusReport {
        version: status.version.to_owned(),
        profile: status.profile.as_str().to_owned(),
        started_at: ts(status.started_at),
        namespace_count: status.namespace_count as u64,
        features: status.features,
        stores: status.stores.into_iter().map(home).collect(),
        warnings: status
            .warnings
            .into_iter()
            .map(|warning| StatusWarning { code: warning.code.to_owned(), text: warning.text })
            .collect(),
    }))
}

/// Lists the background jobs with their last runs.
#[utoipa::path(get, path = "/v1/jobs", tag = "operations",
    responses((status = 200, description = "All jobs, on one page", body = Page<JobView>)))]
async fn jobs(
    _: Operator<needs::OpsAdmin>,
    State(state): State<AppState>,
) -> Result<Json<Page<JobView>>, Problem> {
    let states = state.hold().jobs().states().await?;
    Ok(Json(Page { items: states.iter().map(shown).collect(), next_cursor: None }))
}

/// A job's last run.
#[utoipa::path(get, path = "/v1/jobs/{name}/runs", tag = "operations",
    params(("name" = String, Path, description = "The job's name")),
    responses((status = 200, description = "The last run, or none before the first", body = Page<JobRun>)))]
async fn last_run(
    _: Operator<needs::OpsAdmin>,
    State(state): State<AppState>,
    Path(name): Path<String>,
) -> Result<Json<Page<JobRun>>, Problem> {
    let states = state.hold().jobs().states().await?;
    let job =
        states.iter().find(|state| state.job.as_str() == name).ok_or_else(|| Problem::new(Code::NotFound))?;
    Ok(Json(Page { items: job.last.iter().map(ran).collect(), next_cursor: None }))
}

/// Runs a job now and answers when it is done.
#[utoipa::path(post, path = "/v1/jobs/{name}/runs", tag = "operations",
    params(("name" = String, Path, description = "The job's name")),
    responses((status = 200, description = "What it did", body = JobRun)))]
async fn run(
    _: Operator<needs::OpsAdmin>,
    State(state): State<AppState>,
    Path(name): Path<String>,
) -> Result<Json<JobRun>, Problem> {
    Ok(Json(ran(&state.hold().jobs().run(&name).await?)))
}

fn shown(state: &JobState) -> JobView {
    JobView {
        job: state.job.as_str().to_owned(),
        every_seconds: state.every.as_secs(),
        late: state.late,
        last: state.last.as_ref().map(ran),
    }
}

fn ran(run: &control::JobRun) -> JobRun {
    JobRun {
        started_at: ts(run.started_at),
        duration_ms: u64::try_from(run.duration.as_millis()).unwrap_or(u64::MAX),
        items: run.items,
        trouble: run.trouble.clone(),
        succeeded_at: run.succeeded_at.map(ts),
        runs: run.runs,
    }
}

fn ts(time: Time) -> Ts {
    Ts::from_micros(time.micros())
}
