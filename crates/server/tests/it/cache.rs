//! The cache over HTTP.

use std::time::Duration;

use reqwest::{Method, Response};
use serde_json::{Value, json as body};
use statehold_api::Code;
use statehold_journal::control::Scope;

use crate::harness::{TestServer, json, refused};

const K: &str = "/v1/cache/keys/k";

async fn send(server: &TestServer, method: Method, path: &str, value: &Value) -> Response {
    server.request(method, path).json(value).send().await.unwrap()
}

async fn put(server: &TestServer, path: &str, value: &Value) -> Response {
    send(server, Method::PUT, path, value).await
}

async fn bare(server: &TestServer, method: Method, path: &str) -> Response {
    server.request(method, path).send().await.unwrap()
}

fn header(response: &Response, name: &str) -> String {
    response.headers().get(name).map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default()
}

#[tokio::test]
async fn f001_an_entry_is_put_read_and_deleted() {
    let server = TestServer::start().await;
    refused(server.get(K).await, Code::KeyNotFound).await;
    assert_eq!(bare(&server, Method::HEAD, K).await.status(), 404);
    let response = put(&server, K, &body!({"value": {"a": [1, 2]}, "ttl": 60})).await;
    let etag = header(&response, "etag");
    let stored = json(response, 201).await;
    assert_eq!(etag, format!("\"r{}\"", stored["revision"].as_str().unwrap()));
    assert_eq!((&stored["stored"], stored["expires_at"].as_str().unwrap().len()), (&body!(true), 27));

    let response = server.get(K).await;
    assert_eq!(
        (header(&response, "etag"), header(&response, "statehold-ttl-ms")),
        (etag, "60000".to_owned())
    );
    let entry = json(response, 200).await;
    assert_eq!((&entry["value"], &entry["kind"]), (&body!({"a": [1, 2]}), &body!("json")));
    let head = bare(&server, Method::HEAD, K).await;
    assert_eq!((head.status().as_u16(), header(&head, "statehold-ttl-ms")), (200, "60000".to_owned()));

    json(put(&server, K, &body!({"value": 2})).await, 200).await;
    assert_eq!(json(bare(&server, Method::DELETE, K).await, 200).await, body!({"deleted": 1}));
    assert_eq!(json(bare(&server, Method::DELETE, K).await, 200).await, body!({"deleted": 0}));
}

#[tokio::test]
async fn f001_json_keeps_its_bytes_and_bytes_come_raw() {
    let server = TestServer::start().await;
    let text = r#"{"b" : 1.50,"a":[ ]}"#;
    let request = server.request(Method::PUT, K).header("content-type", "application/json");
    json(request.body(format!(r#"{{"value": {text} }}"#)).send().await.unwrap(), 201).await;
    assert!(server.get(K).await.text().await.unwrap().contains(text));
    let raw =
        |path: &'static str| server.request(Method::GET, path).header("accept", "application/octet-stream");
    assert_eq!(raw(K).send().await.unwrap().text().await.unwrap(), text);

    json(put(&server, K, &body!({"value_b64": "AP8K"})).await, 200).await;
    let entry = json(server.get(K).await, 200).await;
    assert_eq!(
        (&entry["value_b64"], &entry["kind"], entry.get("value")),
        (&body!("AP8K"), &body!("bytes"), None)
    );
    let response = raw(K).send().await.unwrap();
    assert_eq!(header(&response, "content-type"), "application/octet-stream");
    assert_eq!(response.bytes().await.unwrap(), &[0_u8, 255, 10][..]);
}

#[tokio::test]
async fn f002_bad_ttls_are_refused_and_change_nothing() {
    let server = TestServer::start().await;
    for ttl in ["0", "-1", "1.5", "\"soon\"", "\"1s 1s\"", "true", "\"3651d\""] {
        let request = server.request(Method::PUT, K).header("content-type", "application/json");
        let response = request.body(format!(r#"{{"value":1,"ttl":{ttl}}}"#)).send().await.unwrap();
        refused(response, Code::InvalidDuration).await;
    }
    refused(put(&server, K, &body!({"value": 1, "ttl": "none"})).await, Code::TtlRequired).await;
    refused(server.get(K).await, Code::KeyNotFound).await;
    json(put(&server, K, &body!({"value": 1})).await, 201).await;
    assert_eq!(header(&server.get(K).await, "statehold-ttl-ms"), "3600000");
    server.clock.advance(Duration::from_hours(1));
    refused(server.get(K).await, Code::KeyNotFound).await;
}

#[tokio::test]
async fn f003_a_deadline_is_changed_and_kept() {
    let server = TestServer::start().await;
    let patch = async |value: Value| send(&server, Method::PATCH, K, &value).await;
    refused(patch(body!({"ttl": 60})).await, Code::KeyNotFound).await;
    json(put(&server, K, &body!({"value": 1})).await, 201).await;
    let response = patch(body!({"ttl": "90s"})).await;
    assert_eq!(header(&response, "statehold-ttl-ms"), "90000");
    assert!(json(response, 200).await["expires_at"].is_string());
    json(put(&server, K, &body!({"value": 2, "keep_ttl": true})).await, 200).await;
    assert_eq!(header(&server.get(K).await, "statehold-ttl-ms"), "90000");
    refused(patch(body!({"persist": true})).await, Code::TtlRequired).await;
    for wrong in [body!({}), body!({"ttl": 1, "persist": true}), body!({"persist": false})] {
        refused(patch(wrong).await, Code::OutOfRange).await;
    }
}

#[tokio::test]
async fn f008_counters_count_and_refuse() {
    let server = TestServer::start().await;
    let path = "/v1/cache/keys/n/incr";
    let bodiless = json(bare(&server, Method::POST, path).await, 200).await;
    assert_eq!(bodiless["value"], 1);
    assert_eq!(json(server.post(path, &body!({"by": 4, "max": 5})).await, 200).await["value"], 5);
    assert_eq!(json(server.get("/v1/cache/keys/n").await, 200).await["kind"], "counter");
    refused(server.post(path, &body!({"max": 5})).await, Code::CounterBound).await;
    refused(server.post(path, &body!({"by": i64::MAX})).await, Code::CounterOverflow).await;
    refused(server.post(path, &body!({"by": 0})).await, Code::OutOfRange).await;
    refused(server.post(path, &body!({"min": 2, "max": 1})).await, Code::OutOfRange).await;
    refused(server.post(path, &body!({"by": 1.5})).await, Code::InvalidNumber).await;
    refused(server.post(path, &body!({"by": "1"})).await, Code::InvalidNumber).await;
    json(put(&server, K, &body!({"value": 1})).await, 201).await;
    refused(server.post("/v1/cache/keys/k/incr", &body!({})).await, Code::WrongType).await;
    let large =
        json(server.post("/v1/cache/keys/m/incr", &body!({"by": 9_007_199_254_740_993_i64})).await, 200);
    assert_eq!(large.await["value"], "9007199254740993");
    assert_eq!(json(server.get("/v1/cache/keys/n").await, 200).await["value"], 5);
}

#[tokio::test]
async fn f009_conditional_writes_say_why_they_did_not_happen() {
    let server = TestServer::start().await;
    refused(put(&server, K, &body!({"value": 1, "mode": "if_present"})).await, Code::KeyNotFound).await;
    let first = json(put(&server, K, &body!({"value": 1, "mode": "if_absent"})).await, 201).await;
    refused(put(&server, K, &body!({"value": 2, "mode": "if_absent"})).await, Code::Exists).await;
    let revision = first["revision"].as_str().unwrap();
    let second = json(put(&server, K, &body!({"value": 2, "if_revision": revision})).await, 200).await;
    let stale =
        refused(put(&server, K, &body!({"value": 3, "if_revision": revision})).await, Code::RevisionMismatch);
    assert_eq!(stale.await.members.current_revision.as_deref(), second["revision"].as_str());
    let matching = |method, tag: &str| server.request(method, K).header("if-match", tag.to_owned());
    let old = format!("\"r{revision}\"");
    refused(matching(Method::DELETE, &old).send().await.unwrap(), Code::RevisionMismatch).await;
    refused(matching(Method::DELETE, "*").send().await.unwrap(), Code::InvalidRevision).await;
    let differ = body!({"value": 3, "if_revision": second["revision"]});
    refused(matching(Method::PUT, &old).json(&differ).send().await.unwrap(), Code::InvalidRevision).await;
    refused(put(&server, K, &body!({"value": 1, "mode": "if_revision"})).await, Code::InvalidRevision).await;
    let both = body!({"value": 1, "mode": "any", "if_revision": revision});
    refused(put(&server, K, &both).await, Code::OutOfRange).await;
    let new = format!("\"r{}\"", second["revision"].as_str().unwrap());
    let deleted = json(matching(Method::DELETE, &new).send().await.unwrap(), 200).await;
    assert_eq!(deleted, body!({"deleted": 1}));
}

#[tokio::test]
async fn f010_a_batch_answers_each_operation_in_order() {
    let server = TestServer::start().await;
    json(put(&server, K, &body!({"value": "old"})).await, 201).await;
    let ops = body!({"ops": [
        {"op": "get", "key": "k"},
        {"op": "get", "key": "absent"},
        {"op": "set", "key": "k", "value": 1, "mode": "if_absent"},
        {"op": "set", "key": "a", "group": "g", "value": [1]},
        {"op": "incr", "key": "n", "group": "g", "by": 2},
        {"op": "incr", "key": "k"},
        {"op": "set", "key": "e", "value": 1, "ttl": "none"},
        {"op": "delete", "key": "a", "group": "g"},
        {"op": "get", "key": "n", "group": "g"},
        {"op": "set", "key": "x", "group": "h", "value": 1},
        {"op": "set", "key": "y", "group": "h", "value": 1, "mode": "if_present"},
    ]});
    let done = json(server.post("/v1/cache/batch", &ops).await, 200).await;
    let results = done["results"].as_array().unwrap();
    let status: Vec<_> = results.iter().map(|result| result["status"].as_u64().unwrap()).collect();
    assert_eq!(status, [200, 404, 409, 201, 200, 409, 422, 200, 200, 412, 404]);
    assert_eq!((&results[0]["value"], &results[4]["value"]), (&body!("old"), &body!(2)));
    assert_eq!((&results[2]["code"], &results[5]["code"]), (&body!("exists"), &body!("wrong_type")));
    assert_eq!((&results[7]["deleted"], &results[8]["kind"]), (&body!(1), &body!("counter")));
    assert_eq!(results[9]["failed_index"], 10);
}

#[tokio::test]
async fn f010_bad_batches_are_refused_whole() {
    let server = TestServer::start().await;
    let batch = |ops: Value| {
        let server = &server;
        async move { server.post("/v1/cache/batch", &body!({ "ops": ops })).await }
    };
    let many: Vec<_> = (0..1_001).map(|n| body!({"op": "get", "key": n.to_string()})).collect();
    refused(batch(body!(many)).await, Code::BatchTooLarge).await;
    assert_eq!(json(batch(body!(many[1..])).await, 200).await["results"].as_array().unwrap().len(), 1_000);
    let mistakes = body!([
        {"op": "set", "key": "good", "value": 1},
        {"op": "get", "key": "k", "value": 1},
        {"op": "set", "key": "", "value": 1},
        {"op": "set", "key": "k", "value_b64": "?"},
        {"op": "set", "key": "k"},
    ]);
    let problem = refused(batch(mistakes).await, Code::UnknownField).await;
    let found: Vec<_> = problem.members.errors.iter().map(|e| (e.path.as_str(), e.code)).collect();
    let expected = [
        ("ops[1]", Code::UnknownField),
        ("ops[2].key", Code::InvalidId),
        ("ops[3].value_b64", Code::InvalidBase64),
        ("ops[4].value", Code::OutOfRange),
    ];
    assert_eq!(found, expected);
    refused(batch(body!([{"op": "drop", "key": "k"}])).await, Code::InvalidEnum).await;
    refused(server.get("/v1/cache/keys/good").await, Code::KeyNotFound).await;
}

#[tokio::test]
async fn f011_a_group_commit_happens_whole_or_names_what_failed() {
    let server = TestServer::start().await;
    let path = "/v1/cache/groups/g/commit";
    let first = body!({
        "conditions": [{"key": "a", "exists": false}],
        "writes": [{"op": "set", "key": "a", "value": {"x": 1}}, {"op": "incr", "key": "n"}],
    });
    let done = json(server.post(path, &first).await, 200).await;
    let again = refused(server.post(path, &first).await, Code::RevisionMismatch).await;
    assert_eq!(again.members.failed_index, Some(0));
    assert_eq!(again.members.current_revision.as_deref(), done["revision"].as_str());
    let second = body!({
        "conditions": [{"key": "a", "revision": done["revision"]}, {"key": "a", "value": {"x": 2}}],
        "writes": [{"op": "delete", "key": "a"}],
    });
    assert_eq!(
        refused(server.post(path, &second).await, Code::RevisionMismatch).await.members.failed_index,
        Some(1)
    );
    assert_eq!(json(server.get("/v1/cache/keys/n?group=g").await, 200).await["value"], 1);
    refused(server.get("/v1/cache/keys/n").await, Code::KeyNotFound).await;

    let wrong_type = body!({"writes": [{"op": "set", "key": "b", "value": 1}, {"op": "incr", "key": "a"}]});
    refused(server.post(path, &wrong_type).await, Code::WrongType).await;
    refused(server.get("/v1/cache/keys/b?group=g").await, Code::KeyNotFound).await;
    let twice = body!({"writes": [{"op": "delete", "key": "a"}, {"op": "delete", "key": "a"}]});
    refused(server.post(path, &twice).await, Code::OutOfRange).await;
    refused(server.post(path, &body!({"writes": []})).await, Code::OutOfRange).await;
    let many: Vec<_> = (0..257).map(|n| body!({"op": "delete", "key": n.to_string()})).collect();
    refused(server.post(path, &body!({ "writes": many })).await, Code::BatchTooLarge).await;
    let vague = body!({"conditions": [{"key": "a"}], "writes": [{"op": "delete", "key": "a"}]});
    refused(server.post(path, &vague).await, Code::OutOfRange).await;
}

#[tokio::test]
async fn f031_names_are_percent_encoded_and_namespaces_apart() {
    let server = TestServer::start().await;
    let names = ["a%3Ab", "a%2Fb", "%7Ba%7D", "a", "%C3%A9", "a%20b"];
    for (number, name) in names.iter().enumerate() {
        json(put(&server, &format!("/v1/cache/keys/{name}"), &body!({ "value": number })).await, 201).await;
    }
    for (number, name) in names.iter().enumerate() {
        assert_eq!(json(server.get(&format!("/v1/cache/keys/{name}")).await, 200).await["value"], number);
    }
    json(server.post("/v1/namespaces", &body!({"name": "other"})).await, 201).await;
    let other = server.bare(Method::GET, "/v1/cache/keys/a").bearer_auth(&server.operator);
    refused(other.header("statehold-namespace", "other").send().await.unwrap(), Code::KeyNotFound).await;
    refused(server.get(&format!("/v1/cache/keys/{}", "x".repeat(201))).await, Code::InvalidId).await;
    refused(server.get("/v1/cache/keys/a%00b").await, Code::InvalidId).await;
    refused(server.get("/v1/cache/keys/a?group=").await, Code::InvalidId).await;
    refused(server.get("/v1/cache/keys/a?other=1").await, Code::UnknownField).await;
}

#[tokio::test]
async fn f032_large_values_and_bad_bodies_are_refused() {
    let server = TestServer::start().await;
    let large = "x".repeat(1 << 20);
    refused(put(&server, K, &body!({ "value": large })).await, Code::ValueTooLarge).await;
    refused(put(&server, K, &body!({ "value": large.repeat(2) })).await, Code::BodyTooLarge).await;
    for (wrong, code) in [
        (body!({}), Code::OutOfRange),
        (body!({"value": null}), Code::OutOfRange),
        (body!({"value": 1, "value_b64": "AA=="}), Code::OutOfRange),
        (body!({"value_b64": "A"}), Code::InvalidBase64),
        (body!({"value": 1, "mode": "maybe"}), Code::InvalidEnum),
        (body!({"value": 1, "if_revision": 7}), Code::InvalidRevision),
        (body!({"value": 1, "more": 1}), Code::UnknownField),
    ] {
        refused(put(&server, K, &wrong).await, code).await;
    }
    refused(server.get(K).await, Code::KeyNotFound).await;
}

#[tokio::test]
async fn scopes_of_the_cache_are_kept_apart() {
    let server = TestServer::start().await;
    let reader = server.key(&["default"], &[Scope::CacheRead]).await;
    let writer = server.key(&["default"], &[Scope::CacheWrite]).await;
    let (get, set) = (body!({"op": "get", "key": "k"}), body!({"op": "set", "key": "k", "value": 1}));
    let batch = body!({"ops": [get, set]});
    for (key, lacking) in [(&reader, "cache:write"), (&writer, "cache:read")] {
        let request =
            server.bare(Method::POST, "/v1/cache/batch").bearer_auth(key.text.expose()).json(&batch);
        let problem = refused(request.send().await.unwrap(), Code::InsufficientScope).await;
        assert_eq!(problem.members.scope.as_deref(), Some(lacking));
    }
    let delete = server.bare(Method::DELETE, K).bearer_auth(reader.text.expose());
    refused(delete.send().await.unwrap(), Code::InsufficientScope).await;
    let read = server.bare(Method::GET, K).bearer_auth(writer.text.expose());
    refused(read.send().await.unwrap(), Code::InsufficientScope).await;
}
