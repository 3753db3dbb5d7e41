//! Sessions end: revoked one by one, all of an owner, or swept after they expired.

use std::collections::HashMap;

use statehold_core::{
    Check, Commit, Cx, Item, Mutation, MutationOutcome, Outcome, Partition, Place, Range, Receipt, Scan,
    ScanPage, View,
};

use super::codec::{self, Glimpse, SESSION_PREFIX, mark_item, session_item};
use super::meters::{EndReason, Meters};
use super::model::{By, RevokeReason, RevokedAll, SessionId, SessionKey, SessionKind, Swept};
use super::{SessionError, Sessions, corrupt, raced};
use crate::contend::Tries;
use crate::observe;
use crate::value::Id;

/// Sessions that one commit of `revoke_all` deletes.
const PAGE: usize = 128;

impl Sessions {
    /// Ends one session; says whether there was one. By token only with the right secret.
    ///
    /// # Errors
    /// `Contention`, `Engine`.
    pub async fn revoke(&self, cx: &Cx, by: By<'_>, reason: RevokeReason) -> Result<bool, SessionError> {
        let work = async {
            match self.revoking(cx, by, reason).await {
                Err(SessionError::Invalid | SessionError::NotFound) => Ok(false),
                other => other,
            }
        };
        let outcome = |revoked: &bool| if *revoked { observe::Outcome::Ok } else { observe::Outcome::Absent };
        self.meters.revoke.watch_as(work, outcome).await
    }

    async fn revoking(&self, cx: &Cx, by: By<'_>, reason: RevokeReason) -> Result<bool, SessionError> {
        let at = match by {
            By::Token(text) => {
                let token = super::SessionToken::parse(text).ok_or(SessionError::Invalid)?;
                self.place_of(token.tag())?
            }
            By::Key(key) => self.place(key.kind, &key.owner)?,
        };
        let _turn = self.queue.turn(&at.partition).await?;
        let mut tries = Tries::new();
        loop {
            let found = self.find(cx, by, &[]).await?;
            let record = self.record(&found)?;
            let kind = record.kind;
            let epoch = codec::read_mark(found.mark.as_ref()).map_err(|error| found.corrupt(error))?;
            let commit = Commit::new().present(session_item(found.id));
            let commit = self.removal(self.remark(commit, found.mark.as_ref(), kind, epoch), found.id);
            match self.home.engine.commit(cx, &at, &commit).await {
                Ok(_) => {
                    Meters::ended(kind, EndReason::Revoked(reason), 1);
                    return Ok(true);
                }
                Err(error) if raced(&error) => tries.lost().await?,
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Ends all sessions of an owner but at most one. They are invalid from the first commit on, which raises the
    /// owner's epoch; the excepted one takes the new epoch in that same commit. Deleting them follows in pages: where
    /// it fails the error says that something has changed, and what is left stays invalid until its deadline.
    ///
    /// # Errors
    /// `Contention` (nothing changed), `Engine`.
    pub async fn revoke_all(
        &self,
        cx: &Cx,
        kind: SessionKind,
        owner: &Id,
        except: Option<SessionId>,
        reason: RevokeReason,
    ) -> Result<RevokedAll, SessionError> {
        let work = async {
            let at = self.place(kind, owner)?;
            let epoch = self.raise(cx, &at, kind, owner, except).await?;
            let revoked = self.delete_older(cx, &at, epoch).await.map_err(|error| match error {
                SessionError::Engine(error) => SessionError::Engine(error.with_outcome(Outcome::Unknown)),
                other => other,
            })?;
            Meters::ended(kind, EndReason::Revoked(reason), revoked);
            Ok(RevokedAll { revoked, epoch })
        };
        self.meters.revoke_all.watch(work).await
    }

    /// Raises the owner's epoch.
    pub(super) async fn raise(
        &self,
        cx: &Cx,
        at: &Place,
        kind: SessionKind,
        owner: &Id,
        except: Option<SessionId>,
    ) -> Result<u64, SessionError> {
        let _turn = self.queue.turn(&at.partition).await?;
        let mut tries = Tries::new();
        loop {
            let kept = match except {
                Some(session_id) => {
                    let key = SessionKey { kind, owner: owner.clone(), session_id };
                    match self.find(cx, By::Key(&key), &[]).await {
                        Ok(found) => Some(found),
                        Err(SessionError::NotFound) => None,
                        Err(error) => return Err(error),
                    }
                }
                None => None,
            };
            let fetched;
            let mark = if let Some(found) = &kept {
                found.mark.as_ref()
            } else {
                fetched = self.mark(cx, at).await?;
                fetched.as_ref()
            };
            let present = codec::read_mark(mark).map_err(|error| corrupt(at, &mark_item(), error))?;
            // By the clock and not by one: an owner whose mark was forgotten never sees an old epoch again.
            let epoch = (present + 1).max(self.home.now().millis());
            let mut commit = self.remark(Commit::new(), mark, kind, epoch);
            if let Some(found) = &kept {
                // A session of an older epoch is revoked already: an exception must not bring it back.
                match self.record(found) {
                    Ok(mut record) => {
                        record.epoch = epoch;
                        commit = commit.check(Check::At(found.item.id.clone(), found.item.revision)).put(
                            found.item.id.clone(),
                            record.write(),
                            found.item.deadline,
                        );
                    }
                    Err(SessionError::NotFound) => {}
                    Err(error) => return Err(error),
                }
            }
            match self.home.engine.commit(cx, at, &commit).await {
                Ok(_) => return Ok(epoch),
                Err(error) if raced(&error) => tries.lost().await?,
                Err(error) => return Err(error.into()),
            }
        }
    }

    pub(super) async fn mark(&self, cx: &Cx, at: &Place) -> Result<Option<Item>, SessionError> {
        Ok(self.home.engine.fetch(cx, &[at.item(mark_item())]).await?.pop().flatten())
    }

    /// Deletes the owner's sessions of older epochs, page by page. They are invalid for good, so no mark is needed.
    async fn delete_older(&self, cx: &Cx, at: &Place, epoch: u64) -> Result<u64, SessionError> {
        let mut range = Range::prefix(SESSION_PREFIX).limit(PAGE);
        let mut revoked = 0;
        loop {
            let page =
                self.home.engine.list(cx, at, std::slice::from_ref(&range)).await?.pop().unwrap_or_default();
            let mut commit = Commit::new();
            for item in &page.items {
                let glimpse = Glimpse::read(&item.value).map_err(|error| corrupt(at, &item.id, error))?;
                if let Some(id) = codec::session_of(&item.id).filter(|_| glimpse.epoch < epoch) {
                    commit = self.removal(commit, id);
                }
            }
            if !commit.mutations.is_empty() {
                let receipt = self.home.engine.commit(cx, at, &commit).await?;
                revoked += deleted(&commit, &receipt).count() as u64;
            }
            match page.items.last() {
                Some(last) if page.more => range = range.after(last.id.clone()),
                _ => return Ok(revoked),
            }
        }
    }

    /// Removes what has expired, and counts the sessions among it. Streams: at most a page is held at a time.
    ///
    /// # Errors
    /// `Engine`; what was removed before it stays removed.
    pub async fn sweep(&self, cx: &Cx) -> Result<Swept, SessionError> {
        let work = async {
            let mut scan = Scan::new(&self.home.space, View::Expired(self.home.now()));
            let mut swept = Swept::default();
            loop {
                let page = self.home.engine.scan(cx, &scan).await?;
                scan.cursor.clone_from(&page.cursor);
                self.reap(cx, page, &mut swept).await?;
                if scan.cursor.is_none() {
                    return Ok(swept);
                }
            }
        };
        self.meters.sweep.watch(work).await
    }

    async fn reap(&self, cx: &Cx, page: ScanPage, swept: &mut Swept) -> Result<(), SessionError> {
        let mut owners: HashMap<Partition, Expired> = HashMap::new();
        for found in page.items {
            let Some(id) = found.key.id() else { continue };
            let kind = found.state.body.as_ref().and_then(|body| {
                id.as_bytes()
                    .starts_with(SESSION_PREFIX)
                    .then(|| Glimpse::read(&body.value).ok().map(|g| g.kind))?
            });
            let expired = owners.entry(found.partition).or_default();
            expired.commit = std::mem::take(&mut expired.commit).reap(id, found.state.revision);
            expired.kinds.push(kind);
        }
        for (partition, expired) in owners {
            let at = Place::new(&self.home.space, partition);
            let receipt = self.home.engine.commit(cx, &at, &expired.commit).await?;
            for (outcome, kind) in receipt.outcomes.iter().zip(expired.kinds) {
                if *outcome == MutationOutcome::Reaped {
                    swept.items += 1;
                    if let Some(kind) = kind {
                        swept.sessions += 1;
                        Meters::ended(kind, EndReason::Expired, 1);
                    }
                }
            }
        }
        Ok(())
    }
}

/// What has expired of one owner: the reaps, and for each the kind of session it is, if it is one.
#[derive(Default)]
struct Expired {
    commit: Commit,
    kinds: Vec<Option<SessionKind>>,
}

/// The sessions that a commit removed.
pub(super) fn deleted<'a>(commit: &'a Commit, receipt: &'a Receipt) -> impl Iterator<Item = SessionId> + 'a {
    commit.mutations.iter().zip(&receipt.outcomes).filter_map(|(mutation, outcome)| {
        match (mutation, outcome) {
            (Mutation::Delete { item }, MutationOutcome::Deleted { .. })
                if item.as_bytes().starts_with(SESSION_PREFIX) =>
            {
                codec::session_of(item)
            }
            _ => None,
        }
    })
}
