//! `statehold keys api …`

use reqwest::Method;
use serde_json::{Value, json};

use statehold_journal::control::Scope;

use super::{ask, confirmed, segment};
use crate::arguments::{ApiKeysVerb, Common, KeysVerb};
use crate::exit::{Exit, Failure};
use crate::printer::{Printer, cell, instant, table};

pub(super) async fn run(common: &Common, verb: KeysVerb, printer: Printer) -> Result<Exit, Failure> {
    let KeysVerb::Api(verb) = verb;
    match verb {
        ApiKeysVerb::Create { name, mut scopes, operator, mut namespaces, ttl, allowed_cidrs } => {
            if operator {
                namespaces.push("*".to_owned());
                scopes = Scope::ALL.iter().map(|scope| scope.as_str().to_owned()).collect();
            } else if namespaces.is_empty() {
                namespaces.push(common.namespace.clone().unwrap_or_else(|| "default".to_owned()));
            }
            let cidrs = (!allowed_cidrs.is_empty()).then_some(allowed_cidrs);
            let body = json!({
                "name": name, "scopes": scopes, "namespaces": namespaces, "ttl": ttl, "allowed_cidrs": cidrs,
            });
            ask(common, printer, (Method::POST, "/v1/keys".to_owned(), Some(body)), secret).await
        }
        ApiKeysVerb::List => ask(common, printer, (Method::GET, "/v1/keys".to_owned(), None), list).await,
        ApiKeysVerb::Revoke { id, yes } => {
            confirmed(yes, &format!("revoking the key {id} cannot be taken back"))?;
            let path = format!("/v1/keys/{}", segment(&id));
            ask(common, printer, (Method::DELETE, path, None), |answer| {
                if answer["revoked"] == true {
                    "revoked".to_owned()
                } else {
                    "it had been revoked before".to_owned()
                }
            })
            .await
        }
        ApiKeysVerb::Rotate { id, overlap } => {
            let path = format!("/v1/keys/{}/rotate", segment(&id));
            ask(common, printer, (Method::POST, path, Some(json!({"overlap": overlap}))), secret).await
        }
    }
}

fn secret(answer: &Value) -> String {
    format!(
        "id      {}\nscopes  {}\nsecret  {}\nThe secret is shown this once.",
        cell(answer, "/key/id"),
        cell(answer, "/key/scopes"),
        cell(answer, "/secret"),
    )
}

fn list(answer: &Value) -> String {
    let rows = answer["items"].as_array().into_iter().flatten().map(|key| {
        let mut row = ["id", "name", "namespaces"].map(|column| cell(key, &format!("/{column}"))).to_vec();
        let every = key["scopes"].as_array().is_some_and(|scopes| scopes.len() == Scope::ALL.len());
        row.push(if every { "all".to_owned() } else { cell(key, "/scopes") });
        row.extend(
            ["expires_at", "last_used_at", "revoked_at"].map(|column| instant(key, &format!("/{column}"))),
        );
        row
    });
    table(&["id", "name", "namespaces", "scopes", "expires", "last used", "revoked"], rows)
}
