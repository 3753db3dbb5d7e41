//! `statehold sweep`

use reqwest::Method;
use serde_json::json;

use super::ask;
use crate::arguments::Common;
use crate::exit::{Exit, Failure};
use crate::printer::{Printer, cell};

pub(super) async fn run(common: &Common, store: Option<String>, printer: Printer) -> Result<Exit, Failure> {
    let body = store.map(|store| json!({"store": store}));
    ask(common, printer, (Method::POST, "/v1/jobs/sweep/runs".to_owned(), body), |answer| {
        format!("removed {} items in {} ms", cell(answer, "/removed"), cell(answer, "/duration_ms"))
    })
    .await
}
