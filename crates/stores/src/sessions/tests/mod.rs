//! Sessions on every engine that runs in a process: what callers see, and what no race may bring about.

mod behaviour;
mod limits_of_requests;
mod membership;
mod races;

use std::sync::Arc;
use std::time::Duration;

use statehold_core::{Cx, Engine, EngineExt, ManualClock, Place, Range};

use super::*;
use crate::testing::{embedded_engine, embedded_home, memory_home, open, space};

pub(super) const SECOND: Duration = Duration::from_secs(1);
pub(super) const MINUTE: Duration = Duration::from_mins(1);

/// Runs each named test, an async function of a [`Bed`], on every engine.
macro_rules! on_every_engine {
    ($($test:ident),+ $(,)?) => {
        mod memory {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $test() {
                super::$test(super::super::Bed::memory().await).await;
            })+
        }
        mod embedded {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $test() {
                super::$test(super::super::Bed::embedded().await).await;
            })+
        }
    };
}
pub(super) use on_every_engine;

/// A store on an engine, and the clock that both go by.
pub(super) struct Bed {
    pub(super) home: Home,
    pub(super) clock: Arc<ManualClock>,
    pub(super) sessions: Arc<Sessions>,
    pub(super) cx: Cx,
    /// Where the engine's file is, if it has one; goes after the engine.
    _directory: Option<tempfile::TempDir>,
}

impl Bed {
    pub(super) async fn memory() -> Self {
        let (home, clock) = memory_home(Sessions::STORE, Sessions::TRAITS).await;
        Self::at(home, clock, None)
    }

    pub(super) async fn embedded() -> Self {
        let (home, clock, directory) = embedded_home(Sessions::STORE, Sessions::TRAITS).await;
        Self::at(home, clock, Some(directory))
    }

    fn at(home: Home, clock: Arc<ManualClock>, directory: Option<tempfile::TempDir>) -> Self {
        let sessions = Arc::new(store(home.clone(), &Policies::default()));
        Self { home, clock, sessions, cx: Cx::new(), _directory: directory }
    }

    /// Other rules.
    pub(super) fn with(mut self, policies: &Policies) -> Self {
        self.sessions = Arc::new(store(self.home.clone(), policies));
        self
    }

    /// The same state behind another engine, seen by as many instances.
    pub(super) fn instances(&self, engine: Arc<dyn Engine>, count: usize) -> Vec<Arc<Sessions>> {
        let home = Home { engine, ..self.home.clone() };
        (0..count).map(|_| Arc::new(store(home.clone(), &self.sessions.policies()))).collect()
    }

    pub(super) async fn create(&self, owner: &str) -> Created {
        self.sessions.create(&self.cx, &user(owner)).await.unwrap()
    }

    pub(super) async fn validate(&self, token: &SessionToken) -> Result<SessionContext, SessionError> {
        self.sessions.validate(&self.cx, &token.expose(), None, true).await
    }

    pub(super) async fn listed(&self, owner: &str) -> Vec<SessionId> {
        let listed = self.sessions.list(&self.cx, SessionKind::User, &id(owner)).await.unwrap();
        listed.iter().map(|session| session.id).collect()
    }

    pub(super) fn place(&self, owner: &str) -> Place {
        self.sessions.place(SessionKind::User, &id(owner)).unwrap()
    }

    /// The names of all live items of an owner.
    pub(super) async fn items(&self, owner: &str) -> Vec<String> {
        let pages = self.home.engine.list(&self.cx, &self.place(owner), &[Range::all()]).await.unwrap();
        pages[0].items.iter().map(|item| item.id.as_bytes().escape_ascii().to_string()).collect()
    }

    /// The stored record of a session.
    pub(super) async fn record(&self, owner: &str, session: SessionId) -> serde_json::Value {
        let address = self.place(owner).item(session_item(session));
        let item = self.home.engine.get(&self.cx, &address).await.unwrap().unwrap();
        serde_json::from_slice(&item.value).unwrap()
    }
}

pub(super) fn store(home: Home, policies: &Policies) -> Sessions {
    Sessions::new(home, SessionKeys::new(&[7; 32]), *policies, limits::Policies::default())
}

pub(super) fn id(text: &str) -> Id {
    Id::new(text).unwrap()
}

pub(super) fn user(owner: &str) -> NewSession {
    NewSession::new(SessionKind::User, id(owner))
}

pub(super) fn key(owner: &str, session_id: SessionId) -> SessionKey {
    SessionKey { kind: SessionKind::User, owner: id(owner), session_id }
}

pub(super) fn seconds(seconds: u64) -> crate::value::Dur {
    crate::value::Dur::new(Duration::from_secs(seconds)).unwrap()
}

/// The rules of users changed.
pub(super) fn users(change: impl FnOnce(&mut KindPolicy)) -> Policies {
    let mut policies = Policies::default();
    change(&mut policies.user);
    policies
}

pub(super) fn object(value: serde_json::Value) -> serde_json::Map<String, serde_json::Value> {
    match value {
        serde_json::Value::Object(object) => object,
        other => panic!("not an object: {other}"),
    }
}

#[tokio::test]
async fn f072_sessions_survive_a_restart_and_revoked_ones_stay_revoked() {
    let clock = Arc::new(ManualClock::default());
    let directory = tempfile::tempdir().unwrap();
    let cx = Cx::new();
    let engine = embedded_engine(&directory, &clock, 0);
    let home = open(Arc::clone(&engine), Sessions::STORE, Sessions::TRAITS, &clock).await;
    let before = store(home, &Policies::default());
    let kept = before.create(&cx, &user("a")).await.unwrap();
    let revoked = before.create(&cx, &user("a")).await.unwrap();
    assert!(before.record_request(&cx, &kept.token.expose(), None, None).await.unwrap().allowed);
    assert!(before.revoke(&cx, By::Token(&revoked.token.expose()), RevokeReason::User).await.unwrap());
    engine.close();
    drop((before, engine));

    let engine = embedded_engine(&directory, &clock, 0);
    let home = Home::new(engine, space(Sessions::STORE, Sessions::TRAITS), Arc::clone(&clock) as _);
    let after = store(home, &Policies::default());
    let context = after.validate(&cx, &kept.token.expose(), None, true).await.unwrap();
    assert_eq!((context.session_id, context.request_count), (kept.session.id, 1));
    let gone = after.validate(&cx, &revoked.token.expose(), None, true).await;
    assert!(matches!(gone, Err(SessionError::Invalid)));
    assert_eq!(after.list(&cx, SessionKind::User, &id("a")).await.unwrap().len(), 1);
}
