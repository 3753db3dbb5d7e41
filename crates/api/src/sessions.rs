//! Sessions: `/v1/sessions`.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::{IntoParams, ToSchema};

use crate::values::{Dur, Rev, Ts};

/// The header that carries a session's token, beside the API key. `Authorization: Session <token>` means the same.
pub const SESSION_HEADER: &str = "x-session-id";

/// Whose session it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A person.
    User,
    /// A node of the network.
    Node,
    /// A service of the installation.
    Service,
}

/// What a session may do, lowest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Reading.
    ReadOnly,
    /// Reading and writing.
    ReadWrite,
    /// Everything.
    Admin,
}

/// One thing a session may do, as its level implies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Capability {
    /// Reading.
    Read,
    /// Writing.
    Write,
    /// Administration.
    Admin,
}

/// What a session's client runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Platform {
    /// A browser.
    Web,
    /// A phone or tablet.
    Mobile,
    /// A desktop application.
    Desktop,
    /// Anything else.
    Other,
}

/// What a live session looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// In use.
    Active,
    /// Not used for five minutes.
    Idle,
    /// Less than two minutes left.
    Expiring,
}

/// Begins a session.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateSession {
    /// Whose session it is.
    pub kind: Kind,
    /// The owner, 1 to 200 bytes.
    pub owner: String,
    /// What it may do; `read_only` unless said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub level: Option<Level>,
    /// The channel it is bound to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel_id: Option<String>,
    /// How long it lives unless it is renewed: 1 s up to the kind's longest life; the kind's own unless said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl: Option<Dur>,
    /// What its client runs on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
    /// Where its client connected from: an IPv4 or IPv6 address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ip: Option<String>,
    /// What its client calls itself, at most 512 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_agent: Option<String>,
    /// The client's device, at most 200 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
    /// The application's own data, at most 16 KiB as JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub data: Option<Map<String, Value>>,
    /// The owner's epoch that was read before the principal was checked; another present one refuses the session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expect_epoch: Option<u64>,
}

/// A session as it is shown: never with its token.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Session {
    /// Its id.
    pub session_id: String,
    /// Whose session it is.
    pub kind: Kind,
    /// The owner.
    pub owner: String,
    /// The channel it is bound to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel_id: Option<String>,
    /// What it may do.
    pub level: Level,
    /// What it looks like now.
    pub state: State,
    /// When it was created.
    pub created_at: Ts,
    /// When it ends at the latest, unless it is renewed.
    pub expires_at: Ts,
    /// Whole seconds left, the idle time and the longest life considered.
    pub remaining_seconds: u64,
    /// When it was last used.
    pub last_accessed_at: Ts,
    /// The owner's epoch it was created under.
    pub epoch: u64,
    /// What its client runs on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
    /// Where its client connected from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ip: Option<String>,
    /// What its client calls itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_agent: Option<String>,
    /// The client's device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
    /// The application's own data.
    #[schema(value_type = Object)]
    pub data: Map<String, Value>,
    /// How often the data was changed.
    pub data_version: u64,
    /// Requests that were allowed in its life.
    pub request_count: u64,
    /// The revision of its record.
    pub revision: Rev,
}

/// A session that has begun.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SessionCreated {
    /// The token that opens it: shown in this reply and never again.
    pub token: String,
    /// The session.
    pub session: Session,
    /// The sessions that ended for it, oldest first.
    pub evicted: Vec<String>,
}

/// A session that was changed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SessionChanged {
    /// The session.
    pub session: Session,
}

/// What a token says about its session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SessionContext {
    /// The session.
    pub session_id: String,
    /// Whose session it is.
    pub kind: Kind,
    /// The owner.
    pub owner: String,
    /// The channel it is bound to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel_id: Option<String>,
    /// What it may do.
    pub level: Level,
    /// The same as a list: every level includes those below it.
    pub capabilities: Vec<Capability>,
    /// What it looks like now.
    pub state: State,
    /// When it ends at the latest, unless it is renewed.
    pub expires_at: Ts,
    /// Whole seconds left, the idle time and the longest life considered.
    pub remaining_seconds: u64,
    /// Requests that were allowed in its life.
    pub request_count: u64,
    /// The revision of its record.
    pub revision: Rev,
}

/// Moves a session's end.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RenewSession {
    /// What is added to the later of its end and now; one hour unless said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub additional: Option<Dur>,
}

/// Counts one request of a session against a limit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RecordRequest {
    /// The limit policy; `session` unless said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
    /// A class of the policy, such as `sync`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<String>,
}

/// A request that is allowed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RequestRecorded {
    /// Always true: a request that is not allowed is answered with status 429.
    pub allowed: bool,
    /// Requests per window.
    pub limit: u64,
    /// Requests that can still be made now.
    pub remaining: u64,
    /// When the window is whole again if nothing more is asked.
    pub reset_at: Ts,
    /// Requests that were allowed in the session's life, this one included.
    pub request_count: u64,
}

/// Whose sessions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct OwnerQuery {
    /// The owner's kind.
    #[param(inline)]
    pub kind: Kind,
    /// The owner.
    pub owner: String,
}

/// Whose sessions, and which page of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct ListQuery {
    /// The owner's kind.
    #[param(inline)]
    pub kind: Kind,
    /// The owner.
    pub owner: String,
    /// Entries of the page, 1 to 100; 50 unless said.
    #[param(minimum = 1, maximum = 100)]
    pub limit: Option<u32>,
    /// `next_cursor` of the page before, from the same query.
    pub cursor: Option<String>,
}

/// Which sessions are counted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct CountQuery {
    /// Those of one kind; all unless said.
    #[param(inline)]
    pub kind: Option<Kind>,
}

/// Which session of an owner stays.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct RevokeAllQuery {
    /// The id of the session that stays; none unless said.
    pub except: Option<String>,
}

/// Whether a session was ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SessionRevoked {
    /// Whether there was one.
    pub revoked: bool,
}

/// What ending all of an owner's sessions did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SessionsRevoked {
    /// Sessions that this call ended.
    pub revoked: u64,
    /// The owner's epoch from now on.
    pub epoch: u64,
}

/// One owner's sessions in figures, all of one instant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OwnerMetrics {
    /// Live sessions.
    pub active_sessions: u64,
    /// Requests that were allowed in the lives of those sessions.
    pub total_requests: u64,
    /// When any of them was last used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_accessed_at: Option<Ts>,
    /// The highest level of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub level: Option<Level>,
}

/// How many sessions are live.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SessionCount {
    /// Live sessions.
    pub active: u64,
}
