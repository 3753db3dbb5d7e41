//! Looks an installation over without starting it: what is wrong, and what to do about it.

mod checks;

use serde::Serialize;
use statehold_core::Clock;

use crate::config::Config;
use crate::directory::DataDir;
use crate::fault::OpenKind;
use crate::health::Status;

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Good to know.
    Note,
    /// It works, and somebody should look.
    Warning,
    /// It does not work, or is not safe.
    Error,
}

/// One thing that was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// A stable word.
    pub code: &'static str,
    /// How much it matters.
    pub severity: Severity,
    /// What was found.
    pub text: String,
    /// What to do next.
    pub hint: String,
}

/// Everything that was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Diagnosis {
    /// `Unhealthy` with an error among the findings, `Degraded` with a warning, else `Healthy`.
    pub status: Status,
    /// The findings, gravest first.
    pub findings: Vec<Finding>,
}

impl Diagnosis {
    fn of(mut findings: Vec<Finding>) -> Self {
        findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
        let status = match findings.first().map(|finding| finding.severity) {
            Some(Severity::Error) => Status::Unhealthy,
            Some(Severity::Warning) => Status::Degraded,
            Some(Severity::Note) | None => Status::Healthy,
        };
        Self { status, findings }
    }
}

/// Looks an installation over: data directory, secrets, both databases to the last page, disk, clock, configuration,
/// placements. Changes nothing, and may run beside a server. Blocks for as long as reading the databases takes.
pub fn examine(config: &Config, clock: &dyn Clock) -> Diagnosis {
    let mut findings = checks::configuration(config);
    if config.data_dir.exists() {
        findings.extend(checks::directory(config));
        findings.extend(checks::private_files(config));
        findings.extend(checks::disk(config));
        findings.extend(checks::clock(config, clock.now()));
        let held = match DataDir::hold(config) {
            Ok(held) => Some(held),
            Err(error) => {
                findings.push(in_use(&error));
                None
            }
        };
        findings.extend(checks::integrity(config));
        if held.is_some() {
            findings.extend(checks::records(config));
        }
    } else {
        findings.push(Finding {
            code: "data_dir_missing",
            severity: Severity::Note,
            text: format!("the data directory `{}` does not exist yet", config.data_dir.display()),
            hint: "`statehold serve` makes it".to_owned(),
        });
    }
    Diagnosis::of(findings)
}

/// A held lock is what a running server looks like; anything else keeps the next start from working.
fn in_use(error: &crate::OpenError) -> Finding {
    let running = error.kind() == OpenKind::Unavailable && std::error::Error::source(error).is_none();
    Finding {
        code: if running { "in_use" } else { "lock" },
        severity: if running { Severity::Note } else { Severity::Error },
        text: error.to_string(),
        hint: error.hint().to_owned(),
    }
}
