//! Many sessions at a glance: one owner's, and how many there are.

use std::collections::HashMap;

use futures_util::{StreamExt, TryStreamExt, stream};
use statehold_core::{Bucket, Cx, Form, Item, Partition, Scan, View};

use super::codec::{self, Glimpse, MARK, Record, SESSION_PREFIX, mark_item};
use super::model::{Active, OwnerMetrics, Session, SessionId, SessionKind};
use super::{SessionError, Sessions, corrupt};
use crate::value::Id;

/// Buckets that are counted at the same time.
const BUCKETS_AT_ONCE: usize = 8;

impl Sessions {
    /// The live sessions of an owner, newest first, all of one instant.
    ///
    /// # Errors
    /// `Engine`.
    pub async fn list(&self, cx: &Cx, kind: SessionKind, owner: &Id) -> Result<Vec<Session>, SessionError> {
        self.meters.list.watch(self.listing(cx, kind, owner)).await
    }

    async fn listing(&self, cx: &Cx, kind: SessionKind, owner: &Id) -> Result<Vec<Session>, SessionError> {
        let at = self.place(kind, owner)?;
        let all = self.owner(cx, &at, true).await?;
        let mut counts: HashMap<SessionId, u64> = HashMap::with_capacity(all.counts.len());
        for item in &all.counts {
            let count = codec::read_count(Some(item)).map_err(|error| corrupt(&at, &item.id, error))?;
            counts.extend(codec::session_of(&item.id).map(|id| (id, count)));
        }
        let mut sessions = Vec::with_capacity(all.sessions.len());
        for item in &all.sessions {
            let session = Record::read(&item.value)
                .and_then(|record| record.session(item, counts.get(&record.session_id).copied().unwrap_or(0)))
                .map_err(|error| corrupt(&at, &item.id, error))?;
            if session.epoch >= all.epoch {
                sessions.push(session);
            }
        }
        sessions.sort_unstable_by_key(|session| std::cmp::Reverse((session.created_at, session.id)));
        Ok(sessions)
    }

    /// An owner's live sessions in figures, all of one instant.
    ///
    /// # Errors
    /// `Engine`.
    pub async fn owner_metrics(
        &self,
        cx: &Cx,
        kind: SessionKind,
        owner: &Id,
    ) -> Result<OwnerMetrics, SessionError> {
        let work = async {
            let sessions = self.listing(cx, kind, owner).await?;
            Ok(OwnerMetrics {
                active_sessions: sessions.len() as u64,
                total_requests: sessions.iter().map(|session| session.request_count).sum(),
                last_accessed_at: sessions.iter().map(|session| session.last_accessed_at).max(),
                level: sessions.iter().map(|session| session.level).max(),
            })
        };
        self.meters.owner_metrics.watch(work).await
    }

    /// The owner's epoch: 0 until all of its sessions were revoked once.
    ///
    /// # Errors
    /// `Engine`.
    pub async fn epoch(&self, cx: &Cx, kind: SessionKind, owner: &Id) -> Result<u64, SessionError> {
        let work = async {
            let at = self.place(kind, owner)?;
            let mark = self.mark(cx, &at).await?;
            codec::read_mark(mark.as_ref()).map_err(|error| corrupt(&at, &mark_item(), error))
        };
        self.meters.epoch.watch(work).await
    }

    /// How many sessions are live. Scans every bucket, so its cost grows with the number of sessions; each bucket is
    /// exact at the instant it is read.
    ///
    /// # Errors
    /// `Engine`.
    pub async fn count(&self, cx: &Cx) -> Result<Active, SessionError> {
        let work = async {
            stream::iter(self.home.space.all_buckets())
                .map(|bucket| self.count_bucket(cx, bucket))
                .buffer_unordered(BUCKETS_AT_ONCE)
                .try_fold(Active::default(), |mut sum, bucket| async move {
                    sum += bucket;
                    Ok(sum)
                })
                .await
        };
        self.meters.count.watch(work).await
    }

    /// A page may repeat what an earlier one held, and an owner's mark may come after its sessions, so that a bucket
    /// is judged when all of it was seen.
    async fn count_bucket(&self, cx: &Cx, bucket: Bucket) -> Result<Active, SessionError> {
        let mut scan = Scan { buckets: vec![bucket], ..Scan::new(&self.home.space, View::Live) };
        let mut owners: HashMap<Partition, Seen> = HashMap::new();
        loop {
            let page = self.home.engine.scan(cx, &scan).await?;
            for found in page.items {
                let (Some(id), Some(body)) = (found.key.id(), found.state.body) else { continue };
                let at = statehold_core::Place::new(&self.home.space, found.partition.clone());
                if id.as_bytes().starts_with(SESSION_PREFIX) {
                    let glimpse = Glimpse::read(&body.value).map_err(|error| corrupt(&at, &id, error))?;
                    let seen = owners.entry(found.partition).or_default();
                    seen.sessions
                        .extend(codec::session_of(&id).map(|id| (id, (glimpse.kind, glimpse.epoch))));
                } else if id.as_bytes() == MARK {
                    let deadline = body.deadline;
                    let (value, revision) = (body.value, found.state.revision);
                    let mark = Item { id, form: Form::Bytes, value, revision, deadline };
                    let epoch =
                        codec::read_mark(Some(&mark)).map_err(|error| corrupt(&at, &mark.id, error))?;
                    owners.entry(found.partition).or_default().epoch = epoch;
                }
            }
            scan.cursor = page.cursor;
            if scan.cursor.is_none() {
                break;
            }
        }
        let mut active = Active::default();
        for seen in owners.values() {
            for (kind, _) in seen.sessions.values().filter(|(_, epoch)| *epoch >= seen.epoch) {
                *active.of_mut(*kind) += 1;
            }
        }
        Ok(active)
    }
}

/// One owner, as far as it was seen.
#[derive(Default)]
struct Seen {
    epoch: u64,
    sessions: HashMap<SessionId, (SessionKind, u64)>,
}
