//! Changing a running system.

use std::time::Duration;

use super::*;

#[tokio::test]
async fn a_reload_changes_the_rules_of_open_stores_and_a_bad_one_changes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::default());
    let hold = open_with(directory.path(), &[], &clock).await.unwrap();
    let cache = hold.cache(&default()).await.unwrap();
    let longer = sources(directory.path(), &[("cache.default_ttl", "2h"), ("server.body_limit", "4096")]);
    let change = hold.reload(&longer).unwrap();
    assert_eq!(change.changed, ["cache.default_ttl"]);
    assert_eq!(change.needs_restart, ["server.body_limit"]);
    assert_eq!(cache.rules().default_ttl.get(), Duration::from_hours(2));
    assert_eq!(hold.config().server.body_limit, 2 << 20);

    assert!(hold.reload(&sources(directory.path(), &[("cache.default_ttl", "never")])).is_err());
    assert_eq!(cache.rules().default_ttl.get(), Duration::from_hours(2));
    hold.close().await;
}

#[tokio::test]
async fn limits_and_sessions_take_their_new_rules_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let hold = open(directory.path()).await;
    let limits = hold.limits(&default()).await.unwrap();
    let sessions = hold.sessions(&default()).await.unwrap();
    let keys = [
        ("limits.policies.orders.limit", "7"),
        ("limits.policies.orders.window", "1m"),
        ("sessions.user.max_concurrent", "2"),
    ];
    assert!(limits.rule("orders", None).is_none());
    hold.reload(&sources(directory.path(), &keys)).unwrap();
    assert!(limits.rule("orders", None).is_some());
    assert_eq!(sessions.policies().user.concurrent_max, 2);
    hold.close().await;
}
