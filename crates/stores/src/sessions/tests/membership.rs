//! What callers see of an owner's sessions: limits, lists, revocation, counts, the sweep.

use super::policy::Over;
use super::*;

on_every_engine!(
    f060_a_revoked_session_leaves_nothing_behind,
    f061_revoke_all_ends_every_session_but_the_excepted_one,
    f061_an_exception_does_not_bring_back_a_revoked_session,
    f061_the_epoch_never_returns_to_an_old_one,
    f061_a_session_of_an_older_epoch_is_invalid_before_it_is_deleted,
    f062_renewed_sessions_stay_listed_newest_first_without_tokens,
    f062_an_owner_of_thousands_is_listed_whole,
    f063_owner_metrics_are_exact,
    f064_the_count_is_what_was_created_less_what_ended,
    f065_the_sweep_removes_what_expired_and_says_how_much,
    f069_the_sixth_login_evicts_the_oldest,
    f069_a_refusing_kind_refuses_and_changes_nothing,
    f069_a_lowered_limit_ends_hundreds_at_the_next_login,
    f070_a_platform_is_replaced_where_that_is_on,
    kinds_of_one_name_are_different_owners,
);

async fn f060_a_revoked_session_leaves_nothing_behind(bed: Bed) {
    let created = bed.create("a").await;
    let token = created.token.expose();
    for class in [None, Some("sync")] {
        assert!(bed.sessions.record_request(&bed.cx, &token, None, class).await.unwrap().allowed);
    }
    assert_eq!(bed.items("a").await.len(), 5, "record, counter, mark and two limiter states");
    assert!(bed.sessions.revoke(&bed.cx, By::Token(&token), RevokeReason::User).await.unwrap());
    assert!(!bed.sessions.revoke(&bed.cx, By::Token(&token), RevokeReason::User).await.unwrap());
    assert_eq!(bed.items("a").await, ["mark"]);
    let second = bed.create("a").await;
    let key = key("a", second.session.id);
    assert!(bed.sessions.revoke(&bed.cx, By::Key(&key), RevokeReason::Admin).await.unwrap());
    assert!(!bed.sessions.revoke(&bed.cx, By::Key(&key), RevokeReason::Admin).await.unwrap());
    assert!(!bed.sessions.revoke(&bed.cx, By::Token("nonsense"), RevokeReason::User).await.unwrap());
}

async fn f061_revoke_all_ends_every_session_but_the_excepted_one(bed: Bed) {
    let mut created = Vec::new();
    for _ in 0..4 {
        created.push(bed.create("a").await);
    }
    let stranger = bed.create("b").await;
    assert_eq!(bed.sessions.epoch(&bed.cx, SessionKind::User, &id("a")).await.unwrap(), 0);
    let keep = created[1].session.id;
    let revoke_all = async |except| {
        bed.sessions
            .revoke_all(&bed.cx, SessionKind::User, &id("a"), except, RevokeReason::Principal)
            .await
            .unwrap()
    };
    let first = revoke_all(Some(keep)).await;
    assert_eq!(first.revoked, 3);
    assert_eq!(bed.listed("a").await, [keep]);
    assert!(bed.validate(&created[1].token).await.is_ok() && bed.validate(&stranger.token).await.is_ok());
    assert!(matches!(bed.validate(&created[0].token).await, Err(SessionError::Invalid)));
    assert_eq!(bed.sessions.epoch(&bed.cx, SessionKind::User, &id("a")).await.unwrap(), first.epoch);
    let second = revoke_all(None).await;
    assert!(second.revoked == 1 && second.epoch > first.epoch);
    assert_eq!(bed.items("a").await, ["mark"]);
    assert_eq!(revoke_all(None).await.revoked, 0);
}

async fn f061_an_exception_does_not_bring_back_a_revoked_session(bed: Bed) {
    let created = bed.create("a").await;
    // A revocation that stopped after its first commit: the epoch is raised, the record is still there.
    let at = bed.place("a");
    let raised = bed.sessions.raise(&bed.cx, &at, SessionKind::User, &id("a"), None).await.unwrap();
    let all = bed
        .sessions
        .revoke_all(&bed.cx, SessionKind::User, &id("a"), Some(created.session.id), RevokeReason::Reset)
        .await
        .unwrap();
    assert!(all.epoch > raised);
    assert!(bed.validate(&created.token).await.is_err());
    assert_eq!(bed.items("a").await, ["mark"]);
}

async fn f061_the_epoch_never_returns_to_an_old_one(bed: Bed) {
    let owner = id("a");
    let revoke_all = async || {
        bed.sessions
            .revoke_all(&bed.cx, SessionKind::User, &owner, None, RevokeReason::Admin)
            .await
            .unwrap()
            .epoch
    };
    let first = revoke_all().await;
    bed.clock.advance(MINUTE * 60 * 48);
    assert_eq!(
        bed.sessions.epoch(&bed.cx, SessionKind::User, &owner).await.unwrap(),
        0,
        "the mark has ended"
    );
    assert!(revoke_all().await > first);
}

async fn f061_a_session_of_an_older_epoch_is_invalid_before_it_is_deleted(bed: Bed) {
    let created = bed.create("a").await;
    let token = created.token.expose();
    let at = bed.place("a");
    bed.sessions.raise(&bed.cx, &at, SessionKind::User, &id("a"), None).await.unwrap();
    assert_eq!(bed.items("a").await.len(), 3, "nothing is deleted yet");
    let (cx, by) = (&bed.cx, By::Token(&token));
    assert!(matches!(bed.validate(&created.token).await, Err(SessionError::Invalid)));
    assert!(matches!(bed.sessions.get(cx, by).await, Err(SessionError::Invalid)));
    assert!(matches!(bed.sessions.renew(cx, &token, seconds(9)).await, Err(SessionError::Invalid)));
    assert!(matches!(bed.sessions.record_request(cx, &token, None, None).await, Err(SessionError::Invalid)));
    assert!(matches!(
        bed.sessions.update_data(cx, by, &object(serde_json::json!({})), None).await,
        Err(SessionError::Invalid)
    ));
    assert!(!bed.sessions.revoke(cx, by, RevokeReason::User).await.unwrap());
    assert_eq!(bed.listed("a").await, []);
    assert_eq!(bed.sessions.count(cx).await.unwrap().total(), 0);
    let key = key("a", created.session.id);
    assert!(matches!(bed.sessions.set_level(cx, &key, Level::Admin).await, Err(SessionError::NotFound)));
    assert_eq!(bed.create("a").await.evicted, [], "it takes nobody's place");
}

async fn f062_renewed_sessions_stay_listed_newest_first_without_tokens(bed: Bed) {
    let mut created = Vec::new();
    for _ in 0..3 {
        created.push(bed.create("a").await);
        bed.clock.advance(SECOND);
    }
    bed.sessions.renew(&bed.cx, &created[0].token.expose(), seconds(7_200)).await.unwrap();
    let expected: Vec<SessionId> = created.iter().rev().map(|created| created.session.id).collect();
    assert_eq!(bed.listed("a").await, expected);
    bed.clock.advance(MINUTE * 29 + SECOND * 59);
    assert_eq!(bed.listed("a").await, expected[2..], "the ended ones are absent");
}

async fn f062_an_owner_of_thousands_is_listed_whole(bed: Bed) {
    let bed = bed.with(&users(|user| user.concurrent_max = 0));
    for _ in 0..1_205 {
        bed.create("a").await;
    }
    let listed = bed.listed("a").await;
    assert_eq!(listed.len(), 1_205);
    let distinct: std::collections::BTreeSet<_> = listed.iter().collect();
    assert_eq!(distinct.len(), 1_205);
}

async fn f063_owner_metrics_are_exact(bed: Bed) {
    let metrics = async || bed.sessions.owner_metrics(&bed.cx, SessionKind::User, &id("a")).await.unwrap();
    assert_eq!(metrics().await, OwnerMetrics::default());
    let first = bed.create("a").await;
    bed.clock.advance(SECOND);
    let new = NewSession { level: Level::Admin, ..user("a") };
    let second = bed.sessions.create(&bed.cx, &new).await.unwrap();
    for (token, requests) in [(first.token.expose(), 3), (second.token.expose(), 4)] {
        for _ in 0..requests {
            bed.sessions.record_request(&bed.cx, &token, None, None).await.unwrap();
        }
    }
    let expected = OwnerMetrics {
        active_sessions: 2,
        total_requests: 7,
        last_accessed_at: Some(second.session.created_at),
        level: Some(Level::Admin),
    };
    assert_eq!(metrics().await, expected);
}

async fn f064_the_count_is_what_was_created_less_what_ended(bed: Bed) {
    let mut live = std::collections::BTreeMap::new();
    let mut random = 0x2545_f491_4f6c_dd1d_u64;
    for _ in 0..400 {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let owner = format!("owner-{}", random % 17);
        let kind = SessionKind::ALL[(random >> 8) as usize % 3];
        if (random >> 16).is_multiple_of(4) {
            if let Some((_, token)) = live.pop_first() {
                let token: zeroize::Zeroizing<String> = token;
                assert!(bed.sessions.revoke(&bed.cx, By::Token(&token), RevokeReason::User).await.unwrap());
            }
        } else {
            let new = NewSession::new(kind, id(&owner));
            let created = bed.sessions.create(&bed.cx, &new).await.unwrap();
            for gone in created.evicted {
                assert!(live.remove(&gone).is_some());
            }
            bed.sessions.record_request(&bed.cx, &created.token.expose(), None, None).await.unwrap();
            live.insert(created.session.id, created.token.expose());
        }
    }
    assert_eq!(bed.sessions.count(&bed.cx).await.unwrap().total(), live.len() as u64);
    bed.clock.advance(MINUTE * 60);
    assert_eq!(bed.sessions.count(&bed.cx).await.unwrap(), Active::default(), "expired ones are not counted");
}

async fn f065_the_sweep_removes_what_expired_and_says_how_much(bed: Bed) {
    for owner in 0..30 {
        let created = bed.create(&format!("owner-{owner}")).await;
        bed.sessions.record_request(&bed.cx, &created.token.expose(), None, None).await.unwrap();
    }
    assert_eq!(bed.sessions.sweep(&bed.cx).await.unwrap(), Swept::default());
    bed.clock.advance(MINUTE * 30);
    let living = bed.create("living").await;
    let swept = bed.sessions.sweep(&bed.cx).await.unwrap();
    assert_eq!((swept.sessions, swept.items), (30, 90), "a record, a counter and a limiter state each");
    assert_eq!(bed.sessions.sweep(&bed.cx).await.unwrap(), Swept::default(), "seen once");
    assert!(bed.validate(&living.token).await.is_ok());
    bed.clock.advance(MINUTE * 60 * 48);
    let swept = bed.sessions.sweep(&bed.cx).await.unwrap();
    assert_eq!((swept.sessions, swept.items), (1, 1 + 1 + 31), "marks end too");
}

async fn f069_the_sixth_login_evicts_the_oldest(bed: Bed) {
    let mut created = Vec::new();
    for _ in 0..6 {
        created.push(bed.create("a").await);
        bed.clock.advance(SECOND);
    }
    assert_eq!(created[5].evicted, [created[0].session.id]);
    assert!(created[..5].iter().all(|created| created.evicted.is_empty()));
    assert!(matches!(bed.validate(&created[0].token).await, Err(SessionError::Invalid)));
    assert_eq!(bed.listed("a").await.len(), 5);
}

async fn f069_a_refusing_kind_refuses_and_changes_nothing(bed: Bed) {
    let bed = bed.with(&users(|user| (user.over, user.concurrent_max) = (Over::Refuse, 2)));
    let created = [bed.create("a").await, bed.create("a").await];
    let before = bed.items("a").await;
    let third = bed.sessions.create(&bed.cx, &user("a")).await;
    assert!(matches!(third, Err(SessionError::TooManySessions)));
    assert_eq!(bed.items("a").await, before);
    bed.sessions.revoke(&bed.cx, By::Token(&created[0].token.expose()), RevokeReason::User).await.unwrap();
    assert_eq!(bed.create("a").await.evicted, []);
}

async fn f069_a_lowered_limit_ends_hundreds_at_the_next_login(bed: Bed) {
    let bed = bed.with(&users(|user| user.concurrent_max = 0));
    for _ in 0..300 {
        bed.create("a").await;
    }
    bed.sessions.reload(Policies::default(), limits::Policies::default());
    let created = bed.create("a").await;
    assert_eq!(created.evicted.len(), 296);
    assert_eq!(bed.listed("a").await.len(), 5);
    assert_eq!(bed.items("a").await.len(), 5 * 2 + 1);
}

async fn f070_a_platform_is_replaced_where_that_is_on(bed: Bed) {
    let on = |platform| NewSession { platform: Some(platform), ..user("a") };
    let first = bed.sessions.create(&bed.cx, &on(Platform::Web)).await.unwrap();
    assert_eq!(bed.sessions.create(&bed.cx, &on(Platform::Web)).await.unwrap().evicted, [], "off by default");
    bed.sessions.reload(users(|user| user.one_per_platform = true), limits::Policies::default());
    let mobile = bed.sessions.create(&bed.cx, &on(Platform::Mobile)).await.unwrap();
    assert_eq!(mobile.evicted, []);
    let web = bed.sessions.create(&bed.cx, &on(Platform::Web)).await.unwrap();
    assert_eq!(web.evicted.len(), 2);
    assert!(web.evicted.contains(&first.session.id));
    assert_eq!(bed.listed("a").await.len(), 2);
}

async fn kinds_of_one_name_are_different_owners(bed: Bed) {
    let person = bed.create("a").await;
    let node = NewSession::new(SessionKind::Node, id("a"));
    let node = bed.sessions.create(&bed.cx, &node).await.unwrap();
    bed.sessions.revoke_all(&bed.cx, SessionKind::Node, &id("a"), None, RevokeReason::Admin).await.unwrap();
    assert!(bed.validate(&person.token).await.is_ok() && bed.validate(&node.token).await.is_err());
    let counted = bed.sessions.count(&bed.cx).await.unwrap();
    assert_eq!((counted.user, counted.node, counted.service), (1, 0, 0));
}
