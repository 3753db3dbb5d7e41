//! The limits over HTTP.

use std::time::Duration;

use reqwest::{Method, Response};
use serde_json::json as body;
use statehold_api::Code;
use statehold_journal::control::Scope;

use crate::harness::{TestServer, json, problem, refused};

fn header(response: &Response, name: &str) -> String {
    response.headers().get(name).map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f139_of_61_checks_at_once_60_are_allowed() {
    let server = std::sync::Arc::new(TestServer::start().await);
    let checks: Vec<_> = (0..61)
        .map(|_| {
            let server = std::sync::Arc::clone(&server);
            tokio::spawn(async move {
                let response = server.post("/v1/limits/session/check", &body!({"subject": "s"})).await;
                json(response, 200).await["allowed"].as_bool().unwrap()
            })
        })
        .collect();
    let mut allowed = 0;
    for check in checks {
        allowed += u32::from(check.await.unwrap());
    }
    assert_eq!(allowed, 60);
    let classed = body!({"subject": "s", "class": "sync", "cost": 600});
    assert_eq!(json(server.post("/v1/limits/session/check", &classed).await, 200).await["limit"], 600);
}

#[tokio::test]
async fn f147_a_denial_says_when_to_come_back_and_then_passes() {
    let server = TestServer::start().await;
    let enforced = "/v1/limits/login/check?enforce=true";
    let asked = body!({"subject": "s"});
    for left in (0..5).rev() {
        let response = server.post(enforced, &asked).await;
        assert_eq!(header(&response, "ratelimit-policy"), "\"login\";q=5;w=60");
        assert_eq!(header(&response, "ratelimit"), format!("\"login\";r={left};t=60"));
        let verdict = json(response, 200).await;
        assert_eq!((&verdict["allowed"], &verdict["remaining"]), (&body!(true), &body!(left)));
        assert_eq!((&verdict["degraded"], verdict.get("retry_after_ms")), (&body!(false), None));
    }
    server.clock.advance(Duration::from_millis(500));
    let response = server.post(enforced, &asked).await;
    assert_eq!((header(&response, "retry-after"), response.status().as_u16()), ("60".to_owned(), 429));
    assert_eq!(header(&response, "ratelimit"), "\"login\";r=0;t=60");
    let denied = problem(response).await;
    assert_eq!((denied.code, denied.members.policy.as_deref()), (Code::RateLimited, Some("login")));
    assert_eq!(denied.members.retry_after_ms, Some(59_500));
    let told = json(server.post("/v1/limits/login/check", &asked).await, 200).await;
    assert_eq!((&told["allowed"], &told["retry_after_ms"]), (&body!(false), &body!(59_500)));
    server.clock.advance(Duration::from_millis(59_500));
    json(server.post(enforced, &asked).await, 200).await;
}

#[tokio::test]
async fn several_policies_are_decided_together_and_a_denial_takes_from_none() {
    let server = TestServer::start().await;
    let asked = body!({"subject": "s", "policies": ["api", {"policy": "reset", "cost": 2}]});
    let first = json(server.post("/v1/limits/check", &asked).await, 200).await;
    assert_eq!((&first["allowed"], &first["results"][1]["remaining"]), (&body!(true), &body!(1)));
    let denied = json(server.post("/v1/limits/check", &asked).await, 200).await;
    assert_eq!(denied["allowed"], false);
    assert!(denied["retry_after_ms"].as_u64().unwrap() > 0);
    assert_eq!(
        (&denied["results"][0]["policy"], &denied["results"][0]["allowed"]),
        (&body!("api"), &body!(true))
    );
    assert_eq!(json(server.get("/v1/limits/api/s").await, 200).await["remaining"], 99);

    let check = |policies| body!({"subject": "s", "policies": policies});
    let nine: Vec<_> = (0..9).map(|n| n.to_string()).collect();
    for policies in [body!([]), body!(nine), body!(["api", "api"])] {
        refused(server.post("/v1/limits/check", &check(policies)).await, Code::OutOfRange).await;
    }
    refused(server.post("/v1/limits/check", &check(body!(["api", "none"]))).await, Code::PolicyNotFound)
        .await;
}

#[tokio::test]
async fn a_limit_is_peeked_and_reset() {
    let server = TestServer::start().await;
    let path = "/v1/limits/api/a%2Fb";
    for _ in 0..3 {
        json(server.post("/v1/limits/api/check", &body!({"subject": "a/b"})).await, 200).await;
    }
    for _ in 0..2 {
        assert_eq!(json(server.get(path).await, 200).await["remaining"], 97);
    }
    assert_eq!(json(server.get(&format!("{path}?class=bulk")).await, 200).await["remaining"], 1_000);
    let reset = async || json(server.request(Method::DELETE, path).send().await.unwrap(), 200).await;
    assert_eq!(reset().await, body!({"reset": true}));
    assert_eq!(reset().await, body!({"reset": false}));
    assert_eq!(json(server.get(path).await, 200).await["remaining"], 100);
}

#[tokio::test]
async fn policies_are_listed_in_pages() {
    let server = TestServer::start().await;
    let page = json(server.get("/v1/limits?limit=4").await, 200).await;
    let names: Vec<_> =
        page["items"].as_array().unwrap().iter().map(|p| p["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["api", "endpoint", "login", "login_ip"]);
    let api = body!({"name": "api", "algorithm": "sliding", "limit": 100, "window": 60, "on_unavailable": "open",
        "classes": {"bulk": {"limit": 1000, "window": 60}}, "shadow": false});
    assert_eq!(page["items"][0], api);
    let next = format!("/v1/limits?cursor={}", page["next_cursor"].as_str().unwrap());
    assert_eq!(json(server.get(&next).await, 200).await["items"].as_array().unwrap().len(), 2);
    refused(server.get("/v1/limits?cursor=AAAA").await, Code::InvalidCursor).await;
}

#[tokio::test]
async fn what_is_not_understood_is_refused() {
    let server = TestServer::start().await;
    let path = "/v1/limits/login/check";
    for (wrong, code) in [
        (body!({}), Code::OutOfRange),
        (body!({"subject": ""}), Code::InvalidId),
        (body!({"subject": "s", "cost": 0}), Code::OutOfRange),
        (body!({"subject": "s", "cost": 6}), Code::OutOfRange),
        (body!({"subject": "s", "cost": -1}), Code::OutOfRange),
        (body!({"subject": "s", "cost": "1"}), Code::InvalidNumber),
        (body!({"subject": "s", "more": 1}), Code::UnknownField),
        (body!({"subject": "s", "class": "none"}), Code::PolicyNotFound),
    ] {
        refused(server.post(path, &wrong).await, code).await;
    }
    let asked = body!({"subject": "s"});
    refused(server.post("/v1/limits/none/check", &asked).await, Code::PolicyNotFound).await;
    refused(server.post(&format!("{path}?enforce=1"), &asked).await, Code::InvalidEnum).await;
    assert_eq!(json(server.get("/v1/limits/login/s").await, 200).await["remaining"], 5);
}

#[tokio::test]
async fn scopes_of_the_limits_are_kept_apart() {
    let server = TestServer::start().await;
    let key = server.key(&["default"], &[Scope::LimitsRead]).await;
    let with = |method, path: &str| server.bare(method, path).bearer_auth(key.text.expose());
    let check = with(Method::POST, "/v1/limits/api/check").json(&body!({"subject": "s"}));
    let lacking = refused(check.send().await.unwrap(), Code::InsufficientScope).await;
    assert_eq!(lacking.members.scope.as_deref(), Some("limits:write"));
    let reset =
        refused(with(Method::DELETE, "/v1/limits/api/s").send().await.unwrap(), Code::InsufficientScope);
    assert_eq!(reset.await.members.scope.as_deref(), Some("limits:admin"));
    json(with(Method::GET, "/v1/limits/api/s").send().await.unwrap(), 200).await;
}

#[tokio::test]
async fn f143_an_applied_policy_counts_every_request_of_a_key() {
    let server = TestServer::configured(|config| config.limits.apply = vec!["api".to_owned()], |_| {}).await;
    for left in (0..100).rev() {
        let response = server.get("/v1/cache/keys/absent").await;
        assert_eq!(header(&response, "ratelimit-policy"), "\"api\";q=100;w=60");
        assert_eq!(header(&response, "ratelimit"), format!("\"api\";r={left};t=60"));
        assert_eq!(response.status(), 404);
    }
    let denied = server.get("/v1/cache/keys/absent").await;
    assert_eq!((denied.status().as_u16(), header(&denied, "retry-after")), (429, "60".to_owned()));
    assert_eq!(header(&denied, "ratelimit"), "\"api\";r=0;t=60");
    let denied = problem(denied).await;
    assert_eq!((denied.code, denied.members.policy.as_deref()), (Code::RateLimited, Some("api")));
    let other = server.key(&["default"], &[Scope::CacheRead]).await;
    let other =
        server.bare(Method::GET, "/v1/cache/keys/absent").bearer_auth(other.text.expose()).send().await;
    assert_eq!(other.unwrap().status(), 404, "another key has an account of its own");
    server.clock.advance(Duration::from_mins(1));
    assert_eq!(server.get("/v1/cache/keys/absent").await.status(), 404);
}

#[tokio::test]
async fn f141_two_endpoints_do_not_share_the_window() {
    let server =
        TestServer::configured(|config| config.limits.apply = vec!["endpoint".to_owned()], |_| {}).await;
    for _ in 0..100 {
        assert_eq!(server.get("/v1/cache/keys/a").await.status(), 404);
    }
    assert_eq!(
        server.get("/v1/cache/keys/b").await.status(),
        429,
        "the route is the endpoint, not the key in it"
    );
    assert_eq!(server.get("/v1/limits").await.status(), 200);
}
