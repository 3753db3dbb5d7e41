//! Sessions of users, nodes and services: renewal, limits, listing and immediate revocation.
//!
//! One owner is one partition, named by a keyed digest (the owner tag) that the token carries: looking a session up
//! is one fetch of its record, its request counter and the owner's head item, the *mark*. Membership changes (create,
//! evict, revoke) check and rewrite the mark and so happen one after another; nothing else touches it. The mark holds
//! the owner's *epoch*, which `revoke_all` alone raises: a session of an older epoch is invalid at once, whatever is
//! still stored of it.
//!
//! What is written about a session is checked against the revision that was read, so nothing revives a session that
//! was revoked meanwhile. The deadline of its item is the earliest of its three bounds, judged by the engine; the
//! request counter carries the same one. Limiter state ends with its window or with its session.

mod access;
mod change;
mod codec;
mod create;
mod end;
mod error;
mod meters;
mod model;
mod overview;
mod patch;
pub mod policy;
mod requests;
mod token;

#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::RwLock;
use statehold_core::{
    Check, Commit, Cx, Deadline, Durability, Error, Item, ItemId, Kind, Needs, Outcome, Place, Revision,
    Time, Traits,
};

use self::codec::{Record, count_item, mark_item, rate_item, session_item};
use self::meters::Meters;
use self::policy::{KindPolicy, Policies};
use self::token::OwnerTag;
use crate::Home;
use crate::contend::Queue;
use crate::limits;
use crate::value::Id;

pub use error::SessionError;
pub use model::{
    Active, By, Created, Level, NewSession, Opened, OwnerMetrics, Platform, RequestCount, Requested,
    RevokeReason, RevokedAll, Session, SessionContext, SessionId, SessionKey, SessionKind, SessionState,
    Swept,
};
pub use requests::SESSION_POLICY;
pub use token::{SessionKeys, SessionToken, TOKEN_CHARS, TOKEN_PREFIX};

/// Most bytes of a session's data as JSON.
pub const DATA_BYTES_MAX: usize = 16 << 10;
/// Most bytes of a user agent.
pub const USER_AGENT_BYTES_MAX: usize = 512;
/// Most bytes of a device's name.
pub const DEVICE_BYTES_MAX: usize = 200;

/// The sessions of one namespace.
pub struct Sessions {
    home: Home,
    keys: SessionKeys,
    policies: RwLock<Policies>,
    limits: RwLock<Arc<limits::Policies>>,
    queue: Queue,
    meters: Meters,
}

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sessions").field("home", &self.home).finish_non_exhaustive()
    }
}

impl Sessions {
    /// The store's name.
    pub const STORE: &'static str = "sessions";
    /// Sessions outlive the process and are never evicted.
    pub const NEEDS: Needs = Needs { durability: Durability::Buffered, tolerates_eviction: false };
    /// An owner is listed in order; what expired is seen by the sweep.
    pub const TRAITS: Traits =
        Traits { ordered: true, observes_expiry: true, announces: false, unsynced: false, disposable: false };

    /// The sessions kept at `home`.
    pub fn new(home: Home, keys: SessionKeys, policies: Policies, limits: limits::Policies) -> Self {
        Self {
            home,
            keys,
            policies: RwLock::new(policies),
            limits: RwLock::new(Arc::new(limits)),
            queue: Queue::new(),
            meters: Meters::new(),
        }
    }

    /// Puts other rules in force: for every write from now on.
    pub fn reload(&self, policies: Policies, limits: limits::Policies) {
        *self.policies.write() = policies;
        *self.limits.write() = Arc::new(limits);
    }

    /// The rules in force.
    pub fn policies(&self) -> Policies {
        *self.policies.read()
    }

    /// The present instant, by the clock that this store goes by.
    pub fn now(&self) -> Time {
        self.home.now()
    }

    fn policy(&self, kind: SessionKind) -> KindPolicy {
        *self.policies.read().of(kind)
    }

    fn limits(&self) -> Arc<limits::Policies> {
        Arc::clone(&self.limits.read())
    }

    fn place_of(&self, tag: OwnerTag) -> Result<Place, Error> {
        self.home.place(Bytes::copy_from_slice(&tag.0))
    }

    fn place(&self, kind: SessionKind, owner: &Id) -> Result<Place, Error> {
        self.place_of(self.keys.tag_of(kind, owner))
    }

    /// Reads a session, its counter, its owner's mark and `more` of the same partition in one round trip.
    async fn find(&self, cx: &Cx, by: By<'_>, more: &[ItemId]) -> Result<Found, SessionError> {
        let (tag, id, token) = match by {
            By::Token(text) => {
                let token = SessionToken::parse(text).ok_or(SessionError::Invalid)?;
                (token.tag(), token.session_id(), Some(token))
            }
            By::Key(key) => (self.keys.tag_of(key.kind, &key.owner), key.session_id, None),
        };
        let at = self.place_of(tag)?;
        let mut wanted = Vec::with_capacity(3 + more.len());
        wanted.extend([session_item(id), count_item(id), mark_item()].map(|item| at.item(item)));
        wanted.extend(more.iter().map(|item| at.item(item.clone())));
        let items = self.home.engine.fetch(cx, &wanted).await?;
        let mut items = items.into_iter();
        let missing = if token.is_some() { SessionError::Invalid } else { SessionError::NotFound };
        let item = items.next().flatten().ok_or(missing)?;
        let (count, mark) = (items.next().flatten(), items.next().flatten());
        Ok(Found { at, tag, id, token, item, count, mark, more: items.collect() })
    }

    /// The record that was found, if it is a live session of the one who asked.
    ///
    /// A record that belongs to another owner than its partition, or cannot be read, is corrupt, never absent.
    fn record<'f>(&self, found: &'f Found) -> Result<Record<'f>, SessionError> {
        let record = Record::read(&found.item.value).map_err(|error| found.corrupt(error))?;
        if record.session_id != found.id || self.keys.tag(record.kind, &record.owner) != found.tag {
            return Err(found.corrupt(Error::corrupt("a session's record belongs elsewhere")));
        }
        let epoch = codec::read_mark(found.mark.as_ref()).map_err(|error| found.corrupt(error))?;
        let Some(token) = &found.token else {
            return if record.epoch < epoch { Err(SessionError::NotFound) } else { Ok(record) };
        };
        let hash = record.token_hash().map_err(|error| found.corrupt(error))?;
        if hash.matches(&self.keys.hash(token)) && record.epoch >= epoch {
            Ok(record)
        } else {
            Err(SessionError::Invalid)
        }
    }

    /// Commits a changed record under the revision that was read; none when another write came first.
    async fn replace(
        &self,
        cx: &Cx,
        found: &Found,
        record: &Record<'_>,
    ) -> Result<Option<(Revision, Deadline)>, SessionError> {
        let deadline = self.policy(record.kind).deadline(
            record.created_at(),
            record.expires_at(),
            record.last_accessed_at(),
        );
        let commit = Commit::new()
            .at(found.item.id.clone(), found.item.revision)
            .put(found.item.id.clone(), record.write(), Some(deadline))
            .touch(count_item(found.id), Some(deadline));
        match self.home.engine.commit(cx, &found.at, &commit).await {
            Ok(receipt) => Ok(Some((receipt.revision, deadline))),
            Err(error) if raced(&error) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Adds what removing a session takes: its record, its counter and the state of its own limits.
    fn removal(&self, mut commit: Commit, id: SessionId) -> Commit {
        commit = commit.delete(session_item(id)).delete(count_item(id));
        commit = commit.delete(rate_item(id, SESSION_POLICY, None));
        if let Some(policy) = self.limits.read().get(SESSION_POLICY) {
            for (class, _) in policy.classes() {
                commit = commit.delete(rate_item(id, SESSION_POLICY, Some(class)));
            }
        }
        commit
    }

    /// Adds what a membership change does to the owner's mark: nothing else may have changed it, and it lives on.
    fn remark(&self, commit: Commit, mark: Option<&Item>, kind: SessionKind, epoch: u64) -> Commit {
        let unchanged = match mark {
            Some(mark) => Check::At(mark_item(), mark.revision),
            None => Check::Absent(mark_item()),
        };
        let deadline = Deadline::after(self.home.now(), self.policy(kind).mark_kept());
        commit.check(unchanged).put(mark_item(), codec::write_mark(epoch), Some(deadline))
    }
}

/// What one look at a session brought.
struct Found {
    at: Place,
    tag: OwnerTag,
    id: SessionId,
    token: Option<SessionToken>,
    item: Item,
    count: Option<Item>,
    mark: Option<Item>,
    more: Vec<Option<Item>>,
}

impl Found {
    fn request_count(&self) -> Result<u64, SessionError> {
        codec::read_count(self.count.as_ref()).map_err(|error| self.corrupt(error))
    }

    fn corrupt(&self, error: Error) -> SessionError {
        corrupt(&self.at, &self.item.id, error)
    }

    fn session(&self, record: &Record<'_>) -> Result<Session, SessionError> {
        record.session(&self.item, self.request_count()?).map_err(|error| self.corrupt(error))
    }

    /// The session as it is after [`Sessions::replace`].
    fn replaced(
        &self,
        record: &Record<'_>,
        (revision, deadline): (Revision, Deadline),
    ) -> Result<Session, SessionError> {
        Ok(Session { revision, deadline, ..self.session(record)? })
    }
}

/// Says in the log where the bytes lie that cannot be read, by digests; their content is nobody's business.
fn corrupt(at: &Place, item: &ItemId, error: Error) -> SessionError {
    let digest = |name: &[u8]| blake3::hash(name).to_hex()[..8].to_owned();
    tracing::error!(
        store = Sessions::STORE,
        partition = digest(at.partition.as_bytes()),
        item = digest(item.as_bytes()),
        %error,
        "a stored value cannot be read"
    );
    SessionError::Engine(error)
}

/// Whether another commit came first: nothing happened, and the operation decides again on what is there now.
fn raced(error: &Error) -> bool {
    error.kind() == Kind::Conflict && error.outcome() == Outcome::NoEffect
}
