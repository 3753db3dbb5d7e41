//! What is not understood is refused with its code and place, and changes nothing.

use reqwest::Method;
use serde_json::json;
use statehold_api::Code;

use crate::harness::{TestServer, json, refused};

#[tokio::test]
async fn bad_bodies_have_their_code_and_place() {
    let server = TestServer::start().await;
    let before = json(server.get("/v1/keys").await, 200).await;
    let deep = format!("{{\"name\":{}1{}}}", "[".repeat(64), "]".repeat(64));
    for (body, code, path) in [
        ("", Code::MalformedJson, None),
        ("{", Code::MalformedJson, None),
        ("{\"name\":\"a\",}", Code::MalformedJson, None),
        (deep.as_str(), Code::MalformedJson, None),
        ("[]", Code::OutOfRange, Some("")),
        ("{}", Code::OutOfRange, Some("")),
        (r#"{"name":"a","namespaces":["x"],"scopes":[],"admin":true}"#, Code::UnknownField, Some("admin")),
        (r#"{"name":1,"namespaces":["x"],"scopes":[]}"#, Code::OutOfRange, Some("name")),
        (
            r#"{"name":"a","namespaces":["X"],"scopes":["cache:read"]}"#,
            Code::InvalidId,
            Some("namespaces[0]"),
        ),
        (r#"{"name":"a","namespaces":["x"],"scopes":["cache:all"]}"#, Code::InvalidEnum, Some("scopes[0]")),
        (
            r#"{"name":"a","namespaces":["x"],"scopes":["cache:read"],"ttl":0}"#,
            Code::InvalidDuration,
            Some("ttl"),
        ),
        (
            r#"{"name":"a","namespaces":["x"],"scopes":["cache:read"],"ttl":"soon"}"#,
            Code::InvalidDuration,
            Some("ttl"),
        ),
        (
            r#"{"name":"a","namespaces":["x"],"scopes":["cache:read"],"allowed_cidrs":["10.0.0.0/8","x"]}"#,
            Code::OutOfRange,
            Some("allowed_cidrs[1]"),
        ),
    ] {
        let request = server.request(Method::POST, "/v1/keys").header("content-type", "application/json");
        let problem = refused(request.body(body.to_owned()).send().await.unwrap(), code).await;
        assert_eq!(
            problem.members.errors.first().map(|error| error.path.as_str()),
            path,
            "{body}: {problem:?}"
        );
    }
    assert_eq!(json(server.get("/v1/keys").await, 200).await, before);
}

#[tokio::test]
async fn every_mistake_of_a_list_is_told_at_once() {
    let server = TestServer::start().await;
    let body = json!({"name": "a", "namespaces": ["ok", "No"], "scopes": ["x", "cache:read", "y"]});
    let problem = refused(server.post("/v1/keys", &body).await, Code::InvalidId).await;
    let paths: Vec<_> = problem.members.errors.iter().map(|error| error.path.as_str()).collect();
    assert_eq!(paths, ["namespaces[1]", "scopes[0]", "scopes[2]"]);
    for (body, code, expected) in [
        (
            json!({"kind": "user", "owner": "", "ip": "x", "channel_id": ""}),
            Code::InvalidId,
            &["owner", "channel_id", "ip"][..],
        ),
        (
            json!({"kind": "user", "owner": "a", "ttl": 0, "level": "god", "more": 1}),
            Code::InvalidEnum,
            &["level", "more", "ttl"],
        ),
    ] {
        let problem = refused(server.post("/v1/sessions", &body).await, code).await;
        let paths: Vec<_> = problem.members.errors.iter().map(|error| error.path.as_str()).collect();
        assert_eq!(paths, expected, "{body}");
    }
    let none = json(server.get("/v1/sessions/count").await, 200).await;
    assert_eq!(none, json!({"active": 0}));
}

#[tokio::test]
async fn bodies_of_another_media_type_or_size_are_refused() {
    let server = TestServer::with(|settings| settings.server.body_limit = 1024).await;
    let post = || server.request(Method::POST, "/v1/namespaces");
    for media in ["text/plain", "application/x-www-form-urlencoded", "application/jsonx", ""] {
        let request = post().header("content-type", media).body(r#"{"name":"a"}"#);
        refused(request.send().await.unwrap(), Code::UnsupportedMediaType).await;
    }
    refused(post().body(r#"{"name":"a"}"#).send().await.unwrap(), Code::UnsupportedMediaType).await;
    let with_charset =
        post().header("content-type", "application/json; charset=utf-8").body(r#"{"name":"a"}"#);
    json(with_charset.send().await.unwrap(), 201).await;
    let large = format!(r#"{{"name":"{}"}}"#, "a".repeat(1024));
    let request = post().header("content-type", "application/json").body(large.clone());
    refused(request.send().await.unwrap(), Code::BodyTooLarge).await;
}

#[tokio::test]
async fn a_body_of_unannounced_length_is_bounded_too() {
    let server = TestServer::with(|settings| settings.server.body_limit = 1024).await;
    let chunk = "a".repeat(700);
    let head = format!(
        "POST /v1/namespaces HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\n\
         Transfer-Encoding: chunked\r\n\r\n",
        server.operator
    );
    let body = format!("2bc\r\n{chunk}\r\n2bc\r\n{chunk}\r\n0\r\n\r\n");
    let reply = crate::connections::exchange(server.address, &[head.as_bytes(), body.as_bytes()]).await;
    assert!(reply.starts_with("HTTP/1.1 413 "), "{reply}");
    assert!(reply.contains("body_too_large"), "{reply}");
}

#[tokio::test]
async fn queries_are_strict() {
    let server = TestServer::start().await;
    for (query, code, path) in [
        ("limit=0", Code::OutOfRange, "limit"),
        ("limit=101", Code::OutOfRange, "limit"),
        ("limit=-1", Code::OutOfRange, "limit"),
        ("limit=ten", Code::InvalidNumber, "limit"),
        ("limit=1&limit=2", Code::OutOfRange, "limit"),
        ("page=2", Code::UnknownField, "page"),
        ("cursor=bm90IG91cnM", Code::InvalidCursor, "cursor"),
        ("cursor=%00", Code::InvalidCursor, "cursor"),
        ("token=x", Code::TokenInQuery, ""),
        ("x=shk_0_1", Code::TokenInQuery, ""),
    ] {
        let problem = refused(server.get(&format!("/v1/keys?{query}")).await, code).await;
        assert_eq!(problem.members.errors[0].path, path, "{query}");
    }
}

#[tokio::test]
async fn cursors_join_pages_and_belong_to_one_query() {
    let server = TestServer::start().await;
    for name in ["a", "b", "c"] {
        json(server.post("/v1/namespaces", &json!({ "name": name })).await, 201).await;
    }
    let first = json(server.get("/v1/namespaces?limit=2").await, 200).await;
    let cursor = first["next_cursor"].as_str().unwrap();
    let second = json(server.get(&format!("/v1/namespaces?limit=2&cursor={cursor}")).await, 200).await;
    let names = |page: &serde_json::Value| -> Vec<String> {
        page["items"].as_array().unwrap().iter().map(|row| row["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(
        (names(&first), names(&second)),
        (vec!["a".into(), "b".into()], vec!["c".into(), "default".into()])
    );
    assert_eq!(second.get("next_cursor"), None);
    refused(server.get(&format!("/v1/keys?cursor={cursor}")).await, Code::InvalidCursor).await;
}

#[tokio::test]
async fn unknown_paths_and_methods_say_so() {
    let server = TestServer::start().await;
    for path in ["/", "/v1", "/v1/nothing", "/v1/keys/", "/v2/keys"] {
        let problem = refused(server.get(path).await, Code::RouteNotFound).await;
        assert_eq!(problem.instance, path);
    }
    let response = server.request(Method::PATCH, "/v1/keys").send().await.unwrap();
    let mut allowed: Vec<_> =
        response.headers()["allow"].to_str().unwrap().split(',').map(|name| name.trim().to_owned()).collect();
    allowed.sort();
    assert_eq!(allowed, ["GET", "HEAD", "POST"]);
    refused(response, Code::MethodNotAllowed).await;
    refused(server.request(Method::DELETE, "/v1/keys/%ff").send().await.unwrap(), Code::InvalidId).await;
}
