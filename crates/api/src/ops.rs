//! Health, status and jobs.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::values::Ts;

/// How well something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
pub enum HealthStatus {
    /// All is well.
    Healthy,
    /// It serves, and an operator should look.
    Degraded,
    /// It does not serve.
    Unhealthy,
}

/// Health in one word: what everyone may see.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HealthWord {
    /// The worst of all checks.
    pub status: HealthStatus,
}

/// Health; everything but `status` only for those who may see it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct HealthReport {
    /// The worst of all checks.
    pub status: HealthStatus,
    /// The version that runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// When the checks were made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<Ts>,
    /// How long they took, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<f64>,
    /// Features by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub features: BTreeMap<String, bool>,
    /// Checks by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub checks: BTreeMap<String, HealthCheck>,
}

/// One check.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct HealthCheck {
    /// How well it is.
    pub status: HealthStatus,
    /// What it looks at, or what is wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// What it saw.
    #[schema(value_type = Object)]
    pub data: serde_json::Map<String, serde_json::Value>,
}

/// The running installation in short.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StatusReport {
    /// The version that runs.
    pub version: String,
    /// How strict it is: `development` or `production`.
    pub profile: String,
    /// When it was started.
    pub started_at: Ts,
    /// Namespaces that serve.
    pub namespace_count: u64,
    /// Features by name.
    pub features: BTreeMap<String, bool>,
    /// Where every store is, by the store's name.
    pub stores: BTreeMap<String, StoreHome>,
    /// What an operator should know.
    pub warnings: Vec<StatusWarning>,
}

/// Where a store is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StoreHome {
    /// The engine's name.
    pub engine: String,
    /// The engine's kind.
    pub kind: String,
    /// A process that ends loses nothing.
    pub durable: bool,
    /// Several processes see one state.
    pub distributed: bool,
    /// How it is: `ok`, `slow` or `unavailable`.
    pub state: String,
}

/// Something an operator should know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StatusWarning {
    /// A stable word.
    pub code: String,
    /// One sentence.
    pub text: String,
}

/// A background job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct JobView {
    /// The job's name.
    pub job: String,
    /// How often it runs, in seconds.
    pub every_seconds: u64,
    /// Whether it should have run and has not.
    pub late: bool,
    /// Its last run; absent before the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<JobRun>,
}

/// What one run of a job did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct JobRun {
    /// When it began.
    pub started_at: Ts,
    /// How long it took, in milliseconds.
    pub duration_ms: u64,
    /// How many items it dealt with: for the sweep, those it removed.
    pub items: u64,
    /// What stopped it; absent where it did all its work.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
    /// When the last run that did all its work began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub succeeded_at: Option<Ts>,
    /// Runs since the installation was made.
    pub runs: u64,
}
