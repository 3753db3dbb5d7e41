//! What callers of the store hold: sessions, contexts, requests.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use statehold_core::{Deadline, Revision, Time};
use uuid::Uuid;

use super::token::SessionToken;
use crate::value::{BadValue, Id};

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum $name {
            $($(#[$variant_doc])* #[serde(rename = $word)] $variant,)+
        }

        impl $name {
            /// Every one, in order.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The word in JSON, paths and metrics.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }

            /// The one that a word names.
            pub fn from_word(word: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|one| one.as_str() == word)
            }
        }
    };
}

words! {
    /// Whose session it is.
    SessionKind {
        /// A person.
        User = "user",
        /// A node of the network.
        Node = "node",
        /// A service of the installation.
        Service = "service",
    }
}

words! {
    /// What a session may do. Ordered: a check is `have >= need`.
    Level {
        /// Reading.
        ReadOnly = "read_only",
        /// Reading and writing.
        ReadWrite = "read_write",
        /// Everything.
        Admin = "admin",
    }
}

words! {
    /// What the session's client runs on.
    Platform {
        /// A browser.
        Web = "web",
        /// A phone or tablet.
        Mobile = "mobile",
        /// A desktop application.
        Desktop = "desktop",
        /// Anything else.
        Other = "other",
    }
}

words! {
    /// What a live session looks like to a person; derived when asked, never stored. An ended one is absent.
    SessionState {
        /// In use.
        Active = "active",
        /// Not used for five minutes.
        Idle = "idle",
        /// Less than two minutes left.
        Expiring = "expiring",
    }
}

words! {
    /// Why a session was revoked.
    RevokeReason {
        /// Its holder logged out.
        User = "user",
        /// An operator or the application ended it.
        Admin = "admin",
        /// The principal was disabled, deleted or revoked.
        Principal = "principal",
        /// The principal's credentials were reset.
        Reset = "reset",
    }
}

/// A session's id: a version 7 UUID (RFC 9562), written as 36 lower-case characters.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SessionId(Uuid);

impl SessionId {
    /// Takes 16 bytes.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(Uuid::from_bytes(bytes))
    }

    /// The bytes.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }

    /// Reads 36 lower-case characters.
    ///
    /// # Errors
    /// [`BadValue::Id`] for anything else.
    pub fn from_text(text: &str) -> Result<Self, BadValue> {
        let id: Uuid = text.parse().map_err(|_| BadValue::Id)?;
        let mut canonical = Uuid::encode_buffer();
        if *id.hyphenated().encode_lower(&mut canonical) == *text { Ok(Self(id)) } else { Err(BadValue::Id) }
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

/// Ids are never logged in full.
impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [.., a, b] = self.as_bytes();
        write!(f, "SessionId(…{a:02x}{b:02x})")
    }
}

/// A session as its owner or an operator sees it: everything but the secret.
#[derive(Clone, PartialEq)]
pub struct Session {
    /// Its id.
    pub id: SessionId,
    /// Whose session it is.
    pub kind: SessionKind,
    /// The owner.
    pub owner: Id,
    /// The channel it is bound to.
    pub channel_id: Option<Id>,
    /// What it may do.
    pub level: Level,
    /// When it was created.
    pub created_at: Time,
    /// When it ends at the latest, unless it is renewed.
    pub expires_at: Time,
    /// When it was last used, to the touch granularity of its kind.
    pub last_accessed_at: Time,
    /// The owner's epoch it was created under.
    pub epoch: u64,
    /// What its client runs on.
    pub platform: Option<Platform>,
    /// Where its client connected from.
    pub ip: Option<IpAddr>,
    /// What its client calls itself, at most 512 bytes.
    pub user_agent: Option<Arc<str>>,
    /// The client's device, at most 200 bytes.
    pub device: Option<Arc<str>>,
    /// The application's own data: a JSON object of at most 16 KiB.
    pub data: Map<String, Value>,
    /// How often the data was changed.
    pub data_version: u64,
    /// Requests that were admitted in its life.
    pub request_count: u64,
    /// The revision of its record.
    pub revision: Revision,
    /// The instant from which it is absent: the earliest of its three bounds.
    pub deadline: Deadline,
}

/// Owners, addresses and data are personal: a log shows none of them.
impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("id", &self.id)
            .field("kind", &self.kind)
            .field("level", &self.level)
            .field("revision", &self.revision)
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}

impl Session {
    /// Whole seconds left at `now`, rounded down; zero when it has ended.
    pub fn remaining_seconds(&self, now: Time) -> u64 {
        self.deadline.left(now).as_secs()
    }

    /// What it looks like at `now`.
    pub fn state(&self, now: Time) -> SessionState {
        super::policy::state(self.last_accessed_at, self.deadline, now)
    }
}

/// What a valid token says about its session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionContext {
    /// The session.
    pub session_id: SessionId,
    /// Whose session it is.
    pub kind: SessionKind,
    /// The owner.
    pub owner: Id,
    /// The channel it is bound to.
    pub channel_id: Option<Id>,
    /// What it may do.
    pub level: Level,
    /// When it ends at the latest, unless it is renewed.
    pub expires_at: Time,
    /// Whole seconds until it is absent, rounded down.
    pub remaining_seconds: u64,
    /// Requests that were admitted in its life.
    pub request_count: u64,
    /// The revision of its record.
    pub revision: Revision,
    /// What it looks like.
    pub state: SessionState,
}

/// A session to be created.
#[derive(Clone, Debug)]
pub struct NewSession {
    /// Whose session it is.
    pub kind: SessionKind,
    /// The owner.
    pub owner: Id,
    /// What it may do.
    pub level: Level,
    /// The channel it is bound to.
    pub channel_id: Option<Id>,
    /// How long it lives unless it is renewed, 1 s up to the kind's longest life; none for the kind's own.
    pub ttl: Option<Duration>,
    /// What its client runs on.
    pub platform: Option<Platform>,
    /// Where its client connected from.
    pub ip: Option<IpAddr>,
    /// What its client calls itself, at most 512 bytes.
    pub user_agent: Option<Arc<str>>,
    /// The client's device, at most 200 bytes.
    pub device: Option<Arc<str>>,
    /// The application's own data, at most 16 KiB as JSON.
    pub data: Map<String, Value>,
    /// The owner's epoch that was read before the principal was checked; another present one refuses the creation.
    pub expect_epoch: Option<u64>,
}

impl NewSession {
    /// A reading session with nothing else said.
    pub fn new(kind: SessionKind, owner: Id) -> Self {
        Self {
            kind,
            owner,
            level: Level::ReadOnly,
            channel_id: None,
            ttl: None,
            platform: None,
            ip: None,
            user_agent: None,
            device: None,
            data: Map::new(),
            expect_epoch: None,
        }
    }
}

/// A session with the token that opens it: shown once, kept nowhere.
#[derive(Debug)]
pub struct Opened {
    /// The token.
    pub token: SessionToken,
    /// The session.
    pub session: Session,
}

/// A created session.
#[derive(Debug)]
pub struct Created {
    /// The token: shown once, kept nowhere.
    pub token: SessionToken,
    /// The session.
    pub session: Session,
    /// The sessions that had to end for it, oldest first.
    pub evicted: Vec<SessionId>,
}

/// Names one session of one owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionKey {
    /// Whose session it is.
    pub kind: SessionKind,
    /// The owner.
    pub owner: Id,
    /// The session.
    pub session_id: SessionId,
}

/// How a caller names a session.
#[derive(Clone, Copy)]
pub enum By<'a> {
    /// By its token, as the holder does.
    Token(&'a str),
    /// By its owner and id, as an operator does.
    Key(&'a SessionKey),
}

/// Hides the token.
impl fmt::Debug for By<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Token(_) => f.write_str("Token(***)"),
            Self::Key(key) => f.debug_tuple("Key").field(key).finish(),
        }
    }
}

/// What became of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Requested {
    /// Whether it is admitted.
    pub allowed: bool,
    /// Requests per window.
    pub limit: u64,
    /// The window.
    pub window: Duration,
    /// Requests that could still be made at this instant.
    pub remaining: u64,
    /// When the window is whole again if nothing more is asked.
    pub reset_at: Time,
    /// How long until one request would be admitted; none when this one was.
    pub retry_after: Option<Duration>,
    /// Requests that were admitted in the session's life, this one included if it was.
    pub request_count: u64,
}

/// How many requests a session made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestCount {
    /// Admitted in the window asked for.
    pub in_window: u64,
    /// Admitted in the session's life.
    pub lifetime: u64,
}

/// What ending all of an owner's sessions did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RevokedAll {
    /// Sessions this call removed.
    pub revoked: u64,
    /// The owner's epoch from now on.
    pub epoch: u64,
}

/// One owner's sessions in figures, all of one instant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OwnerMetrics {
    /// Live sessions.
    pub active_sessions: u64,
    /// Requests that were admitted in the lives of those sessions.
    pub total_requests: u64,
    /// When any of them was last used.
    pub last_accessed_at: Option<Time>,
    /// The highest level of them.
    pub level: Option<Level>,
}

/// Live sessions by kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Active {
    /// Of people.
    pub user: u64,
    /// Of nodes.
    pub node: u64,
    /// Of services.
    pub service: u64,
}

impl Active {
    /// Those of one kind.
    pub const fn of(&self, kind: SessionKind) -> u64 {
        match kind {
            SessionKind::User => self.user,
            SessionKind::Node => self.node,
            SessionKind::Service => self.service,
        }
    }

    /// All of them.
    pub const fn total(&self) -> u64 {
        self.user + self.node + self.service
    }

    pub(super) const fn of_mut(&mut self, kind: SessionKind) -> &mut u64 {
        match kind {
            SessionKind::User => &mut self.user,
            SessionKind::Node => &mut self.node,
            SessionKind::Service => &mut self.service,
        }
    }
}

impl std::ops::AddAssign for Active {
    fn add_assign(&mut self, other: Self) {
        for kind in SessionKind::ALL {
            *self.of_mut(*kind) += other.of(*kind);
        }
    }
}

/// What a sweep removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Expired items of every sort, sessions included.
    pub items: u64,
    /// Expired sessions.
    pub sessions: u64,
}
