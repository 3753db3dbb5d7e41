//! Who may call: every refusal has its own code, and none tells more than it must.

use std::time::Duration;

use reqwest::{Method, Response};
use serde_json::json;
use statehold_api::Code;
use statehold_journal::control::Scope;

use crate::harness::{TestServer, json, refused};

async fn keys_as(server: &TestServer, authorization: &str) -> Response {
    server.bare(Method::GET, "/v1/keys").header("authorization", authorization).send().await.unwrap()
}

#[tokio::test]
async fn missing_and_wrong_keys_are_told_apart_and_no_further() {
    let server = TestServer::start().await;
    refused(server.bare(Method::GET, "/v1/keys").send().await.unwrap(), Code::CredentialsMissing).await;
    refused(keys_as(&server, "Basic dTpw").await, Code::CredentialsMissing).await;
    refused(keys_as(&server, "Bearer").await, Code::CredentialsMissing).await;
    let good = server.operator.clone();
    let (head, secret) = good.split_at("shk_0123456789abcdef".len());
    let secret = secret.strip_prefix('_').expect("shk_<id>_<secret>");
    let flipped = if secret.starts_with('A') { "B" } else { "A" };
    for wrong in [
        String::new(),
        "x".to_owned(),
        "shk_".to_owned(),
        format!("{head}_"),
        format!("shk_0000000000000000_{secret}"),
        format!("{head}_{flipped}{}", &secret[1..]),
        format!("{good}x"),
        "é".repeat(400),
    ] {
        let response = server
            .bare(Method::GET, "/v1/keys")
            .header("authorization", format!("Bearer {wrong}").as_bytes().to_vec())
            .send()
            .await
            .unwrap();
        let problem = crate::harness::problem(response).await;
        assert_eq!(problem.status, 401, "{wrong}");
    }
    json(keys_as(&server, &format!("bearer {good}")).await, 200).await;
}

#[tokio::test]
async fn a_key_ends_when_its_time_is_over_and_when_it_is_revoked() {
    let server = TestServer::start().await;
    let body = json!({"name": "short", "namespaces": ["default"], "scopes": ["ops:admin"], "ttl": "1h"});
    let made = json(server.post("/v1/keys", &body).await, 201).await;
    let (id, secret) = (made["key"]["id"].as_str().unwrap(), made["secret"].as_str().unwrap());
    let bearer = format!("Bearer {secret}");
    json(keys_as(&server, &bearer).await, 200).await;
    server.clock.advance(Duration::from_hours(1));
    refused(keys_as(&server, &bearer).await, Code::CredentialsExpired).await;

    let other = server.key(&["default"], &[Scope::OpsAdmin]).await;
    let bearer = format!("Bearer {}", other.text.expose());
    json(keys_as(&server, &bearer).await, 200).await;
    let path = format!("/v1/keys/{}", other.key.id);
    let revoked = json(server.request(Method::DELETE, &path).send().await.unwrap(), 200).await;
    assert_eq!(revoked, json!({"revoked": true}));
    refused(keys_as(&server, &bearer).await, Code::CredentialsInvalid).await;
    let again = json(server.request(Method::DELETE, &path).send().await.unwrap(), 200).await;
    assert_eq!(again, json!({"revoked": false}));
    let unknown = server.request(Method::DELETE, "/v1/keys/0123456789abcdef").send().await.unwrap();
    refused(unknown, Code::NotFound).await;
    assert_ne!(id, other.key.id.as_str());
}

#[tokio::test]
async fn scopes_are_asked_for_by_name() {
    let server = TestServer::start().await;
    let key = server.key(&["*"], &[Scope::OpsRead, Scope::CacheAdmin]).await;
    let response = keys_as(&server, &format!("Bearer {}", key.text.expose())).await;
    let problem = refused(response, Code::InsufficientScope).await;
    assert_eq!(problem.members.scope.as_deref(), Some("ops:admin"));
}

/// Every route of the document that asks for credentials, each with everything else about the request wrong too.
#[tokio::test]
async fn a_key_without_the_scope_learns_nothing_of_any_route() {
    let server = TestServer::start().await;
    let document: serde_json::Value = server.get("/v1/openapi.json").await.json().await.unwrap();
    let key = server.key(&["default"], &[Scope::HealthRead]).await;
    let mut asked = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let public = operation["security"].as_array().unwrap().iter().any(|way| *way == json!({}));
            if public {
                continue;
            }
            let method: Method = method.to_uppercase().parse().unwrap();
            let path = path.replace('{', "%ff").replace('}', "");
            let request = server.bare(method.clone(), &format!("{path}?nonsense=1"));
            let request = request.bearer_auth(key.text.expose()).header("content-type", "text/plain");
            let response = request.header("if-match", "nonsense").body("{").send().await.unwrap();
            let problem = crate::harness::problem(response).await;
            assert_eq!(problem.code, Code::InsufficientScope, "{method} {path}: {problem:?}");
            asked += 1;
        }
    }
    assert!(asked >= 30, "{asked} routes ask for credentials");
}

#[tokio::test]
async fn a_key_is_refused_from_other_networks_and_forwarded_addresses_are_believed_of_trusted_proxies_only() {
    let trusting = TestServer::with(|settings| {
        settings.server.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
    })
    .await;
    let doubting = TestServer::start().await;
    for (server, forwarded, allowed) in [
        (&trusting, "10.1.2.3", true),
        (&trusting, "10.1.2.3, 192.0.2.1", false),
        (&trusting, "192.0.2.1, 10.1.2.3", true),
        (&doubting, "10.1.2.3", false),
    ] {
        let key = server
            .key_with(&["*"], &[Scope::OpsAdmin], |new| {
                new.allowed_cidrs = vec!["10.0.0.0/8".parse().unwrap()];
            })
            .await;
        let request = server.bare(Method::GET, "/v1/keys").bearer_auth(key.text.expose());
        let response = request.header("x-forwarded-for", forwarded).send().await.unwrap();
        if allowed {
            json(response, 200).await;
        } else {
            refused(response, Code::AddressNotAllowed).await;
        }
    }
}

#[tokio::test]
async fn a_rotated_key_has_two_secrets_for_the_overlap() {
    let server = TestServer::start().await;
    let key = server.key(&["*"], &[Scope::OpsAdmin]).await;
    let path = format!("/v1/keys/{}/rotate", key.key.id);
    let rotated = json(server.post(&path, &json!({"overlap": "10m"})).await, 200).await;
    let (old, new) =
        (format!("Bearer {}", key.text.expose()), format!("Bearer {}", rotated["secret"].as_str().unwrap()));
    json(keys_as(&server, &old).await, 200).await;
    json(keys_as(&server, &new).await, 200).await;
    server.clock.advance(Duration::from_secs(601));
    refused(keys_as(&server, &old).await, Code::CredentialsInvalid).await;
    json(keys_as(&server, &new).await, 200).await;
    let bodiless = server.request(Method::POST, &path).send().await.unwrap();
    json(bodiless, 200).await;
}

#[tokio::test]
async fn secrets_are_shown_once_and_never_cached() {
    let server = TestServer::start().await;
    let body = json!({"name": "once", "namespaces": ["*"], "scopes": ["metrics:read"]});
    let response = server.post("/v1/keys", &body).await;
    assert_eq!(response.headers()["cache-control"], "no-store");
    let made = json(response, 201).await;
    let secret = made["secret"].as_str().unwrap();
    assert!(secret.starts_with("shk_"));
    let listed = json(server.get("/v1/keys?limit=100").await, 200).await.to_string();
    assert!(listed.contains("\"once\""));
    let hidden = &secret["shk_0123456789abcdef_".len()..];
    assert!(!listed.contains(hidden) && !listed.contains("hash"), "{listed}");
}

#[tokio::test]
async fn f149_an_address_that_fails_again_and_again_waits_whoever_it_says_it_is() {
    let server = TestServer::start().await;
    let mut codes = Vec::new();
    for guess in 0..301 {
        let request = server.bare(Method::GET, "/v1/keys").bearer_auth("shk_guess");
        let claimed = format!("198.51.{}.{}", guess / 256, guess % 256);
        let request =
            request.header("x-forwarded-for", &claimed).header("forwarded", format!("for={claimed}"));
        let request = request.header("x-real-ip", &claimed).header("x-user-id", guess.to_string());
        codes.push(crate::harness::problem(request.send().await.unwrap()).await);
    }
    let last = codes.pop().unwrap();
    assert!(codes.iter().all(|problem| problem.code == Code::CredentialsInvalid));
    assert_eq!((last.code, last.members.policy.as_deref()), (Code::TooManyAttempts, Some("login_ip")));
    assert!(last.members.retry_after_ms.is_some_and(|millis| (1..=60_000).contains(&millis)), "{last:?}");
    json(server.get("/v1/keys").await, 200).await;
    server.clock.advance(Duration::from_secs(61));
    refused(keys_as(&server, "Bearer shk_guess").await, Code::CredentialsInvalid).await;
}

#[tokio::test]
async fn a_key_reaches_its_own_namespaces_and_no_others() {
    let server = TestServer::start().await;
    json(server.post("/v1/namespaces", &json!({"name": "shop"})).await, 201).await;
    let shop = server.key(&["shop"], &[Scope::SessionsRead]).await;
    let ask = |key: &str, namespace: Option<&str>| {
        let request = server.bare(Method::GET, "/v1/sessions?kind=user&owner=ada").bearer_auth(key);
        namespace
            .map(|name| request.try_clone().unwrap().header("statehold-namespace", name))
            .unwrap_or(request)
            .send()
    };
    json(ask(shop.text.expose(), None).await.unwrap(), 200).await;
    json(ask(shop.text.expose(), Some("shop")).await.unwrap(), 200).await;
    refused(ask(shop.text.expose(), Some("default")).await.unwrap(), Code::NamespaceForbidden).await;
    refused(ask(&server.operator, None).await.unwrap(), Code::NamespaceRequired).await;
    refused(ask(&server.operator, Some("nowhere")).await.unwrap(), Code::NamespaceForbidden).await;
    refused(ask(&server.operator, Some("No Where")).await.unwrap(), Code::InvalidId).await;
    let delete = server.request(Method::DELETE, "/v1/namespaces/shop?confirm=shop");
    json(delete.send().await.unwrap(), 200).await;
    refused(ask(shop.text.expose(), None).await.unwrap(), Code::NamespaceForbidden).await;
}
