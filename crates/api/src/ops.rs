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

impl HealthStatus {
    /// The status as it travels.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Healthy => "Healthy",
            Self::Degraded => "Degraded",
            Self::Unhealthy => "Unhealthy",
        }
    }
}

/// Health in one word: what everyone may see.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HealthWord {
    /// The worst of all checks.
    pub status: HealthStatus,
}

/// Health in detail.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct HealthReport {
    /// The worst of all checks.
    pub status: HealthStatus,
    /// The version that runs.
    pub version: String,
    /// When the checks were made.
    pub time: Ts,
    /// How long they took, in milliseconds.
    pub duration_ms: f64,
    /// Features by name.
    pub features: BTreeMap<String, bool>,
    /// Checks by name.
    pub checks: BTreeMap<String, HealthCheck>,
}

/// One check.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct HealthCheck {
    /// How well it is.
    pub status: HealthStatus,
    /// What it looks at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// What it saw.
    #[schema(value_type = Object)]
    pub data: serde_json::Map<String, serde_json::Value>,
}

/// What one run of a job did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct JobRun {
    /// The job's name.
    pub job: String,
    /// When it started.
    pub started_at: Ts,
    /// How long it took, in milliseconds.
    pub duration_ms: u64,
    /// How many items it removed.
    pub removed: u64,
}
