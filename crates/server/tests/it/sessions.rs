//! `/v1/sessions` as its clients meet it.

use std::sync::Arc;
use std::time::Duration;

use reqwest::{Method, RequestBuilder, Response};
use serde_json::{Value, json};
use statehold_api::Code;
use statehold_core::Cx;
use statehold_journal::control::Scope;

use crate::harness::{TestServer, json, refused};

const CURRENT: &str = "/v1/sessions/current";

/// Begins a session of a user and gives the whole reply.
async fn begin(server: &TestServer, owner: &str, more: Value) -> Value {
    let mut body = json!({"kind": "user", "owner": owner});
    body.as_object_mut().unwrap().append(&mut more.as_object().unwrap().clone());
    json(server.post("/v1/sessions", &body).await, 201).await
}

fn token(created: &Value) -> &str {
    created["token"].as_str().unwrap()
}

fn id(created: &Value) -> &str {
    created["session"]["session_id"].as_str().unwrap()
}

/// A request with the operator's key and a session's token.
fn with(server: &TestServer, method: Method, path: &str, token: &str) -> RequestBuilder {
    server.request(method, path).header("X-Session-Id", token)
}

async fn whoami(server: &TestServer, token: &str) -> Response {
    with(server, Method::GET, CURRENT, token).send().await.unwrap()
}

fn header<'a>(response: &'a Response, name: &str) -> &'a str {
    response.headers().get(name).unwrap_or_else(|| panic!("no {name}")).to_str().unwrap()
}

#[tokio::test]
async fn f056_a_token_is_shown_once_and_never_cached() {
    let server = TestServer::start().await;
    let body = json!({"kind": "user", "owner": "alice", "level": "read_write", "ttl": "30m", "platform": "web",
        "ip": "192.0.2.1", "user_agent": "Agent/1", "device": "laptop", "channel_id": "c:1", "data": {"cart": []}});
    let response = server.post("/v1/sessions", &body).await;
    assert_eq!(header(&response, "cache-control"), "no-store");
    let tag = header(&response, "etag").to_owned();
    let created = json(response, 201).await;
    assert!(token(&created).starts_with("shs1_") && created["evicted"] == json!([]));
    let session = &created["session"];
    assert_eq!(tag, format!("\"r{}\"", session["revision"].as_str().unwrap()));
    assert_eq!(session["remaining_seconds"], 1_800);
    assert_eq!(session["state"], "active");
    let listed = server.get("/v1/sessions?kind=user&owner=alice").await.text().await.unwrap();
    assert!(!listed.contains(&token(&created)[40..]) && !listed.contains("token"), "{listed}");
    let listed: Value = serde_json::from_str(&listed).unwrap();
    assert_eq!(listed, json!({"items": [session]}));
    for member in ["platform", "ip", "user_agent", "device", "channel_id", "data", "level"] {
        assert_eq!(session[member], body[member], "{member}");
    }
}

#[tokio::test]
async fn f057_whoami_says_who_and_every_bad_token_gets_one_code() {
    let server = TestServer::start().await;
    let created = begin(&server, "alice", json!({"level": "read_write"})).await;
    let response = whoami(&server, token(&created)).await;
    assert!(header(&response, "etag").starts_with("\"r"));
    let context = json(response, 200).await;
    assert_eq!((&context["owner"], &context["capabilities"]), (&json!("alice"), &json!(["read", "write"])));
    assert_eq!((&context["session_id"], &context["request_count"]), (&json!(id(&created)), &json!(0)));
    let schemed =
        server.request(Method::GET, CURRENT).header("Authorization", format!("Session {}", token(&created)));
    assert_eq!(json(schemed.send().await.unwrap(), 200).await["owner"], "alice");
    refused(server.get(CURRENT).await, Code::SessionMissing).await;
    let (head, tail) = token(&created).split_at(60);
    let forged = format!("{head}{}{}", if tail.starts_with('A') { 'B' } else { 'A' }, &tail[1..]);
    for bad in ["", "x", "shs1_", &forged] {
        refused(whoami(&server, bad).await, Code::SessionInvalid).await;
    }
    let two = with(&server, Method::GET, CURRENT, token(&created)).header("X-Session-Id", "other");
    refused(two.send().await.unwrap(), Code::SessionInvalid).await;
    server.clock.advance(Duration::from_mins(30));
    refused(whoami(&server, token(&created)).await, Code::SessionInvalid).await;
}

#[tokio::test]
async fn a_token_in_a_query_string_is_refused_everywhere() {
    let server = TestServer::start().await;
    let created = begin(&server, "alice", json!({})).await;
    for query in
        [format!("token={}", token(&created)), format!("anything={}", token(&created)), "session=x".into()]
    {
        for path in [CURRENT, "/v1/sessions", "/v1/sessions/count"] {
            refused(server.get(&format!("{path}?{query}")).await, Code::TokenInQuery).await;
        }
    }
}

#[tokio::test]
async fn f059_renewing_over_http() {
    let server = TestServer::start().await;
    let created = begin(&server, "alice", json!({})).await;
    let renew = async |body: &Value| {
        with(&server, Method::POST, "/v1/sessions/current/renew", token(&created))
            .json(body)
            .send()
            .await
            .unwrap()
    };
    let renewed = json(renew(&json!({"additional": 1_800})).await, 200).await;
    assert_eq!(created["session"]["expires_at"], "2023-11-14T23:13:20.000000Z");
    assert_eq!(renewed["session"]["expires_at"], "2023-11-14T23:43:20.000000Z");
    for additional in [json!(0), json!(-1), json!(1.5), json!("1h 1h"), json!("soon")] {
        refused(renew(&json!({"additional": additional})).await, Code::InvalidDuration).await;
    }
    refused(renew(&json!({"more": 1})).await, Code::UnknownField).await;
    let bare =
        with(&server, Method::POST, "/v1/sessions/current/renew", token(&created)).send().await.unwrap();
    assert_eq!(
        json(bare, 200).await["session"]["expires_at"],
        "2023-11-15T00:43:20.000000Z",
        "an hour unless said"
    );
    json(renew(&json!({"additional": "2d"})).await, 200).await;
    refused(renew(&json!({"additional": 1})).await, Code::MaxLifetimeReached).await;
}

#[tokio::test]
async fn data_is_patched_under_its_revision() {
    let server = TestServer::start().await;
    let created = begin(&server, "alice", json!({"data": {"a": 1, "b": {"c": 2}}})).await;
    let patch = async |body: Value, revision: Option<&str>| {
        let request = with(&server, Method::PATCH, "/v1/sessions/current/data", token(&created)).json(&body);
        let request = match revision {
            Some(revision) => request.header("If-Match", revision),
            None => request,
        };
        request.send().await.unwrap()
    };
    let first = format!("\"r{}\"", created["session"]["revision"].as_str().unwrap());
    let response = patch(json!({"a": null, "b": {"d": 3}}), Some(&first)).await;
    let second = header(&response, "etag").to_owned();
    let changed = json(response, 200).await;
    assert_eq!(changed["session"]["data"], json!({"b": {"c": 2, "d": 3}}));
    let stale = refused(patch(json!({"x": 1}), Some(&first)).await, Code::RevisionMismatch).await;
    assert_eq!(format!("\"r{}\"", stale.members.current_revision.unwrap()), second);
    for bad in ["r1", "*", "W/\"r1\"", "\"1\""] {
        refused(patch(json!({}), Some(bad)).await, Code::InvalidRevision).await;
    }
    refused(patch(json!({"x": "y".repeat(16 << 10)}), None).await, Code::ValueTooLarge).await;
    refused(patch(json!([1]), None).await, Code::OutOfRange).await;
    let context = json(whoami(&server, token(&created)).await, 200).await;
    assert_eq!(format!("\"r{}\"", context["revision"].as_str().unwrap()), second, "nothing else was changed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f067_of_61_requests_at_once_the_61st_is_told_when_to_come_back() {
    let server = Arc::new(TestServer::start().await);
    let created = begin(&server, "alice", json!({})).await;
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..61 {
        let (server, token) = (Arc::clone(&server), token(&created).to_owned());
        tasks.spawn(async move {
            with(&server, Method::POST, "/v1/sessions/current/requests", &token).send().await.unwrap()
        });
    }
    let (allowed, denied): (Vec<_>, Vec<_>) =
        tasks.join_all().await.into_iter().partition(|response| response.status() == 200);
    assert_eq!((allowed.len(), denied.len()), (60, 1));
    let mut left = std::collections::BTreeSet::new();
    for response in allowed {
        assert_eq!(header(&response, "ratelimit-policy"), r#""session";q=60;w=60"#);
        let state = header(&response, "ratelimit").to_owned();
        let body = json(response, 200).await;
        assert_eq!((&body["allowed"], &body["limit"]), (&json!(true), &json!(60)));
        assert_eq!(state, format!(r#""session";r={};t=60"#, body["remaining"]));
        left.insert(body["remaining"].as_u64().unwrap());
    }
    assert_eq!(left.into_iter().collect::<Vec<_>>(), (0..60).collect::<Vec<_>>());
    let denied = denied.into_iter().next().unwrap();
    assert_eq!(header(&denied, "retry-after"), "60");
    assert_eq!(header(&denied, "ratelimit"), r#""session";r=0;t=60"#);
    let problem = refused(denied, Code::RateLimited).await;
    assert_eq!(
        (problem.members.policy.as_deref(), problem.members.retry_after_ms),
        (Some("session"), Some(60_000))
    );
    assert_eq!(json(whoami(&server, token(&created)).await, 200).await["request_count"], 60);
    let sync = with(&server, Method::POST, "/v1/sessions/current/requests", token(&created));
    let sync = json(sync.json(&json!({"class": "sync"})).send().await.unwrap(), 200).await;
    assert_eq!((&sync["remaining"], &sync["request_count"]), (&json!(599), &json!(61)));
    let unknown = with(&server, Method::POST, "/v1/sessions/current/requests", token(&created));
    refused(unknown.json(&json!({"policy": "nothing"})).send().await.unwrap(), Code::PolicyNotFound).await;
}

#[tokio::test]
async fn f060_ended_sessions_open_nothing() {
    let server = TestServer::start().await;
    let created = [begin(&server, "a/b c", json!({})).await, begin(&server, "a/b c", json!({})).await];
    let log_out = with(&server, Method::DELETE, CURRENT, token(&created[0]));
    let response = log_out.try_clone().unwrap().send().await.unwrap();
    assert_eq!((response.status().as_u16(), response.text().await.unwrap()), (204, String::new()));
    refused(log_out.send().await.unwrap(), Code::SessionInvalid).await;
    refused(whoami(&server, token(&created[0])).await, Code::SessionInvalid).await;
    let path = format!("/v1/sessions/user/a%2Fb%20c/{}", id(&created[1]));
    for revoked in [true, false] {
        let response = server.request(Method::DELETE, &path).send().await.unwrap();
        assert_eq!(json(response, 200).await, json!({"revoked": revoked}));
    }
    refused(whoami(&server, token(&created[1])).await, Code::SessionInvalid).await;
    for bad in [
        "/v1/sessions/user/a/nonsense",
        "/v1/sessions/robot/a/01890a5d-ac96-774b-bcce-b302099a8057",
        "/v1/sessions/user/a%0Ab",
        "/v1/sessions/user/a?except=x",
    ] {
        refused(server.request(Method::DELETE, bad).send().await.unwrap(), Code::InvalidId).await;
    }
}

#[tokio::test]
async fn f061_all_sessions_of_an_owner_end_at_once_but_the_excepted_one() {
    let server = TestServer::start().await;
    let kept = begin(&server, "alice", json!({})).await;
    let gone = [begin(&server, "alice", json!({})).await, begin(&server, "alice", json!({})).await];
    let path = format!("/v1/sessions/user/alice?except={}", id(&kept));
    let all = json(server.request(Method::DELETE, &path).send().await.unwrap(), 200).await;
    assert_eq!(all["revoked"], 2);
    assert_eq!(json(whoami(&server, token(&kept)).await, 200).await["owner"], "alice");
    for gone in gone {
        refused(whoami(&server, token(&gone)).await, Code::SessionInvalid).await;
    }
    let late =
        server.post("/v1/sessions", &json!({"kind": "user", "owner": "alice", "expect_epoch": 0})).await;
    refused(late, Code::OwnerEpochChanged).await;
    let timely = json!({"kind": "user", "owner": "alice", "expect_epoch": all["epoch"]});
    json(server.post("/v1/sessions", &timely).await, 201).await;
}

#[tokio::test]
async fn f062_lists_come_newest_first_in_pages() {
    let server = TestServer::start().await;
    let mut ids = Vec::new();
    for _ in 0..5 {
        let body = json!({"kind": "service", "owner": "batch"});
        let created = json(server.post("/v1/sessions", &body).await, 201).await;
        ids.insert(0, id(&created).to_owned());
        server.clock.advance(Duration::from_secs(1));
    }
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let page =
            json(server.get(&format!("/v1/sessions?kind=service&owner=batch&limit=2{cursor}")).await, 200)
                .await;
        seen.extend(
            page["items"]
                .as_array()
                .unwrap()
                .iter()
                .map(|one| one["session_id"].as_str().unwrap().to_owned()),
        );
        match page.get("next_cursor") {
            Some(next) => cursor = format!("&cursor={}", next.as_str().unwrap()),
            None => break,
        }
    }
    assert_eq!(seen, ids);
    let foreign = format!("/v1/sessions?kind=service&owner=other{cursor}");
    refused(server.get(&foreign).await, Code::InvalidCursor).await;
    refused(server.get("/v1/sessions?kind=service&owner=batch&limit=0").await, Code::OutOfRange).await;
    refused(server.get("/v1/sessions?kind=service").await, Code::OutOfRange).await;
    refused(server.get("/v1/sessions?kind=robot&owner=a").await, Code::InvalidEnum).await;
    refused(server.get("/v1/sessions?kind=user&owner=a&more=1").await, Code::UnknownField).await;
}

#[tokio::test]
async fn f063_metrics_are_for_admins() {
    let server = TestServer::start().await;
    let low = begin(&server, "alice", json!({})).await;
    let high = begin(&server, "alice", json!({"level": "admin"})).await;
    let requests = with(&server, Method::POST, "/v1/sessions/current/requests", token(&low));
    json(requests.send().await.unwrap(), 200).await;
    let path = "/v1/sessions/metrics?kind=user&owner=alice";
    let key = server.key(&["default"], &[Scope::SessionsRead]).await;
    let ask = async |token: Option<&str>| {
        let request = server.bare(Method::GET, path).bearer_auth(key.text.expose());
        token
            .map_or_else(
                || request.try_clone().unwrap(),
                |token| request.try_clone().unwrap().header("X-Session-Id", token),
            )
            .send()
            .await
            .unwrap()
    };
    refused(ask(None).await, Code::InsufficientLevel).await;
    refused(ask(Some(token(&low))).await, Code::InsufficientLevel).await;
    refused(ask(Some("nonsense")).await, Code::SessionInvalid).await;
    let expected = json!({"active_sessions": 2, "total_requests": 1, "level": "admin",
        "last_accessed_at": high["session"]["last_accessed_at"]});
    assert_eq!(json(ask(Some(token(&high))).await, 200).await, expected);
    assert_eq!(json(server.get(path).await, 200).await, expected, "a key with sessions:admin");
}

#[tokio::test]
async fn f064_live_sessions_are_counted_by_kind() {
    let server = TestServer::start().await;
    begin(&server, "a", json!({})).await;
    let node = json!({"kind": "node", "owner": "a"});
    json(server.post("/v1/sessions", &node).await, 201).await;
    assert_eq!(json(server.get("/v1/sessions/count").await, 200).await, json!({"active": 2}));
    assert_eq!(json(server.get("/v1/sessions/count?kind=node").await, 200).await, json!({"active": 1}));
    assert_eq!(json(server.get("/v1/sessions/count?kind=service").await, 200).await, json!({"active": 0}));
}

#[tokio::test]
async fn bad_creations_are_refused_with_the_place_and_the_reason() {
    let server = TestServer::start().await;
    let cases = [
        (json!({"kind": "user"}), Code::OutOfRange),
        (json!({"kind": "robot", "owner": "a"}), Code::InvalidEnum),
        (json!({"kind": "user", "owner": ""}), Code::InvalidId),
        (json!({"kind": "user", "owner": "a\nb"}), Code::InvalidId),
        (json!({"kind": "user", "owner": "x".repeat(201)}), Code::InvalidId),
        (json!({"kind": "user", "owner": "a", "channel_id": ""}), Code::InvalidId),
        (json!({"kind": "user", "owner": "a", "level": "root"}), Code::InvalidEnum),
        (json!({"kind": "user", "owner": "a", "platform": "tv"}), Code::InvalidEnum),
        (json!({"kind": "user", "owner": "a", "ttl": 0}), Code::InvalidDuration),
        (json!({"kind": "user", "owner": "a", "ttl": "25h"}), Code::OutOfRange),
        (json!({"kind": "user", "owner": "a", "ip": "somewhere"}), Code::OutOfRange),
        (json!({"kind": "user", "owner": "a", "user_agent": "x".repeat(513)}), Code::OutOfRange),
        (json!({"kind": "user", "owner": "a", "device": "x".repeat(201)}), Code::OutOfRange),
        (json!({"kind": "user", "owner": "a", "expect_epoch": "x"}), Code::InvalidNumber),
        (json!({"kind": "user", "owner": "a", "data": [1]}), Code::OutOfRange),
        (json!({"kind": "user", "owner": "a", "admin": true}), Code::UnknownField),
    ];
    for (body, code) in cases {
        let problem = refused(server.post("/v1/sessions", &body).await, code).await;
        assert!(!problem.members.errors.is_empty(), "{body}");
    }
    let large = json!({"kind": "user", "owner": "a", "data": {"x": "y".repeat(16 << 10)}});
    refused(server.post("/v1/sessions", &large).await, Code::ValueTooLarge).await;
    let nothing: Value = json(server.get("/v1/sessions/count").await, 200).await;
    assert_eq!(nothing["active"], 0, "nothing was made");
}

#[tokio::test]
async fn every_route_asks_for_a_key_and_its_scope() {
    let server = TestServer::start().await;
    let created = begin(&server, "alice", json!({})).await;
    let one = format!("/v1/sessions/user/alice/{}", id(&created));
    let routes = [
        (Method::POST, "/v1/sessions", Scope::SessionsWrite),
        (Method::GET, "/v1/sessions?kind=user&owner=alice", Scope::SessionsRead),
        (Method::GET, "/v1/sessions/count", Scope::SessionsRead),
        (Method::GET, "/v1/sessions/metrics?kind=user&owner=alice", Scope::SessionsRead),
        (Method::GET, CURRENT, Scope::SessionsRead),
        (Method::POST, "/v1/sessions/current/renew", Scope::SessionsWrite),
        (Method::PATCH, "/v1/sessions/current/data", Scope::SessionsWrite),
        (Method::POST, "/v1/sessions/current/requests", Scope::SessionsWrite),
        (Method::DELETE, CURRENT, Scope::SessionsWrite),
        (Method::DELETE, one.as_str(), Scope::SessionsWrite),
        (Method::DELETE, "/v1/sessions/user/alice", Scope::SessionsWrite),
    ];
    let (read, write) = (
        server.key(&["default"], &[Scope::SessionsRead]).await,
        server.key(&["default"], &[Scope::SessionsWrite]).await,
    );
    for (method, path, scope) in routes {
        let body = if path == "/v1/sessions" { json!({"kind": "user", "owner": "alice"}) } else { json!({}) };
        let request =
            || server.bare(method.clone(), path).header("X-Session-Id", token(&created)).json(&body);
        refused(request().send().await.unwrap(), Code::CredentialsMissing).await;
        let alone = request().header("Authorization", format!("Session {}", token(&created)));
        refused(alone.send().await.unwrap(), Code::CredentialsMissing).await;
        let other = if scope == Scope::SessionsRead { &write } else { &read };
        let problem = refused(
            request().bearer_auth(other.text.expose()).send().await.unwrap(),
            Code::InsufficientScope,
        )
        .await;
        assert_eq!(problem.members.scope.as_deref(), Some(scope.as_str()), "{method} {path}");
    }
    assert_eq!(
        json(whoami(&server, token(&created)).await, 200).await["owner"],
        "alice",
        "nothing was changed"
    );
}

#[tokio::test]
async fn another_namespace_sees_nothing() {
    let server = TestServer::start().await;
    let created = begin(&server, "alice", json!({})).await;
    let made = server.post("/v1/namespaces", &json!({"name": "other"})).await;
    assert!(made.status().is_success());
    let key = server.key(&["other"], &[Scope::SessionsAdmin]).await;
    let ask = async |method: Method, path: &str| {
        let request = server.bare(method, path).bearer_auth(key.text.expose());
        request.header("X-Session-Id", token(&created)).send().await.unwrap()
    };
    refused(ask(Method::GET, CURRENT).await, Code::SessionInvalid).await;
    assert_eq!(
        json(ask(Method::GET, "/v1/sessions?kind=user&owner=alice").await, 200).await,
        json!({"items": []})
    );
    let path = format!("/v1/sessions/user/alice/{}", id(&created));
    assert_eq!(json(ask(Method::DELETE, &path).await, 200).await, json!({"revoked": false}));
    assert_eq!(json(whoami(&server, token(&created)).await, 200).await["owner"], "alice");
}

#[tokio::test]
async fn f069_a_sixth_login_names_the_session_that_ended_for_it() {
    let server = TestServer::start().await;
    let first = begin(&server, "alice", json!({})).await;
    for _ in 0..4 {
        server.clock.advance(Duration::from_secs(1));
        assert_eq!(begin(&server, "alice", json!({})).await["evicted"], json!([]));
    }
    assert_eq!(begin(&server, "alice", json!({})).await["evicted"], json!([id(&first)]));
    refused(whoami(&server, token(&first)).await, Code::SessionInvalid).await;
}

#[tokio::test]
async fn f065_the_sweep_job_removes_expired_sessions() {
    let server = TestServer::start().await;
    begin(&server, "alice", json!({})).await;
    server.clock.advance(Duration::from_hours(1));
    let namespace = statehold_core::Namespace::new("default").unwrap();
    let store = server.hold.sessions(&namespace).await.unwrap();
    let swept = store.sweep(&Cx::new()).await.unwrap();
    assert_eq!((swept.sessions, swept.items), (1, 2));
}

#[tokio::test]
async fn sessions_are_counted_in_metrics_without_names() {
    let server = TestServer::start().await;
    let created = begin(&server, "metric-owner", json!({})).await;
    json(whoami(&server, token(&created)).await, 200).await;
    refused(whoami(&server, "nonsense").await, Code::SessionInvalid).await;
    with(&server, Method::DELETE, CURRENT, token(&created)).send().await.unwrap();
    let text = server.get("/metrics").await.text().await.unwrap();
    for line in [
        r#"statehold_sessions_created_total{kind="user"} 1"#,
        r#"statehold_sessions_ended_total{kind="user",reason="user"} 1"#,
        r#"statehold_session_validations_total{result="valid"} 1"#,
        r#"statehold_session_validations_total{result="invalid"} 1"#,
        r#"statehold_store_operations_total{store="sessions",operation="validate",outcome="denied"} 1"#,
        r#"statehold_store_operation_duration_seconds_count{store="sessions",operation="create"} 1"#,
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    }
    assert!(!text.contains("metric-owner") && !text.contains(id(&created)));
}
