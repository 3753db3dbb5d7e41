//! `/v1/keys`: API keys.

use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use ipnet::IpNet;
use statehold_api::keys::{CreateKey, Key, KeyRevoked, KeyWithSecret, RotateKey};
use statehold_api::{Code, Dur, FieldError, Page, PageQuery, Ts};
use statehold_core::{Kind, Namespace, Time};
use statehold_journal::control::{
    ApiKey, IssuedKey, KeyId, KeyNamespaces, LIFETIME_DEFAULT, NewKey, OVERLAP_DEFAULT, ScopeSet,
};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::AppState;
use crate::auth::{Operator, Scope, needs};
use crate::cursor;
use crate::extract::{Json, JsonOrEmpty, Path, Query};
use crate::problem::Problem;

pub(crate) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(revoke)).routes(routes!(rotate))
}

/// Lists API keys, oldest first, without secrets.
#[utoipa::path(get, path = "/v1/keys", tag = "keys", params(PageQuery),
    responses((status = 200, description = "A page of keys", body = Page<Key>)))]
async fn list(
    _: Operator<needs::OpsAdmin>,
    State(state): State<AppState>,
    Query(query): Query<PageQuery>,
) -> Result<Json<Page<Key>>, Problem> {
    let keys = state.hold().control().keys();
    let place = |key: &ApiKey| (key.created_at.micros(), key.id.as_str().to_owned());
    cursor::page(&query, "keys", keys, place, shown).map(Json)
}

/// Makes an API key. Its secret is shown in this reply and never again.
#[utoipa::path(post, path = "/v1/keys", tag = "keys", request_body = CreateKey,
    responses((status = 201, description = "The key with its secret", body = KeyWithSecret)))]
async fn create(
    operator: Operator<needs::OpsAdmin>,
    State(state): State<AppState>,
    Json(wanted): Json<CreateKey>,
) -> Result<(StatusCode, Json<KeyWithSecret>), Problem> {
    let new = new_key(wanted, operator.key_id())?;
    let issued = state.hold().control().create_key(new).await?;
    Ok((StatusCode::CREATED, Json(with_secret(&issued))))
}

/// Revokes an API key, at once.
#[utoipa::path(delete, path = "/v1/keys/{id}", tag = "keys", params(("id" = String, Path, description = "The key's id")),
    responses((status = 200, description = "Whether this call revoked it", body = KeyRevoked)))]
async fn revoke(
    _: Operator<needs::OpsAdmin>,
    State(state): State<AppState>,
    Path(id): Path<String>,
) -> Result<Json<KeyRevoked>, Problem> {
    let revoked = state.hold().control().revoke_key(&key_id(&id)?).await?;
    Ok(Json(KeyRevoked { revoked }))
}

/// Gives an API key a new secret, shown in this reply and never again; the old one stays valid for the overlap.
#[utoipa::path(post, path = "/v1/keys/{id}/rotate", tag = "keys", request_body = RotateKey,
    params(("id" = String, Path, description = "The key's id")),
    responses((status = 200, description = "The key with its new secret", body = KeyWithSecret)))]
async fn rotate(
    _: Operator<needs::OpsAdmin>,
    State(state): State<AppState>,
    Path(id): Path<String>,
    JsonOrEmpty(wanted): JsonOrEmpty<RotateKey>,
) -> Result<Json<KeyWithSecret>, Problem> {
    let overlap = wanted.overlap.map_or(OVERLAP_DEFAULT, Dur::get);
    match state.hold().control().rotate_key(&key_id(&id)?, overlap).await {
        Ok(issued) => Ok(Json(with_secret(&issued))),
        // A revoked or expired key is no longer a key that can be rotated.
        Err(error) if error.kind() == Kind::Conflict => {
            Err(Problem::new(Code::NotFound).detail("the key is revoked or expired"))
        }
        Err(error) => Err(error.into()),
    }
}

/// An id of another form names no key.
fn key_id(id: &str) -> Result<KeyId, Problem> {
    KeyId::parse(id).map_err(|error| Problem::field(Code::InvalidId, "id", error.to_string()))
}

fn new_key(wanted: CreateKey, created_by: &str) -> Result<NewKey, Problem> {
    let mut errors = Vec::new();
    let namespaces = namespaces(&wanted.namespaces, &mut errors);
    let scopes = each(&wanted.scopes, "scopes", Code::InvalidEnum, &mut errors, Scope::parse);
    let cidrs = wanted.allowed_cidrs.unwrap_or_default();
    let allowed_cidrs = each(&cidrs, "allowed_cidrs", Code::OutOfRange, &mut errors, str::parse::<IpNet>);
    if !errors.is_empty() {
        return Err(Problem::fields(errors));
    }
    Ok(NewKey {
        name: wanted.name,
        namespaces,
        scopes: scopes.into_iter().collect::<ScopeSet>(),
        lifetime: Some(wanted.ttl.map_or(LIFETIME_DEFAULT, Duration::from)),
        allowed_cidrs,
        created_by: created_by.to_owned(),
    })
}

fn namespaces(wanted: &[String], errors: &mut Vec<FieldError>) -> KeyNamespaces {
    match wanted {
        [all] if all == "*" => KeyNamespaces::All,
        names => KeyNamespaces::These(each(names, "namespaces", Code::InvalidId, errors, Namespace::new)),
    }
}

/// Reads every entry of a list and notes every one that cannot be.
fn each<'a, T, E: ToString>(
    texts: &'a [String],
    path: &str,
    code: Code,
    errors: &mut Vec<FieldError>,
    read: impl Fn(&'a str) -> Result<T, E>,
) -> Vec<T> {
    let mut taken = Vec::with_capacity(texts.len());
    for (index, text) in texts.iter().enumerate() {
        match read(text) {
            Ok(value) => taken.push(value),
            Err(error) => {
                errors.push(FieldError { path: format!("{path}[{index}]"), code, detail: error.to_string() });
            }
        }
    }
    taken
}

fn with_secret(issued: &IssuedKey) -> KeyWithSecret {
    KeyWithSecret { key: shown(&issued.key), secret: issued.text.expose().to_owned() }
}

fn shown(key: &ApiKey) -> Key {
    let ts = |time: Time| Ts::from_micros(time.micros());
    Key {
        id: key.id.as_str().to_owned(),
        name: key.name.clone(),
        namespaces: match &key.namespaces {
            KeyNamespaces::All => vec!["*".to_owned()],
            KeyNamespaces::These(names) => names.iter().map(|name| name.as_str().to_owned()).collect(),
        },
        scopes: key.scopes.given().map(|scope| scope.as_str().to_owned()).collect(),
        allowed_cidrs: key.allowed_cidrs.iter().map(ToString::to_string).collect(),
        created_by: key.created_by.clone(),
        created_at: ts(key.created_at),
        expires_at: key.expires_at.map(ts),
        last_used_at: key.last_used_at.map(ts),
        revoked_at: key.revoked_at.map(ts),
    }
}
