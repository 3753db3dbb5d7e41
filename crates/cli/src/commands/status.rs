//! `statehold status`

use reqwest::Method;
use serde_json::Value;

use super::ask;
use crate::arguments::Common;
use crate::exit::{Exit, Failure};
use crate::printer::{Printer, cell, instant, table};

pub(super) async fn run(common: &Common, printer: Printer) -> Result<Exit, Failure> {
    ask(common, printer, (Method::GET, "/v1/status".to_owned(), None), text).await
}

fn text(status: &Value) -> String {
    let head = format!(
        "statehold {} ({}), started {}, {} namespaces\n",
        cell(status, "/version"),
        cell(status, "/profile"),
        instant(status, "/started_at"),
        cell(status, "/namespace_count"),
    );
    let stores = status["stores"].as_object().into_iter().flatten().map(|(store, home)| {
        let column = |name: &str| cell(home, &format!("/{name}"));
        vec![
            store.clone(),
            column("engine"),
            column("kind"),
            column("durable"),
            column("distributed"),
            column("state"),
        ]
    });
    let mut out = head + &table(&["store", "engine", "kind", "durable", "distributed", "state"], stores);
    for warning in status["warnings"].as_array().into_iter().flatten() {
        out.push_str("\nwarning: ");
        out.push_str(&cell(warning, "/text"));
    }
    out
}
