//! What a health check answers.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value};

/// How something is; the worst of many is the greatest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum Status {
    /// As it should be.
    Healthy,
    /// It serves, and an operator should look.
    Degraded,
    /// It does not serve.
    Unhealthy,
}

impl Status {
    /// The value of the metric `statehold_health_status`: 0, 1 or 2.
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// The name in reports and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Healthy => "Healthy",
            Self::Degraded => "Degraded",
            Self::Unhealthy => "Unhealthy",
        }
    }
}

/// One check.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Check {
    /// How it is.
    pub status: Status,
    /// What it looks at, or what is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The figures.
    pub data: Map<String, Value>,
}

impl Check {
    /// A check without figures.
    pub fn new(status: Status) -> Self {
        Self { status, description: None, data: Map::new() }
    }

    /// The same, saying what it looks at or what is wrong.
    #[must_use]
    pub fn described(mut self, description: impl Into<String>) -> Self {
        self.description = Some(description.into());
        self
    }

    /// The same with one more figure.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.data.insert(name.to_owned(), value.into());
        self
    }
}

/// The whole report.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// The worst of all checks.
    pub status: Status,
    /// The product's version.
    pub version: &'static str,
    /// When the checks were run: RFC 3339, UTC, microseconds.
    pub time: String,
    /// How long they took, milliseconds.
    pub duration_ms: f64,
    /// The feature flags.
    pub features: BTreeMap<String, bool>,
    /// The checks, by name.
    pub checks: BTreeMap<&'static str, Check>,
}

impl Report {
    /// Whether requests may be sent here.
    pub fn serves(&self) -> bool {
        self.status < Status::Unhealthy
    }
}
