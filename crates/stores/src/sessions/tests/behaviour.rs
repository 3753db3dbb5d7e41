//! What callers see of one session.

use std::sync::Arc;

use serde_json::json;
use statehold_core::{EngineExt, Kind};

use super::*;

on_every_engine!(
    f056_a_created_session_lives_an_hour_and_stores_no_secret,
    f056_bad_creations_are_refused_and_create_nothing,
    f057_every_bad_token_gets_one_answer,
    f057_a_token_of_another_owner_or_session_opens_nothing,
    f058_a_use_is_noted_once_per_granularity,
    f059_renew_is_bounded,
    f066_levels_are_ordered,
    f066_a_changed_level_renews_the_token,
    f068_idle_absolute_and_longest_life_each_end_a_session,
    f071_device_address_and_agent_are_kept_bounded_and_listed,
    f073_a_record_is_json_with_its_format,
    f075_states_are_derived_and_never_stored,
    data_is_merged_bounded_and_guarded_by_revision,
    a_session_is_read_by_token_and_by_key_without_a_touch,
    an_unreadable_record_is_an_error_and_never_absent,
);

type Case = (NewSession, fn(&SessionError) -> bool);

async fn f056_a_created_session_lives_an_hour_and_stores_no_secret(bed: Bed) {
    let created = bed.create("alice").await;
    let session = &created.session;
    assert_eq!(session.expires_at, session.created_at.plus(MINUTE * 60));
    assert_eq!((session.level, session.request_count), (Level::ReadOnly, 0));
    let token = created.token.expose();
    let stored = bed.record("alice", session.id).await.to_string();
    let (_, body) = token.split_at(TOKEN_PREFIX.len());
    // The last 32 bytes of the token are the secret; 40 of its characters hold nothing but secret bits.
    assert!(!stored.contains(&body[body.len() - 40..]));
    assert_eq!(bed.validate(&created.token).await.unwrap().owner, id("alice"));
    let shown = format!("{created:?} {:?}", bed.sessions);
    assert!(!shown.contains(&*token) && !shown.contains("alice"), "{shown}");
}

async fn f056_bad_creations_are_refused_and_create_nothing(bed: Bed) {
    let cases: [Case; 6] = [
        (NewSession { ttl: Some(SECOND / 2), ..user("a") }, |e| matches!(e, SessionError::TtlOutOfPolicy)),
        (NewSession { ttl: Some(MINUTE * 60 * 25), ..user("a") }, |e| {
            matches!(e, SessionError::TtlOutOfPolicy)
        }),
        (NewSession { user_agent: Some("x".repeat(513).into()), ..user("a") }, |e| {
            matches!(e, SessionError::TooLong("user_agent"))
        }),
        (NewSession { device: Some("x".repeat(201).into()), ..user("a") }, |e| {
            matches!(e, SessionError::TooLong("device"))
        }),
        (NewSession { data: object(json!({"x": "y".repeat(16 << 10)})), ..user("a") }, |e| {
            matches!(e, SessionError::DataTooLarge)
        }),
        (NewSession { expect_epoch: Some(3), ..user("a") }, |e| matches!(e, SessionError::OwnerEpochChanged)),
    ];
    for (new, expected) in cases {
        let error = bed.sessions.create(&bed.cx, &new).await.unwrap_err();
        assert!(expected(&error), "{error:?}");
    }
    assert_eq!(bed.items("a").await, [""; 0]);
}

async fn f057_every_bad_token_gets_one_answer(bed: Bed) {
    let (live, revoked, expired) = (bed.create("a").await, bed.create("b").await, bed.create("c").await);
    let by = By::Token(&revoked.token.expose());
    assert!(bed.sessions.revoke(&bed.cx, by, RevokeReason::User).await.unwrap());
    let good = live.token.expose().to_string();
    let mut forged = good.clone().into_bytes();
    let at = forged.len() - 20;
    forged[at] = if forged[at] == b'A' { b'B' } else { b'A' };
    let forged = String::from_utf8(forged).unwrap();
    for token in ["", "garbage", &good[5..], &forged, &revoked.token.expose()] {
        let answer = bed.sessions.validate(&bed.cx, token, None, true).await;
        assert!(matches!(answer, Err(SessionError::Invalid)), "{answer:?}");
    }
    bed.clock.advance(MINUTE * 30);
    assert!(matches!(bed.validate(&expired.token).await, Err(SessionError::Invalid)));
    let by_key = bed.sessions.get(&bed.cx, By::Key(&key("c", expired.session.id))).await;
    assert!(matches!(by_key, Err(SessionError::NotFound)));
}

async fn f057_a_token_of_another_owner_or_session_opens_nothing(bed: Bed) {
    let (mine, other) = (bed.create("a").await, bed.create("a").await);
    let (mine, other) = (mine.token.expose(), other.token.expose());
    // Owner tag and most of the id of one token with the secret of the other.
    let mixed = format!("{}{}", &mine[..48], &other[48..]);
    let answer = bed.sessions.validate(&bed.cx, &mixed, None, false).await;
    assert!(matches!(answer, Err(SessionError::Invalid)));
}

async fn f058_a_use_is_noted_once_per_granularity(bed: Bed) {
    let created = bed.create("a").await;
    let first = bed.validate(&created.token).await.unwrap();
    assert_eq!(first.revision, created.session.revision, "within the granularity nothing is written");
    bed.clock.advance(SECOND * 4);
    assert_eq!(bed.validate(&created.token).await.unwrap().revision, first.revision);
    bed.clock.advance(SECOND);
    let touched = bed.validate(&created.token).await.unwrap();
    assert!(touched.revision > first.revision);
    let session = bed.sessions.get(&bed.cx, By::Key(&key("a", created.session.id))).await.unwrap();
    assert_eq!(session.last_accessed_at, created.session.created_at.plus(SECOND * 5));
    assert_eq!(session.revision, touched.revision);
    bed.clock.advance(MINUTE);
    let look = bed.sessions.validate(&bed.cx, &created.token.expose(), None, false).await.unwrap();
    assert_eq!(look.revision, touched.revision, "a look is no use");
}

async fn f059_renew_is_bounded(bed: Bed) {
    let created = bed.create("a").await;
    let token = created.token.expose();
    let born = created.session.created_at;
    let renewed = bed.sessions.renew(&bed.cx, &token, seconds(3_600)).await.unwrap();
    assert_eq!(renewed.expires_at, born.plus(MINUTE * 120), "added to the old end, which is later than now");
    let renewed = bed.sessions.renew(&bed.cx, &token, seconds(3_650 * 86_400)).await.unwrap();
    assert_eq!(renewed.expires_at, born.plus(MINUTE * 60 * 24), "at most a day from its creation");
    let again = bed.sessions.renew(&bed.cx, &token, seconds(1)).await;
    assert!(matches!(again, Err(SessionError::MaxLifetimeReached)));
    bed.clock.advance(MINUTE * 30);
    let ended = bed.sessions.renew(&bed.cx, &token, seconds(1)).await;
    assert!(matches!(ended, Err(SessionError::Invalid)), "an idle session has ended and cannot be renewed");
}

async fn f066_levels_are_ordered(bed: Bed) {
    assert!(Level::ReadOnly < Level::ReadWrite && Level::ReadWrite < Level::Admin);
    for have in Level::ALL {
        let new = NewSession { level: *have, ..user("a") };
        let token = bed.sessions.create(&bed.cx, &new).await.unwrap().token.expose();
        for need in Level::ALL {
            let answer = bed.sessions.validate(&bed.cx, &token, Some(*need), true).await;
            match answer {
                Ok(context) => assert!(context.level == *have && have >= need),
                Err(SessionError::InsufficientLevel) => assert!(have < need),
                Err(error) => panic!("{error:?}"),
            }
        }
    }
}

async fn f066_a_changed_level_renews_the_token(bed: Bed) {
    let created = bed.create("a").await;
    let key = key("a", created.session.id);
    let opened = bed.sessions.set_level(&bed.cx, &key, Level::Admin).await.unwrap();
    assert!(matches!(bed.validate(&created.token).await, Err(SessionError::Invalid)));
    let context = bed.validate(&opened.token).await.unwrap();
    assert_eq!((context.level, context.session_id), (Level::Admin, created.session.id));
    let unknown = super::key("a", SessionId::from_bytes([0; 16]));
    let answer = bed.sessions.set_level(&bed.cx, &unknown, Level::Admin).await;
    assert!(matches!(answer, Err(SessionError::NotFound)));
}

async fn f068_idle_absolute_and_longest_life_each_end_a_session(bed: Bed) {
    let idle = bed.create("idle").await;
    bed.clock.advance(SECOND * 1_799);
    assert_eq!(
        bed.sessions
            .get(&bed.cx, By::Token(&idle.token.expose()))
            .await
            .unwrap()
            .remaining_seconds(bed.home.now()),
        1
    );
    bed.clock.advance(SECOND);
    assert!(bed.validate(&idle.token).await.is_err(), "1800 s without use");

    let absolute = bed.create("absolute").await;
    for _ in 0..3 {
        bed.clock.advance(MINUTE * 19);
        assert!(bed.validate(&absolute.token).await.is_ok());
    }
    bed.clock.advance(MINUTE * 3);
    assert!(bed.validate(&absolute.token).await.is_err(), "3600 s in use");

    let longest = bed.create("longest").await;
    for _ in 0..24 * 3 {
        assert!(bed.validate(&longest.token).await.is_ok());
        let _ = bed.sessions.renew(&bed.cx, &longest.token.expose(), seconds(3_600)).await;
        bed.clock.advance(MINUTE * 20);
    }
    assert!(bed.validate(&longest.token).await.is_err(), "24 h, whatever is renewed");
}

async fn f071_device_address_and_agent_are_kept_bounded_and_listed(bed: Bed) {
    let new = NewSession {
        ip: Some("2001:db8::1".parse().unwrap()),
        user_agent: Some("a".repeat(512).into()),
        device: Some("d".repeat(200).into()),
        platform: Some(Platform::Mobile),
        channel_id: Some(id("c:1")),
        ..user("a")
    };
    let created = bed.sessions.create(&bed.cx, &new).await.unwrap();
    let listed = bed.sessions.list(&bed.cx, SessionKind::User, &id("a")).await.unwrap();
    assert_eq!(listed, std::slice::from_ref(&created.session));
    assert_eq!((listed[0].ip, &listed[0].user_agent), (new.ip, &new.user_agent));
    assert_eq!((&listed[0].device, listed[0].platform), (&new.device, new.platform));
    assert_eq!(bed.validate(&created.token).await.unwrap().channel_id, new.channel_id);
}

async fn f073_a_record_is_json_with_its_format(bed: Bed) {
    let created = bed.create("al\"ice").await;
    let record = bed.record("al\"ice", created.session.id).await;
    assert_eq!(record["v"], 1);
    assert_eq!(record["owner"], "al\"ice");
    assert_eq!(record["session_id"], created.session.id.to_string());
    assert_eq!(record["data"], json!({}));
    assert_eq!(record.get("request_count"), None, "it is joined from the counter");
}

async fn f075_states_are_derived_and_never_stored(bed: Bed) {
    let created = bed.create("a").await;
    let token = created.token.expose();
    let state = async |bed: &Bed| bed.sessions.validate(&bed.cx, &token, None, false).await.unwrap().state;
    assert_eq!(state(&bed).await, SessionState::Active);
    bed.clock.advance(MINUTE * 5);
    assert_eq!(state(&bed).await, SessionState::Idle);
    bed.clock.advance(MINUTE * 23 + SECOND);
    assert_eq!(state(&bed).await, SessionState::Expiring);
    assert_eq!(bed.record("a", created.session.id).await.get("state"), None);
}

async fn data_is_merged_bounded_and_guarded_by_revision(bed: Bed) {
    let new = NewSession { data: object(json!({"cart": {"n": 1, "x": 2}})), ..user("a") };
    let created = bed.sessions.create(&bed.cx, &new).await.unwrap();
    let (token, key) = (created.token.expose(), key("a", created.session.id));
    let patch = object(json!({"cart": {"x": null, "y": 3}, "theme": "dark"}));
    let update =
        async |by: By<'_>, patch, revision| bed.sessions.update_data(&bed.cx, by, patch, revision).await;
    let changed = update(By::Token(&token), &patch, Some(created.session.revision)).await.unwrap();
    assert_eq!(changed.data, object(json!({"cart": {"n": 1, "y": 3}, "theme": "dark"})));
    assert_eq!(changed.data_version, 1);
    let stale = update(By::Token(&token), &patch, Some(created.session.revision)).await;
    let present = changed.revision;
    assert!(matches!(stale, Err(SessionError::RevisionMismatch { current }) if current == present));
    let large = object(json!({"x": "y".repeat(16 << 10)}));
    assert!(matches!(update(By::Token(&token), &large, None).await, Err(SessionError::DataTooLarge)));
    let by_key = update(By::Key(&key), &object(json!({"theme": null})), None).await.unwrap();
    assert_eq!((by_key.data_version, by_key.data.contains_key("theme")), (2, false));
    let read = bed.sessions.get(&bed.cx, By::Token(&token)).await.unwrap();
    assert_eq!(read, by_key);
}

async fn a_session_is_read_by_token_and_by_key_without_a_touch(bed: Bed) {
    let created = bed.create("a").await;
    bed.clock.advance(MINUTE);
    let by_token = bed.sessions.get(&bed.cx, By::Token(&created.token.expose())).await.unwrap();
    let by_key = bed.sessions.get(&bed.cx, By::Key(&key("a", created.session.id))).await.unwrap();
    assert_eq!(by_token, created.session);
    assert_eq!(by_key, created.session);
    let elsewhere = bed.sessions.get(&bed.cx, By::Key(&key("b", created.session.id))).await;
    assert!(matches!(elsewhere, Err(SessionError::NotFound)));
}

async fn an_unreadable_record_is_an_error_and_never_absent(bed: Bed) {
    let created = bed.create("a").await;
    let address = bed.place("a").item(session_item(created.session.id));
    let deadline = Some(created.session.deadline);
    bed.home.engine.put(&bed.cx, &address, Bytes::from_static(b"{"), deadline).await.unwrap();
    let corrupt = |error: SessionError| matches!(error, SessionError::Engine(e) if e.kind() == Kind::Corrupt);
    assert!(corrupt(bed.validate(&created.token).await.unwrap_err()));
    assert!(corrupt(bed.sessions.list(&bed.cx, SessionKind::User, &id("a")).await.unwrap_err()));
    assert!(corrupt(bed.sessions.count(&bed.cx).await.unwrap_err()));
    assert!(corrupt(bed.sessions.create(&bed.cx, &user("a")).await.unwrap_err()));

    // A record that was copied into another owner's partition opens nothing there.
    let other = bed.create("b").await;
    let stolen = Arc::clone(&bed.home.engine);
    let from = bed.place("b").item(session_item(other.session.id));
    let record = stolen.get(&bed.cx, &from).await.unwrap().unwrap();
    let to = bed.place("c").item(session_item(other.session.id));
    stolen.put(&bed.cx, &to, record.value, deadline).await.unwrap();
    let copied = bed.sessions.get(&bed.cx, By::Key(&key("c", other.session.id))).await;
    assert!(corrupt(copied.unwrap_err()));
}
