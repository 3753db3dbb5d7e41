//! Sessions are changed: renewed, their data merged, their level set.

use serde_json::{Map, Value};
use statehold_core::{Cx, Revision};

use super::create::written;
use super::model::{By, Level, Opened, Session, SessionKey};
use super::{SessionError, SessionToken, Sessions, patch};
use crate::contend::Tries;
use crate::value::Dur;

impl Sessions {
    /// Moves a session's end to `max(end, now) + additional`, at most its creation plus the kind's longest life.
    ///
    /// # Errors
    /// `Invalid`, `MaxLifetimeReached` when it is at the bound already, `Contention`, `Engine`.
    pub async fn renew(&self, cx: &Cx, token: &str, additional: Dur) -> Result<Session, SessionError> {
        let work = async {
            let mut tries = Tries::new();
            loop {
                let found = self.find(cx, By::Token(token), &[]).await?;
                let mut record = self.record(&found)?;
                let now = self.home.now();
                let expires_at = self
                    .policy(record.kind)
                    .renewed(record.created_at(), record.expires_at(), now, additional.get())
                    .ok_or(SessionError::MaxLifetimeReached)?;
                record.set_expires_at(expires_at);
                record.accessed(now);
                if let Some(changed) = self.replace(cx, &found, &record).await? {
                    return found.replaced(&record, changed);
                }
                tries.lost().await?;
            }
        };
        self.meters.renew.watch(work).await
    }

    /// Merges a patch into a session's data (RFC 7396): member by member, `null` removes. With `if_revision` only on
    /// that revision, otherwise on whatever is there.
    ///
    /// # Errors
    /// `Invalid` by token, `NotFound` by key, `RevisionMismatch`, `DataTooLarge`, `Contention`, `Engine`.
    pub async fn update_data(
        &self,
        cx: &Cx,
        by: By<'_>,
        patch: &Map<String, Value>,
        if_revision: Option<Revision>,
    ) -> Result<Session, SessionError> {
        let work = async {
            let mut tries = Tries::new();
            loop {
                let found = self.find(cx, by, &[]).await?;
                let mut record = self.record(&found)?;
                let current = found.item.revision;
                if if_revision.is_some_and(|asked| asked != current) {
                    return Err(SessionError::RevisionMismatch { current });
                }
                let session = found.session(&record)?;
                let mut merged = session.data;
                patch::merge(&mut merged, patch);
                let data = written(&merged)?;
                record.data = &data;
                record.data_version += 1;
                if found.token.is_some() {
                    record.accessed(self.home.now());
                }
                if let Some(changed) = self.replace(cx, &found, &record).await? {
                    return found.replaced(&record, changed);
                }
                tries.lost().await?;
            }
        };
        self.meters.update_data.watch(work).await
    }

    /// Changes what a session may do, and with it its secret: the old token opens nothing any more, the new one is
    /// shown here and never again.
    ///
    /// # Errors
    /// `NotFound`, `Contention`, `Engine`.
    pub async fn set_level(&self, cx: &Cx, key: &SessionKey, level: Level) -> Result<Opened, SessionError> {
        let work = async {
            let mut tries = Tries::new();
            loop {
                let found = self.find(cx, By::Key(key), &[]).await?;
                let mut record = self.record(&found)?;
                let token = SessionToken::draw(found.tag, found.id)?;
                record.level = level;
                record.set_token_hash(&self.keys.hash(&token));
                if let Some(changed) = self.replace(cx, &found, &record).await? {
                    return Ok(Opened { token, session: found.replaced(&record, changed)? });
                }
                tries.lost().await?;
            }
        };
        self.meters.set_level.watch(work).await
    }
}
