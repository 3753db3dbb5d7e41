//! `/v1/cache`: entries, counters, batches and group commits.

mod batch;
mod wire;

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::header::{ACCEPT, CONTENT_TYPE, ETAG};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use statehold_api::cache::{
    CounterValue, Entry, EntryDeleted, EntryPatched, EntryStored, GroupQuery, IncrEntry, Int, PatchEntry,
    SetEntry,
};
use statehold_api::{Code, FieldError, ProblemBody, Rev};
use statehold_core::{Deadline, Revision};
use statehold_stores::cache::{Cache, Key, Stored};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use self::wire::{WireValue, expires_at, rev, wrong};
use crate::app::AppState;
use crate::auth::{Caller, needs};
use crate::extract::{Call, IfMatch, Json, JsonOrEmpty, Path, Query};
use crate::problem::Problem;

/// Milliseconds until an entry is gone; absent for never.
const TTL_MS: HeaderName = HeaderName::from_static("statehold-ttl-ms");
const OCTETS: &str = "application/octet-stream";

pub(crate) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(get, put, delete, patch)).routes(routes!(incr)).merge(batch::router())
}

async fn store<N>(state: &AppState, caller: &Caller<N>) -> Result<Arc<Cache>, Problem> {
    Ok(state.hold().cache(caller.namespace()).await?)
}

fn one(error: FieldError) -> Problem {
    Problem::fields(vec![error])
}

fn key_of(key: &str, query: &GroupQuery) -> Result<Key, Problem> {
    wire::key(key, query.group.as_deref(), "").map_err(one)
}

/// Reads an entry: as JSON, or its bare bytes for `Accept: application/octet-stream`. HEAD answers the same headers:
/// `ETag`, and `Statehold-Ttl-Ms` where the entry expires.
#[utoipa::path(get, path = "/v1/cache/keys/{key}", tag = "cache",
    params(("key" = String, Path, description = "The key"), GroupQuery),
    responses((status = 200, description = "The entry", content((Entry = "application/json"),
        (Vec<u8> = "application/octet-stream"))), (status = 404, description = "No such key", body = ProblemBody,
            content_type = "application/problem+json")))]
async fn get(
    caller: Caller<needs::CacheRead>,
    State(state): State<AppState>,
    Call(cx): Call,
    Path(key): Path<String>,
    Query(query): Query<GroupQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let name = key_of(&key, &query)?;
    let cache = store(&state, &caller).await?;
    let entry = cache.get(&cx, &name).await?.ok_or_else(|| Problem::new(Code::KeyNotFound))?;
    let told = told(&cache, entry.revision, entry.deadline);
    if wants_octets(&headers) {
        let octets = [(CONTENT_TYPE, HeaderValue::from_static(OCTETS))];
        return Ok((told, octets, Body::from(entry.value.into_bytes())).into_response());
    }
    Ok((told, Json(wire::entry(key, entry))).into_response())
}

/// Puts a value.
#[utoipa::path(put, path = "/v1/cache/keys/{key}", tag = "cache", request_body = SetEntry,
    params(("key" = String, Path, description = "The key"), GroupQuery),
    responses((status = 201, description = "Created", body = EntryStored),
        (status = 200, description = "Replaced", body = EntryStored),
        (status = 409, description = "if_absent: it exists", body = ProblemBody,
            content_type = "application/problem+json"), (status = 404, description = "if_present: it does not", body = ProblemBody,
            content_type = "application/problem+json"),
        (status = 412, description = "Another revision", body = ProblemBody,
            content_type = "application/problem+json")))]
async fn put(
    caller: Caller<needs::CacheWrite>,
    State(state): State<AppState>,
    Call(cx): Call,
    Path(key): Path<String>,
    Query(query): Query<GroupQuery>,
    if_match: IfMatch,
    Json(wanted): Json<SetEntry>,
) -> Result<Response, Problem> {
    let name = key_of(&key, &query)?;
    let SetEntry { value, value_b64, ttl, mode, if_revision, keep_ttl } = wanted;
    let if_revision = if_match.or(if_revision)?;
    let mode = wire::mode(mode, if_revision, "").map_err(one)?;
    let set = wire::set(WireValue { value, value_b64 }, ttl, keep_ttl, "").map_err(one)?;
    let cache = store(&state, &caller).await?;
    match cache.set(&cx, &name, set, mode).await? {
        Stored::Yes { created, revision, deadline } => {
            let status = if created { StatusCode::CREATED } else { StatusCode::OK };
            let body =
                EntryStored { stored: true, revision: rev(revision), expires_at: expires_at(deadline) };
            Ok((status, told(&cache, revision, deadline), Json(body)).into_response())
        }
        Stored::No { present } => Err(not_stored(present)),
    }
}

/// Nothing was stored: `if_absent` met an entry, or `if_present` met none.
fn not_stored(present: Option<Revision>) -> Problem {
    match present {
        Some(_) => Problem::new(Code::Exists),
        None => Problem::new(Code::KeyNotFound),
    }
}

/// Removes an entry.
#[utoipa::path(delete, path = "/v1/cache/keys/{key}", tag = "cache",
    params(("key" = String, Path, description = "The key"), GroupQuery),
    responses((status = 200, description = "Whether it was there", body = EntryDeleted),
        (status = 412, description = "Another revision", body = ProblemBody,
            content_type = "application/problem+json")))]
async fn delete(
    caller: Caller<needs::CacheWrite>,
    State(state): State<AppState>,
    Call(cx): Call,
    Path(key): Path<String>,
    Query(query): Query<GroupQuery>,
    if_match: IfMatch,
) -> Result<Json<EntryDeleted>, Problem> {
    let name = key_of(&key, &query)?;
    let if_revision = if_match.0.map(|Rev(revision)| Revision::from_u64(revision));
    let deleted = store(&state, &caller).await?.delete(&cx, &name, if_revision).await?;
    Ok(Json(EntryDeleted { deleted: deleted.into() }))
}

/// Gives an entry another deadline, or takes it away.
#[utoipa::path(patch, path = "/v1/cache/keys/{key}", tag = "cache", request_body = PatchEntry,
    params(("key" = String, Path, description = "The key"), GroupQuery),
    responses((status = 200, description = "The new deadline", body = EntryPatched),
        (status = 404, description = "No such key", body = ProblemBody,
            content_type = "application/problem+json")))]
async fn patch(
    caller: Caller<needs::CacheWrite>,
    State(state): State<AppState>,
    Call(cx): Call,
    Path(key): Path<String>,
    Query(query): Query<GroupQuery>,
    Json(wanted): Json<PatchEntry>,
) -> Result<Response, Problem> {
    let name = key_of(&key, &query)?;
    let cache = store(&state, &caller).await?;
    let touched = match (wanted.ttl, wanted.persist) {
        (Some(ttl), None | Some(false)) => {
            let ttl = wire::dur(ttl, "").map_err(one)?;
            cache.expire(&cx, &name, ttl).await?
        }
        (None, Some(true)) => cache.persist(&cx, &name).await?,
        _ => return Err(one(wrong(Code::OutOfRange, "ttl", "give one of ttl and persist:true"))),
    };
    let touched = touched.ok_or_else(|| Problem::new(Code::KeyNotFound))?;
    let body = EntryPatched { expires_at: expires_at(touched.deadline) };
    Ok((told(&cache, touched.revision, touched.deadline), Json(body)).into_response())
}

/// Adds to a counter, which begins at 0.
#[utoipa::path(post, path = "/v1/cache/keys/{key}/incr", tag = "cache", request_body = IncrEntry,
    params(("key" = String, Path, description = "The key"), GroupQuery),
    responses((status = 200, description = "The sum", body = CounterValue),
        (status = 409, description = "Not a counter, or the sum is out of bounds", body = ProblemBody,
            content_type = "application/problem+json")))]
async fn incr(
    caller: Caller<needs::CacheWrite>,
    State(state): State<AppState>,
    Call(cx): Call,
    Path(key): Path<String>,
    Query(query): Query<GroupQuery>,
    JsonOrEmpty(wanted): JsonOrEmpty<IncrEntry>,
) -> Result<Response, Problem> {
    let name = key_of(&key, &query)?;
    let incr = wire::incr(&wanted, "").map_err(one)?;
    let sum = store(&state, &caller).await?.incr(&cx, &name, incr).await?;
    let revision = rev(sum.revision);
    Ok(([(ETAG, etag(revision))], Json(CounterValue { value: Int(sum.value), revision })).into_response())
}

/// The headers of an entry: its revision and the time it has left.
fn told(cache: &Cache, revision: Revision, deadline: Option<Deadline>) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(2);
    headers.insert(ETAG, etag(rev(revision)));
    if let Some(deadline) = deadline {
        let millis = u64::try_from(cache.left(deadline).as_millis()).unwrap_or(u64::MAX);
        headers.insert(TTL_MS, HeaderValue::from(millis.max(1)));
    }
    headers
}

fn etag(revision: Rev) -> HeaderValue {
    HeaderValue::try_from(revision.etag()).expect("quotes and digits are ASCII")
}

/// Whether the caller asks for bare bytes by name.
fn wants_octets(headers: &HeaderMap) -> bool {
    let media = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    media
        .flat_map(|list| list.split(','))
        .any(|media| media.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case(OCTETS))
}
