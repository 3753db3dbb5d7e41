//! `/v1/sessions`.
//!
//! Every route asks for an API key, which names the application and its namespace. The routes under `current` ask for
//! a session's token as well: a token alone names no namespace, so it cannot stand for the key. It travels as
//! `X-Session-Id`, or as a second `Authorization: Session <token>`, and never in a query string.

mod current;
mod token;
mod views;

use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, ETAG};
use axum::http::{HeaderName, StatusCode};
use statehold_api::sessions::{
    CountQuery, CreateSession, Kind, ListQuery, OwnerMetrics, OwnerQuery, RevokeAllQuery, Session,
    SessionCount, SessionCreated, SessionRevoked, SessionsRevoked,
};
use statehold_api::{Code, FieldError, Page, PageQuery, ProblemBody, Ts};
use statehold_stores::sessions::{By, Level, NewSession, RevokeReason, SessionId, SessionKey};
use statehold_stores::value::Id;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use self::token::PresentedToken;
use crate::app::AppState;
use crate::auth::{Caller, Scope, needs};
use crate::cursor;
use crate::extract::{Call, Json, Path, Query};
use crate::problem::Problem;

pub(crate) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(count))
        .routes(routes!(metrics))
        .routes(routes!(revoke_all))
        .routes(routes!(revoke))
        .merge(current::router())
}

fn owner(text: &str) -> Result<Id, Problem> {
    id("owner", text)
}

fn id(path: &str, text: &str) -> Result<Id, Problem> {
    Id::new(text).map_err(|bad| Problem::field(Code::InvalidId, path, bad.to_string()))
}

fn session_id(path: &str, text: &str) -> Result<SessionId, Problem> {
    SessionId::from_text(text).map_err(|_| Problem::field(Code::InvalidId, path, "a session's id is a UUID"))
}

/// Begins a session. Its token is shown in this reply and never again.
#[utoipa::path(post, path = "/v1/sessions", tag = "sessions", request_body = CreateSession,
    responses((status = 201, description = "The session with its token", body = SessionCreated),
        (status = 409, description = "`too_many_sessions` or `owner_epoch_changed`",
            body = ProblemBody, content_type = "application/problem+json")))]
async fn create(
    caller: Caller<needs::SessionsWrite>,
    State(state): State<AppState>,
    Call(cx): Call,
    Json(wanted): Json<CreateSession>,
) -> Result<(StatusCode, [(HeaderName, String); 2], Json<SessionCreated>), Problem> {
    let new = new_session(wanted)?;
    let store = state.hold().sessions(caller.namespace()).await?;
    let created = store.create(&cx, &new).await?;
    let session = views::session(&created.session, store.now());
    let headers = [(ETAG, session.revision.etag()), (CACHE_CONTROL, "no-store".to_owned())];
    let evicted = created.evicted.iter().map(ToString::to_string).collect();
    let token = created.token.expose().as_str().to_owned();
    Ok((StatusCode::CREATED, headers, Json(SessionCreated { token, session, evicted })))
}

fn new_session(wanted: CreateSession) -> Result<NewSession, Problem> {
    let mut errors = Vec::new();
    let mut wrong = |path: &str, code, detail: String| {
        errors.push(FieldError { path: path.to_owned(), code, detail });
    };
    let owner = Id::new(wanted.owner.as_str());
    if let Err(bad) = &owner {
        wrong("owner", Code::InvalidId, bad.to_string());
    }
    let channel_id = wanted.channel_id.as_deref().map(Id::new).transpose();
    if let Err(bad) = &channel_id {
        wrong("channel_id", Code::InvalidId, bad.to_string());
    }
    let ip = wanted.ip.as_deref().map(str::parse).transpose();
    if ip.is_err() {
        wrong("ip", Code::OutOfRange, "an IPv4 or IPv6 address".to_owned());
    }
    let (Ok(owner), Ok(channel_id), Ok(ip)) = (owner, channel_id, ip) else {
        return Err(Problem::fields(errors));
    };
    Ok(NewSession {
        kind: views::kind(wanted.kind),
        owner,
        level: wanted.level.map_or(Level::ReadOnly, views::level),
        channel_id,
        ttl: wanted.ttl.map(Into::into),
        platform: wanted.platform.map(views::platform),
        ip,
        user_agent: wanted.user_agent.map(Into::into),
        device: wanted.device.map(Into::into),
        data: wanted.data.unwrap_or_default(),
        expect_epoch: wanted.expect_epoch,
    })
}

/// Lists an owner's live sessions, newest first, without tokens.
#[utoipa::path(get, path = "/v1/sessions", tag = "sessions", params(ListQuery),
    responses((status = 200, description = "A page of sessions", body = Page<Session>)))]
async fn list(
    caller: Caller<needs::SessionsRead>,
    State(state): State<AppState>,
    Call(cx): Call,
    Query(query): Query<ListQuery>,
) -> Result<Json<Page<Session>>, Problem> {
    let (kind, owner) = (views::kind(query.kind), owner(&query.owner)?);
    let page = PageQuery { limit: query.limit, cursor: query.cursor };
    let store = state.hold().sessions(caller.namespace()).await?;
    let sessions = store.list(&cx, kind, &owner).await?;
    let name = format!("sessions\0{}\0{}\0{}", caller.namespace().as_str(), kind.as_str(), owner.as_str());
    // Newest first: the later a session was created, the smaller its place.
    let place = |session: &statehold_stores::sessions::Session| {
        (u64::MAX - session.created_at.micros(), session.id.to_string())
    };
    let now = store.now();
    cursor::page(&page, &name, sessions, place, |session| views::session(session, now)).map(Json)
}

/// Counts the live sessions of the namespace. Scans them all: its cost grows with their number.
#[utoipa::path(get, path = "/v1/sessions/count", tag = "sessions", params(CountQuery),
    responses((status = 200, description = "How many are live", body = SessionCount)))]
async fn count(
    caller: Caller<needs::SessionsRead>,
    State(state): State<AppState>,
    Call(cx): Call,
    Query(query): Query<CountQuery>,
) -> Result<Json<SessionCount>, Problem> {
    let counted = state.hold().sessions(caller.namespace()).await?.count(&cx).await?;
    let active = query.kind.map_or(counted.total(), |kind| counted.of(views::kind(kind)));
    Ok(Json(SessionCount { active }))
}

/// One owner's sessions in figures: for keys with `sessions:admin`, and for sessions of level `admin`.
#[utoipa::path(get, path = "/v1/sessions/metrics", tag = "sessions", params(OwnerQuery, token::Parameter),
    responses((status = 200, description = "The figures", body = OwnerMetrics)))]
async fn metrics(
    caller: Caller<needs::SessionsRead>,
    State(state): State<AppState>,
    Call(cx): Call,
    token: Option<PresentedToken>,
    Query(query): Query<OwnerQuery>,
) -> Result<Json<OwnerMetrics>, Problem> {
    let (kind, owner) = (views::kind(query.kind), owner(&query.owner)?);
    let store = state.hold().sessions(caller.namespace()).await?;
    if !caller.has(Scope::SessionsAdmin) {
        let Some(token) = token else {
            let detail = "the key needs sessions:admin, or the request a session of level admin";
            return Err(Problem::new(Code::InsufficientLevel).detail(detail));
        };
        store.validate(&cx, token.as_str(), Some(Level::Admin), true).await?;
    }
    let found = store.owner_metrics(&cx, kind, &owner).await?;
    Ok(Json(OwnerMetrics {
        active_sessions: found.active_sessions,
        total_requests: found.total_requests,
        last_accessed_at: found.last_accessed_at.map(|at| Ts::from_micros(at.micros())),
        level: found.level.map(views::shown_level),
    }))
}

/// Ends one session of an owner, at once.
#[utoipa::path(delete, path = "/v1/sessions/{kind}/{owner}/{session_id}", tag = "sessions",
    params(("kind" = Kind, Path, description = "The owner's kind"),
        ("owner" = String, Path, description = "The owner"),
        ("session_id" = String, Path, description = "The session")),
    responses((status = 200, description = "Whether there was one", body = SessionRevoked)))]
async fn revoke(
    caller: Caller<needs::SessionsWrite>,
    State(state): State<AppState>,
    Call(cx): Call,
    Path((kind, owner_text, session)): Path<(Kind, String, String)>,
) -> Result<Json<SessionRevoked>, Problem> {
    let key = SessionKey {
        kind: views::kind(kind),
        owner: owner(&owner_text)?,
        session_id: session_id("session_id", &session)?,
    };
    let store = state.hold().sessions(caller.namespace()).await?;
    let revoked = store.revoke(&cx, By::Key(&key), RevokeReason::Admin).await?;
    Ok(Json(SessionRevoked { revoked }))
}

/// Ends all sessions of an owner, at once, but the excepted one.
#[utoipa::path(delete, path = "/v1/sessions/{kind}/{owner}", tag = "sessions",
    params(("kind" = Kind, Path, description = "The owner's kind"),
        ("owner" = String, Path, description = "The owner"), RevokeAllQuery),
    responses((status = 200, description = "How many were ended", body = SessionsRevoked)))]
async fn revoke_all(
    caller: Caller<needs::SessionsWrite>,
    State(state): State<AppState>,
    Call(cx): Call,
    Path((kind, owner_text)): Path<(Kind, String)>,
    Query(query): Query<RevokeAllQuery>,
) -> Result<Json<SessionsRevoked>, Problem> {
    let (kind, owner) = (views::kind(kind), owner(&owner_text)?);
    let except = query.except.as_deref().map(|text| session_id("except", text)).transpose()?;
    let store = state.hold().sessions(caller.namespace()).await?;
    let all = store.revoke_all(&cx, kind, &owner, except, RevokeReason::Admin).await?;
    Ok(Json(SessionsRevoked { revoked: all.revoked, epoch: all.epoch }))
}
