//! `statehold sweep`

use reqwest::Method;
use serde_json::json;

use crate::arguments::Common;
use crate::exit::{Exit, Failure};
use crate::printer::{Printer, cell};
use crate::target::Target;

pub(super) async fn run(common: &Common, printer: Printer) -> Result<Exit, Failure> {
    let target = Target::find(common).await?;
    let answered = target.call(Method::POST, "/v1/jobs/sweep/runs", None).await;
    target.close().await;
    let ran = answered?;
    let document = json!({
        "removed": ran["items"],
        "duration_ms": ran["duration_ms"],
        "trouble": ran["trouble"],
    });
    printer.answer(&document, |document| {
        format!("removed {} items in {} ms", cell(document, "/removed"), cell(document, "/duration_ms"))
    });
    match document["trouble"].as_str() {
        None => Ok(Exit::Done),
        Some(trouble) => {
            printer.talk(&format!("not all was swept: {trouble}"));
            Ok(Exit::Partly)
        }
    }
}
