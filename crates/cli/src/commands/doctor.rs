//! `statehold doctor`

use serde_json::{Value, json};
use statehold::SystemClock;
use statehold::doctor::{self, Severity};

use crate::arguments::Common;
use crate::configured;
use crate::exit::{Exit, Failure};
use crate::printer::{Printer, cell, table};

pub(super) async fn run(common: &Common, printer: Printer) -> Result<Exit, Failure> {
    let config = configured::load(common)?;
    let examined = tokio::task::spawn_blocking(move || doctor::examine(&config, &SystemClock)).await;
    let diagnosis =
        examined.map_err(|error| Failure::internal("the look ended by itself").caused_by(&error))?;
    printer.answer(&json!(diagnosis), text);
    let failed = diagnosis.findings.iter().any(|finding| finding.severity == Severity::Error);
    Ok(if failed { Exit::CheckFailed } else { Exit::Done })
}

fn text(document: &Value) -> String {
    let findings = document["findings"].as_array().into_iter().flatten();
    let rows = findings.map(|finding| {
        ["severity", "code", "text", "hint"].map(|column| cell(finding, &format!("/{column}"))).to_vec()
    });
    format!("{}\n{}", cell(document, "/status"), table(&["severity", "code", "finding", "what to do"], rows))
}
