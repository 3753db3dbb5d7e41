//! Requests of a session are limited and counted.

use std::collections::BTreeMap;

use crate::limits::Definition;

use super::*;

on_every_engine!(
    f067_allowed_requests_are_counted_and_denied_ones_change_nothing,
    f067_classes_are_counted_apart_and_together,
    f067_the_window_asked_for_is_exact,
    a_session_keeps_its_counter_for_life,
    a_shadow_policy_counts_and_never_denies,
    unknown_policies_and_windows_are_refused,
);

async fn f067_allowed_requests_are_counted_and_denied_ones_change_nothing(bed: Bed) {
    let token = bed.create("a").await.token.expose();
    for n in 1..=60 {
        let one = bed.sessions.record_request(&bed.cx, &token, None, None).await.unwrap();
        assert_eq!((one.allowed, one.remaining, one.request_count), (true, 60 - n, n));
        assert_eq!((one.limit, one.window, one.retry_after), (60, MINUTE, None));
    }
    for _ in 0..2 {
        let denied = bed.sessions.record_request(&bed.cx, &token, None, None).await.unwrap();
        assert_eq!((denied.allowed, denied.remaining, denied.request_count), (false, 0, 60));
        assert_eq!(denied.retry_after, Some(MINUTE));
    }
    let count = bed.sessions.request_count(&bed.cx, &token, seconds(60)).await.unwrap();
    assert_eq!(count, RequestCount { in_window: 60, lifetime: 60 });
    bed.clock.advance(MINUTE);
    let again = bed.sessions.record_request(&bed.cx, &token, None, None).await.unwrap();
    assert_eq!((again.allowed, again.remaining, again.request_count), (true, 59, 61));
}

async fn f067_classes_are_counted_apart_and_together(bed: Bed) {
    let token = bed.create("a").await.token.expose();
    for _ in 0..100 {
        assert!(bed.sessions.record_request(&bed.cx, &token, None, Some("sync")).await.unwrap().allowed);
    }
    let plain = bed.sessions.record_request(&bed.cx, &token, None, None).await.unwrap();
    assert_eq!((plain.allowed, plain.remaining), (true, 59));
    let count = bed.sessions.request_count(&bed.cx, &token, seconds(60)).await.unwrap();
    assert_eq!(count, RequestCount { in_window: 101, lifetime: 101 });
}

async fn f067_the_window_asked_for_is_exact(bed: Bed) {
    let token = bed.create("a").await.token.expose();
    for _ in 0..5 {
        bed.sessions.record_request(&bed.cx, &token, None, None).await.unwrap();
        bed.clock.advance(SECOND * 10);
    }
    for (window, expected) in [(10, 0), (11, 1), (20, 1), (21, 2), (51, 5), (60, 5)] {
        let count = bed.sessions.request_count(&bed.cx, &token, seconds(window)).await.unwrap();
        assert_eq!(count.in_window, expected, "{window} s");
    }
    bed.clock.advance(MINUTE);
    let count = bed.sessions.request_count(&bed.cx, &token, seconds(60)).await.unwrap();
    assert_eq!(count, RequestCount { in_window: 0, lifetime: 5 });
}

async fn a_session_keeps_its_counter_for_life(bed: Bed) {
    let created = bed.create("a").await;
    let token = created.token.expose();
    bed.sessions.record_request(&bed.cx, &token, None, None).await.unwrap();
    bed.sessions.renew(&bed.cx, &token, seconds(20 * 3_600)).await.unwrap();
    for _ in 0..20 {
        bed.clock.advance(MINUTE * 29);
        assert_eq!(bed.validate(&created.token).await.unwrap().request_count, 1);
    }
    assert_eq!(bed.sessions.record_request(&bed.cx, &token, None, None).await.unwrap().request_count, 2);
}

async fn a_shadow_policy_counts_and_never_denies(bed: Bed) {
    let shadowed = Definition::sliding(1, MINUTE).shadowed();
    let limits = limits::Policies::new(BTreeMap::from([("session".into(), Some(shadowed))])).unwrap();
    bed.sessions.reload(Policies::default(), limits);
    let token = bed.create("a").await.token.expose();
    for n in 1..=3 {
        let one = bed.sessions.record_request(&bed.cx, &token, None, None).await.unwrap();
        assert_eq!((one.allowed, one.request_count), (true, n));
    }
}

async fn unknown_policies_and_windows_are_refused(bed: Bed) {
    let token = bed.create("a").await.token.expose();
    for (policy, class) in [(Some("nothing"), None), (None, Some("bulk")), (Some("api"), Some("sync"))] {
        let answer = bed.sessions.record_request(&bed.cx, &token, policy, class).await;
        assert!(matches!(answer, Err(SessionError::UnknownPolicy)), "{answer:?}");
    }
    let other = bed.sessions.record_request(&bed.cx, &token, Some("api"), Some("bulk")).await.unwrap();
    assert_eq!((other.limit, other.request_count), (1_000, 1), "another policy that the installation knows");
    let long = bed.sessions.request_count(&bed.cx, &token, seconds(61)).await;
    assert!(matches!(long, Err(SessionError::WindowOutOfPolicy)));
}
