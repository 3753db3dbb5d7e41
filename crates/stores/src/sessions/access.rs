//! Sessions are used: validated, read, and their requests counted.

use std::time::Duration;

use statehold_core::{
    Commit, Cx, Deadline, Decision, Error, Failure, LimitPolicy, MutationOutcome, Revision, SLIDING_LIMIT_MAX,
};

use super::codec::{Record, count_item, rate_item};
use super::model::{By, Level, RequestCount, Requested, Session, SessionContext};
use super::requests::commit_id;
use super::{Found, SESSION_POLICY, SessionError, Sessions, raced};
use crate::limits;
use crate::observe::Outcome;
use crate::value::{Dur, Id};

impl Sessions {
    /// What a token opens: its session's context, if it is live and has at least the level `need`. With `touch` the
    /// use is noted, at most once per granularity of the kind and never on a session that was revoked meanwhile.
    ///
    /// # Errors
    /// `Invalid`, `InsufficientLevel`, `Engine`.
    pub async fn validate(
        &self,
        cx: &Cx,
        token: &str,
        need: Option<Level>,
        touch: bool,
    ) -> Result<SessionContext, SessionError> {
        let answer = self.meters.validate.watch(self.validating(cx, token, need, touch)).await;
        self.meters.validated(&answer);
        answer
    }

    async fn validating(
        &self,
        cx: &Cx,
        token: &str,
        need: Option<Level>,
        mut touch: bool,
    ) -> Result<SessionContext, SessionError> {
        loop {
            let found = self.find(cx, By::Token(token), &[]).await?;
            let mut record = self.record(&found)?;
            if need.is_some_and(|need| record.level < need) {
                return Err(SessionError::InsufficientLevel);
            }
            let now = self.home.now();
            let due = touch && self.policy(record.kind).touch_due(record.last_accessed_at(), now);
            if !due {
                let deadline = found.item.deadline.ok_or_else(|| found.corrupt(endless()))?;
                return self.context(&found, &record, (found.item.revision, deadline));
            }
            record.accessed(now);
            if let Some(written) = self.replace(cx, &found, &record).await? {
                return self.context(&found, &record, written);
            }
            // Another write of this session came first. If it left a live session, that write was a use as well as
            // this one is, so this one only looks again.
            touch = false;
        }
    }

    fn context(
        &self,
        found: &Found,
        record: &Record<'_>,
        (revision, deadline): (Revision, Deadline),
    ) -> Result<SessionContext, SessionError> {
        let id =
            |text: &str| Id::new(text).map_err(|_| found.corrupt(Error::corrupt("a session names no id")));
        let now = self.home.now();
        Ok(SessionContext {
            session_id: found.id,
            kind: record.kind,
            owner: id(&record.owner)?,
            channel_id: record.channel_id.as_deref().map(id).transpose()?,
            level: record.level,
            expires_at: record.expires_at(),
            remaining_seconds: deadline.left(now).as_secs(),
            request_count: found.request_count()?,
            revision,
            state: super::policy::state(record.last_accessed_at(), deadline, now),
        })
    }

    /// A live session; the use is not noted.
    ///
    /// # Errors
    /// `Invalid` by token, `NotFound` by key, `Engine`.
    pub async fn get(&self, cx: &Cx, by: By<'_>) -> Result<Session, SessionError> {
        let work = async {
            let found = self.find(cx, by, &[]).await?;
            let record = self.record(&found)?;
            found.session(&record)
        };
        self.meters.get.watch(work).await
    }

    /// Counts one request against a limit policy, `session` unless another is named. One that is denied changes
    /// nothing at all.
    ///
    /// # Errors
    /// `Invalid`, `UnknownPolicy`, `Engine`.
    pub async fn record_request(
        &self,
        cx: &Cx,
        token: &str,
        policy: Option<&str>,
        class: Option<&str>,
    ) -> Result<Requested, SessionError> {
        let work = self.recording(cx, token, policy.unwrap_or(SESSION_POLICY), class);
        let outcome = |requested: &Requested| if requested.allowed { Outcome::Ok } else { Outcome::Denied };
        self.meters.record_request.watch_as(work, outcome).await
    }

    async fn recording(
        &self,
        cx: &Cx,
        token: &str,
        policy: &str,
        class: Option<&str>,
    ) -> Result<Requested, SessionError> {
        let limits = self.limits();
        let limit = limits.get(policy).ok_or(SessionError::UnknownPolicy)?;
        let rule = limit.rule(class).ok_or(SessionError::UnknownPolicy)?;
        let found = self.find(cx, By::Token(token), &[]).await?;
        self.record(&found)?;
        let rate = rate_item(found.id, policy, class);
        let counting = Self::counting(&found)?;
        let taking = counting.clone().take(rate, rule, 1).with_id(commit_id(self.home.now())?);
        match self.home.engine.commit(cx, &found.at, &taking).await {
            Ok(receipt) => requested(&found, &rule, &receipt.outcomes),
            Err(error) if raced(&error) => {
                let denied = denial(&error)?;
                if limit.shadow() {
                    let counting = counting.with_id(commit_id(self.home.now())?);
                    return self.let_pass(cx, &found, &counting, &rule, denied).await;
                }
                Ok(answer(&rule, denied, found.request_count()?))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// The part of a request's commit that counts it, on a session that is there.
    fn counting(found: &Found) -> Result<Commit, SessionError> {
        let deadline = found.item.deadline.ok_or_else(|| found.corrupt(endless()))?;
        Ok(Commit::new().present(found.item.id.clone()).add(count_item(found.id), 1, Some(deadline)))
    }

    /// Counts a request that a shadow policy would have denied.
    async fn let_pass(
        &self,
        cx: &Cx,
        found: &Found,
        counting: &Commit,
        rule: &LimitPolicy,
        denied: Decision,
    ) -> Result<Requested, SessionError> {
        let receipt = match self.home.engine.commit(cx, &found.at, counting).await {
            Err(error) if raced(&error) => return Err(SessionError::Invalid),
            other => other?,
        };
        let [MutationOutcome::Added { value, .. }] = receipt.outcomes[..] else { return Err(unanswered()) };
        let allowed = Decision { allowed: true, retry_after: None, ..denied };
        Ok(answer(rule, allowed, u64::try_from(value).unwrap_or(0)))
    }

    /// How many requests of a session were admitted, in the last `window` and in its life, those of all classes of
    /// the `session` policy together.
    ///
    /// # Errors
    /// `Invalid`, `WindowOutOfPolicy` for a window longer than the policy's, `Engine`.
    pub async fn request_count(
        &self,
        cx: &Cx,
        token: &str,
        window: Dur,
    ) -> Result<RequestCount, SessionError> {
        self.meters.request_count.watch(self.counting_requests(cx, token, window.get())).await
    }

    async fn counting_requests(
        &self,
        cx: &Cx,
        token: &str,
        window: Duration,
    ) -> Result<RequestCount, SessionError> {
        let limits = self.limits();
        let limit = limits.get(SESSION_POLICY).ok_or(SessionError::UnknownPolicy)?;
        let classes: Vec<Option<&str>> =
            std::iter::once(None).chain(limit.classes().map(|(class, _)| Some(&**class))).collect();
        let logged = |class: Option<&str>| matches!(limit.rule(class), Some(LimitPolicy::Sliding { window: kept, .. }) if window <= kept);
        if !classes.iter().copied().all(logged) {
            return Err(SessionError::WindowOutOfPolicy);
        }
        let session = super::SessionToken::parse(token).ok_or(SessionError::Invalid)?.session_id();
        let rates: Vec<_> = classes.iter().map(|class| rate_item(session, SESSION_POLICY, *class)).collect();
        let found = self.find(cx, By::Token(token), &rates).await?;
        self.record(&found)?;
        let now = self.home.now();
        let mut in_window = 0;
        for rate in found.more.iter().flatten() {
            // A window of the longest limit there is says how much of it is used.
            let probe = LimitPolicy::Sliding { limit: SLIDING_LIMIT_MAX, window };
            let decision = probe.peek(Some(&rate.value), now).map_err(|error| found.corrupt(error))?;
            in_window += decision.limit - decision.remaining - u64::from(decision.allowed);
        }
        Ok(RequestCount { in_window, lifetime: found.request_count()? })
    }
}

fn endless() -> Error {
    Error::corrupt("a session has no deadline")
}

fn unanswered() -> SessionError {
    SessionError::Engine(Error::internal("a request's commit was answered with other outcomes"))
}

fn requested(
    found: &Found,
    rule: &LimitPolicy,
    outcomes: &[MutationOutcome],
) -> Result<Requested, SessionError> {
    match outcomes {
        [MutationOutcome::Added { value, .. }, MutationOutcome::Taken(decision)] => {
            let count = u64::try_from(*value)
                .map_err(|_| found.corrupt(Error::corrupt("a session's request counter is negative")))?;
            Ok(answer(rule, *decision, count))
        }
        _ => Err(unanswered()),
    }
}

/// Why the commit of a request was refused: the session has gone, or the limit denied it.
fn denial(error: &Error) -> Result<Decision, SessionError> {
    let Some(conflict) = error.conflict_detail() else { return Err(unanswered()) };
    if conflict.failures.iter().any(|failure| matches!(failure, Failure::Check { .. })) {
        return Err(SessionError::Invalid);
    }
    match conflict.decisions[..] {
        [(_, decision)] if !decision.allowed => Ok(decision),
        _ => Err(unanswered()),
    }
}

fn answer(rule: &LimitPolicy, decision: Decision, request_count: u64) -> Requested {
    Requested {
        allowed: decision.allowed,
        limit: decision.limit,
        window: limits::span(rule),
        remaining: decision.remaining,
        reset_at: decision.reset_at,
        retry_after: decision.retry_after,
        request_count,
    }
}
