//! `statehold health`: exit code 1 when the answer is no.

use reqwest::Method;
use serde_json::Value;

use crate::arguments::{Common, Probe};
use crate::exit::{Exit, Failure};
use crate::printer::{Printer, cell, table};
use crate::target::Target;

pub(super) async fn run(common: &Common, probe: Probe, printer: Printer) -> Result<Exit, Failure> {
    let path = match probe {
        Probe::Live => "/health/live",
        Probe::Ready => "/health/ready",
        Probe::Startup => "/health/startup",
    };
    let target = Target::find(common).await?;
    let answered = target.ask(Method::GET, path, None).await;
    target.close().await;
    let (status, body) = answered?;
    let document: Value = serde_json::from_slice(&body)
        .map_err(|error| Failure::internal("the answer about health is no JSON").caused_by(&error))?;
    printer.answer(&document, text);
    Ok(if status == 200 { Exit::Done } else { Exit::CheckFailed })
}

fn text(report: &Value) -> String {
    let checks = report["checks"].as_object().into_iter().flatten();
    let rows: Vec<Vec<String>> =
        checks.map(|(name, check)| vec![name.clone(), cell(check, "/status"), seen(check)]).collect();
    let head = cell(report, "/status");
    if rows.is_empty() { head } else { format!("{head}\n{}", table(&["check", "status", "seen"], rows)) }
}

/// What a check saw, on one line.
fn seen(check: &Value) -> String {
    let members = check["data"].as_object().into_iter().flatten();
    members.map(|(name, value)| format!("{name} {}", cell(value, ""))).collect::<Vec<_>>().join(", ")
}
