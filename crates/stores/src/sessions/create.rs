//! Sessions begin.

use std::collections::BTreeSet;

use serde_json::value::RawValue;
use statehold_core::{Commit, Cx, Deadline, Item, Place, Range, Receipt, Time};

use super::codec::{self, Birth, COUNT_PREFIX, Glimpse, MARK, Record, SESSION_PREFIX};
use super::meters::{EndReason, Meters};
use super::model::{Created, NewSession, Session, SessionId, SessionKind};
use super::policy::{Admission, CONCURRENT_MAX, Ended, EndedWhy, KindPolicy, Member};
use super::token::random;
use super::{
    DATA_BYTES_MAX, DEVICE_BYTES_MAX, SessionError, SessionToken, Sessions, USER_AGENT_BYTES_MAX, corrupt,
    raced,
};
use crate::contend::Tries;

/// Most sessions that one commit ends, whatever a lowered limit asks for.
const ENDED_AT_ONCE_MAX: usize = 128;

/// All of one owner, read at one instant.
pub(super) struct Owner {
    pub(super) mark: Option<Item>,
    pub(super) epoch: u64,
    /// Records of the owner's sessions, those of older epochs included.
    pub(super) sessions: Vec<Item>,
    /// Request counters, in no order.
    pub(super) counts: Vec<Item>,
}

impl Sessions {
    /// Begins a session: sessions of the same platform, or the oldest ones over the limit, end for it in the same
    /// commit, as the kind's policy says. The token is shown here and never again.
    ///
    /// # Errors
    /// `TtlOutOfPolicy`, `TooLong`, `DataTooLarge`, `TooManySessions` where the policy refuses, `OwnerEpochChanged`
    /// when all the owner's sessions were revoked since `expect_epoch` was read, `Contention`, `Engine`.
    pub async fn create(&self, cx: &Cx, new: &NewSession) -> Result<Created, SessionError> {
        self.meters.create.watch(self.creating(cx, new)).await
    }

    async fn creating(&self, cx: &Cx, new: &NewSession) -> Result<Created, SessionError> {
        let policy = self.policy(new.kind);
        let ttl = policy.lifetime(new.ttl).ok_or(SessionError::TtlOutOfPolicy)?;
        let data = checked(new)?;
        let tag = self.keys.tag_of(new.kind, &new.owner);
        let at = self.place_of(tag)?;
        let _turn = self.queue.turn(&at.partition).await?;
        let mut tries = Tries::new();
        let mut evicted = Vec::new();
        loop {
            let owner = self.owner(cx, &at, false).await?;
            let leavers = admitted(&policy, &at, &owner, new)?;
            let now = self.home.now();
            let mut commit = self.remark(Commit::new(), owner.mark.as_ref(), new.kind, owner.epoch);
            for leaver in leavers.iter().take(ENDED_AT_ONCE_MAX) {
                commit = self.removal(commit, leaver.member.id);
            }
            // Where more must leave than one commit takes, they leave first.
            let born = if leavers.len() <= ENDED_AT_ONCE_MAX {
                let id = draw_id(now)?;
                let token = SessionToken::draw(tag, id)?;
                let birth = Birth {
                    id,
                    hash: self.keys.hash(&token),
                    now,
                    expires_at: now.plus(ttl),
                    epoch: owner.epoch,
                    data: &data,
                };
                let record = Record::born(new, &birth);
                let deadline = policy.deadline(record.created_at(), record.expires_at(), now);
                commit = with_session(commit, &record, deadline);
                Some((token, birth, deadline))
            } else {
                None
            };
            let receipt = match self.home.engine.commit(cx, &at, &commit).await {
                Ok(receipt) => receipt,
                Err(error) if raced(&error) => {
                    tries.lost().await?;
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            evicted.extend(note_ended(new.kind, &leavers, &commit, &receipt));
            if let Some((token, birth, deadline)) = born {
                Meters::created(new.kind);
                let session = begun(new, &birth, deadline, &receipt);
                return Ok(Created { token, session, evicted });
            }
        }
    }

    /// Reads all of one owner at one instant, request counters if asked for.
    pub(super) async fn owner(&self, cx: &Cx, at: &Place, counts: bool) -> Result<Owner, SessionError> {
        // Who is there is judged by the engine's own clock, as the commit is that builds on it.
        let cx = Cx { exact: true, ..cx.clone() };
        let few = self.owner_pages(&cx, at, counts, 1).await?;
        // Only an owner of more than a page is read again, all pages in one call and so at one instant.
        let Some(owner) = few else {
            let pages = CONCURRENT_MAX as usize / statehold_core::PAGE_MAX + 1;
            let all = self.owner_pages(&cx, at, counts, pages).await?;
            return all.ok_or(SessionError::TooManySessions);
        };
        Ok(owner)
    }

    /// One list of the mark and of so many pages of sessions (and counters); none when there are more.
    async fn owner_pages(
        &self,
        cx: &Cx,
        at: &Place,
        counts: bool,
        pages: usize,
    ) -> Result<Option<Owner>, SessionError> {
        let paged = |prefix: &'static [u8]| {
            (0..pages)
                .map(move |page| Range { skip: page * statehold_core::PAGE_MAX, ..Range::prefix(prefix) })
        };
        let mut ranges = vec![Range::prefix(MARK).limit(1)];
        ranges.extend(paged(SESSION_PREFIX));
        if counts {
            ranges.extend(paged(COUNT_PREFIX));
        }
        let mut found = self.home.engine.list(cx, at, &ranges).await?.into_iter();
        let mark = found.next().and_then(|page| page.items.into_iter().next());
        let epoch =
            codec::read_mark(mark.as_ref()).map_err(|error| corrupt(at, &codec::mark_item(), error))?;
        let (mut all, mut more) = ([Vec::new(), Vec::new()], false);
        for (index, page) in found.enumerate() {
            more |= page.more && (index + 1) % pages == 0;
            all[index / pages].extend(page.items);
        }
        let [sessions, counts] = all;
        Ok((!more).then_some(Owner { mark, epoch, sessions, counts }))
    }
}

/// Checks the bounds of a new session's fields; the data as JSON.
fn checked(new: &NewSession) -> Result<Box<RawValue>, SessionError> {
    if new.user_agent.as_ref().is_some_and(|agent| agent.len() > USER_AGENT_BYTES_MAX) {
        return Err(SessionError::TooLong("user_agent"));
    }
    if new.device.as_ref().is_some_and(|device| device.len() > DEVICE_BYTES_MAX) {
        return Err(SessionError::TooLong("device"));
    }
    written(&new.data)
}

/// A session's data as JSON of at most 16 KiB.
pub(super) fn written(
    data: &serde_json::Map<String, serde_json::Value>,
) -> Result<Box<RawValue>, SessionError> {
    let data = serde_json::value::to_raw_value(data).expect("a JSON object can be written");
    if data.get().len() > DATA_BYTES_MAX { Err(SessionError::DataTooLarge) } else { Ok(data) }
}

/// The sessions that must end for the new one.
fn admitted(
    policy: &KindPolicy,
    at: &Place,
    owner: &Owner,
    new: &NewSession,
) -> Result<Vec<Ended>, SessionError> {
    if new.expect_epoch.is_some_and(|expected| expected != owner.epoch) {
        return Err(SessionError::OwnerEpochChanged);
    }
    let mut live = Vec::with_capacity(owner.sessions.len());
    for item in &owner.sessions {
        let glimpse = Glimpse::read(&item.value).map_err(|error| corrupt(at, &item.id, error))?;
        let Some(id) = codec::session_of(&item.id) else { continue };
        if glimpse.epoch >= owner.epoch {
            live.push(Member { id, created_at: glimpse.created_at(), platform: glimpse.platform });
        }
    }
    match policy.admit(&live, new.platform) {
        Admission::Admitted(leavers) => Ok(leavers),
        Admission::Refused => Err(SessionError::TooManySessions),
    }
}

/// Adds a session's record and its request counter, which begins at 0 so that it always has its session's deadline.
fn with_session(commit: Commit, record: &Record<'_>, deadline: Deadline) -> Commit {
    let id = record.session_id;
    commit.absent(codec::session_item(id)).put(codec::session_item(id), record.write(), Some(deadline)).add(
        codec::count_item(id),
        0,
        Some(deadline),
    )
}

/// A version 7 UUID (RFC 9562) of this instant.
fn draw_id(now: Time) -> Result<SessionId, SessionError> {
    let mut bits = [0; 10];
    random(&mut bits)?;
    Ok(SessionId::from_bytes(
        *uuid::Builder::from_unix_timestamp_millis(now.millis(), &bits).as_uuid().as_bytes(),
    ))
}

/// Counts those who left, and names them.
fn note_ended(
    kind: SessionKind,
    leavers: &[Ended],
    commit: &Commit,
    receipt: &Receipt,
) -> impl Iterator<Item = SessionId> {
    let deleted: BTreeSet<SessionId> = super::end::deleted(commit, receipt).collect();
    let gone: Vec<Ended> =
        leavers.iter().filter(|leaver| deleted.contains(&leaver.member.id)).copied().collect();
    for why in [EndedWhy::Evicted, EndedWhy::Platform] {
        let ended = gone.iter().filter(|leaver| leaver.why == why).count() as u64;
        Meters::ended(kind, EndReason::Replaced(why), ended);
    }
    gone.into_iter().map(|leaver| leaver.member.id)
}

/// The new session as its owner sees it.
fn begun(new: &NewSession, birth: &Birth<'_>, deadline: Deadline, receipt: &Receipt) -> Session {
    Session {
        id: birth.id,
        kind: new.kind,
        owner: new.owner.clone(),
        channel_id: new.channel_id.clone(),
        level: new.level,
        created_at: birth.now,
        expires_at: birth.expires_at,
        last_accessed_at: birth.now,
        epoch: birth.epoch,
        platform: new.platform,
        ip: new.ip,
        user_agent: new.user_agent.clone(),
        device: new.device.clone(),
        data: new.data.clone(),
        data_version: 0,
        request_count: 0,
        revision: receipt.revision,
        deadline,
    }
}
