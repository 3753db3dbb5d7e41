//! `statehold sessions …`

use reqwest::Method;
use serde_json::Value;

use super::{ask, confirmed, segment};
use crate::arguments::{Common, SessionsVerb};
use crate::exit::{Exit, Failure};
use crate::printer::{Printer, cell, instant, members, table};

pub(super) async fn run(common: &Common, verb: SessionsVerb, printer: Printer) -> Result<Exit, Failure> {
    match verb {
        SessionsVerb::Count { kind } => {
            let query = kind.map(|kind| format!("?kind={}", segment(&kind))).unwrap_or_default();
            ask(common, printer, (Method::GET, format!("/v1/sessions/count{query}"), None), members).await
        }
        SessionsVerb::List { kind, owner } => {
            let path = format!("/v1/sessions?kind={}&owner={}", segment(&kind), segment(&owner));
            ask(common, printer, (Method::GET, path, None), list).await
        }
        SessionsVerb::Revoke { kind, owner, session, yes } => {
            let which =
                session.as_deref().map_or("all sessions".to_owned(), |id| format!("the session {id}"));
            confirmed(yes, &format!("revoking {which} of {kind} {owner} ends them at once"))?;
            let mut path = format!("/v1/sessions/{}/{}", segment(&kind), segment(&owner));
            if let Some(id) = session {
                path = format!("{path}/{}", segment(&id));
            }
            ask(common, printer, (Method::DELETE, path, None), members).await
        }
    }
}

fn list(answer: &Value) -> String {
    let rows = answer["items"].as_array().into_iter().flatten().map(|session| {
        let mut row = ["session_id", "level", "state", "platform", "device", "request_count"]
            .map(|column| cell(session, &format!("/{column}")))
            .to_vec();
        row.extend(["created_at", "expires_at"].map(|column| instant(session, &format!("/{column}"))));
        row
    });
    table(&["session", "level", "state", "platform", "device", "requests", "created", "expires"], rows)
}
