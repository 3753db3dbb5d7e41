//! `statehold ns …`

use reqwest::Method;
use serde_json::{Value, json};

use super::{ask, segment};
use crate::arguments::{Common, NsVerb};
use crate::exit::{Exit, Failure};
use crate::printer::{Printer, cell, instant, members, table};

const PATH: &str = "/v1/namespaces";

pub(super) async fn run(common: &Common, verb: NsVerb, printer: Printer) -> Result<Exit, Failure> {
    match verb {
        NsVerb::Create { name } => {
            ask(common, printer, (Method::POST, PATH.to_owned(), Some(json!({"name": name}))), members).await
        }
        NsVerb::List => ask(common, printer, (Method::GET, PATH.to_owned(), None), list).await,
        NsVerb::Delete { name, yes } => {
            if yes.as_deref() != Some(name.as_str()) {
                let why = format!("deleting the namespace `{name}` removes all its state after seven days");
                return Err(Failure::new(Exit::Refused, why).hint(format!("repeat it with `--yes {name}`")));
            }
            let path = format!("{PATH}/{0}?confirm={0}", segment(&name));
            ask(common, printer, (Method::DELETE, path, None), members).await
        }
    }
}

fn list(answer: &Value) -> String {
    let rows = answer["items"].as_array().into_iter().flatten();
    table(
        &["name", "created", "deleted"],
        rows.map(|ns| vec![cell(ns, "/name"), instant(ns, "/created_at"), instant(ns, "/deleted_at")]),
    )
}
