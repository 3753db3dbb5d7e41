//! The request policies of sessions: sliding windows over the calls of one session.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use statehold_core::{Error, LimitPolicy, Result};

use super::error::SessionError;

/// The policy that is used unless a call names another.
pub const SESSION_POLICY: &str = "session";
/// Most request policies.
pub const POLICIES_MAX: usize = 8;
/// Most classes of one request policy.
pub const CLASSES_MAX: usize = 16;
/// Most bytes in the name of a policy or class.
pub const NAME_BYTES_MAX: usize = 64;

/// At most `limit` requests in any `window`: an exact log, so that they can also be counted afterwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestWindow {
    /// Requests, 1..=1000.
    pub limit: u32,
    /// The window, whole milliseconds, at least one.
    pub window: Duration,
}

impl RequestWindow {
    pub(super) const fn policy(self) -> LimitPolicy {
        LimitPolicy::Sliding { limit: self.limit, window: self.window }
    }
}

/// One request policy: a window, and others for classes of requests. Every class is counted by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestPolicy {
    /// For requests of no class.
    pub plain: RequestWindow,
    /// For requests of a class, at most [`CLASSES_MAX`].
    pub classes: BTreeMap<Arc<str>, RequestWindow>,
}

/// Every request policy, by name; one is called [`SESSION_POLICY`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestPolicies(BTreeMap<Arc<str>, RequestPolicy>);

impl RequestPolicies {
    /// Checks and takes the policies.
    ///
    /// # Errors
    /// `Invalid` when `session` is missing, there are too many policies or classes, a name is empty, too long or
    /// has control characters, or a window is out of bounds.
    pub fn new(policies: BTreeMap<Arc<str>, RequestPolicy>) -> Result<Self> {
        let legal_name = |name: &str| {
            (1..=NAME_BYTES_MAX).contains(&name.len()) && !name.bytes().any(|byte| byte.is_ascii_control())
        };
        if !policies.contains_key(SESSION_POLICY) {
            return Err(Error::invalid("the request policy `session` cannot be removed"));
        }
        let classes_full = |policy: &RequestPolicy| policy.classes.len() > CLASSES_MAX;
        if policies.len() > POLICIES_MAX || policies.values().any(classes_full) {
            return Err(Error::invalid("there are at most 8 request policies with 16 classes each"));
        }
        for (name, policy) in &policies {
            if !legal_name(name) || !policy.classes.keys().all(|class| legal_name(class)) {
                return Err(Error::invalid("a request policy's or class's name has 1 to 64 bytes"));
            }
            policy.plain.policy().validate(1)?;
            policy.classes.values().try_for_each(|window| window.policy().validate(1))?;
        }
        Ok(Self(policies))
    }

    /// The window of a policy and class.
    pub(super) fn window(&self, policy: &str, class: Option<&str>) -> Result<RequestWindow, SessionError> {
        let policy = self.0.get(policy).ok_or(SessionError::UnknownPolicy)?;
        match class {
            None => Ok(policy.plain),
            Some(class) => policy.classes.get(class).copied().ok_or(SessionError::UnknownClass),
        }
    }

    /// Every (policy, class) that may have state in a session's partition.
    pub(super) fn all(&self) -> impl Iterator<Item = (&str, Option<&str>)> {
        self.0.iter().flat_map(|(name, policy)| {
            let classes = policy.classes.keys().map(|class| Some(&**class));
            std::iter::once(None).chain(classes).map(move |class| (&**name, class))
        })
    }

    /// The windows of one policy: the plain one and those of its classes.
    pub(super) fn windows(&self, policy: &str) -> Result<Vec<(Option<&str>, RequestWindow)>, SessionError> {
        let policy = self.0.get(policy).ok_or(SessionError::UnknownPolicy)?;
        let classes = policy.classes.iter().map(|(class, window)| (Some(&**class), *window));
        Ok(std::iter::once((None, policy.plain)).chain(classes).collect())
    }
}

/// 60 requests in 60 s, and 600 of class `sync`.
impl Default for RequestPolicies {
    fn default() -> Self {
        let minute = Duration::from_mins(1);
        let sync = RequestWindow { limit: 600, window: minute };
        let session = RequestPolicy {
            plain: RequestWindow { limit: 60, window: minute },
            classes: BTreeMap::from([(Arc::from("sync"), sync)]),
        };
        Self(BTreeMap::from([(Arc::from(SESSION_POLICY), session)]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(name: &str, limit: u32, window: Duration) -> Result<RequestPolicies> {
        let mut policies = RequestPolicies::default().0;
        let plain = RequestWindow { limit, window };
        policies.insert(Arc::from(name), RequestPolicy { plain, classes: BTreeMap::new() });
        RequestPolicies::new(policies)
    }

    #[test]
    fn the_built_in_policy_is_60_a_minute_and_600_for_sync() {
        let built_in = RequestPolicies::default();
        assert_eq!(built_in.window("session", None).unwrap().limit, 60);
        assert_eq!(built_in.window("session", Some("sync")).unwrap().limit, 600);
        assert!(matches!(built_in.window("session", Some("bulk")), Err(SessionError::UnknownClass)));
        assert!(matches!(built_in.window("api", None), Err(SessionError::UnknownPolicy)));
        assert!(RequestPolicies::new(built_in.0).is_ok());
    }

    #[test]
    fn policies_out_of_bounds_are_refused() {
        let minute = Duration::from_mins(1);
        assert!(with("other", 1_000, minute).is_ok());
        assert!(with("other", 1_001, minute).is_err());
        assert!(with("other", 0, minute).is_err());
        assert!(with("other", 1, Duration::ZERO).is_err());
        assert!(with("", 1, minute).is_err() && with(&"x".repeat(65), 1, minute).is_err());
        assert!(with("a\u{1f}b", 1, minute).is_err());
        assert!(RequestPolicies::new(BTreeMap::new()).is_err(), "`session` is there");
    }
}
