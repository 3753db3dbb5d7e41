//! Namespaces and jobs, as an operator meets them.

use reqwest::Method;
use serde_json::json;
use statehold_api::Code;
use statehold_journal::control::Scope;

use crate::harness::{PATIENCE, TestServer, json, refused};

#[tokio::test]
async fn a_namespace_is_made_once_and_deleted_with_its_name_repeated() {
    let server = TestServer::start().await;
    let made = json(server.post("/v1/namespaces", &json!({"name": "shop"})).await, 201).await;
    assert_eq!(made["name"], "shop");
    refused(server.post("/v1/namespaces", &json!({"name": "shop"})).await, Code::Exists).await;
    refused(server.post("/v1/namespaces", &json!({"name": "Shop"})).await, Code::InvalidId).await;
    let delete = |query: &'static str| server.request(Method::DELETE, query).send();
    refused(delete("/v1/namespaces/shop").await.unwrap(), Code::OutOfRange).await;
    refused(delete("/v1/namespaces/shop?confirm=shp").await.unwrap(), Code::OutOfRange).await;
    refused(delete("/v1/namespaces/gone?confirm=gone").await.unwrap(), Code::NotFound).await;
    let deleted = json(delete("/v1/namespaces/shop?confirm=shop").await.unwrap(), 200).await;
    assert!(deleted["deleted_at"].is_string());
}

#[tokio::test]
async fn f259_health_is_a_word_for_everyone_and_a_report_for_those_who_may() {
    let server = TestServer::start().await;
    for path in
        ["/health", "/health/live", "/healthz/live", "/health/ready", "/healthz/ready", "/health/startup"]
    {
        let word = json(server.bare(Method::GET, path).send().await.unwrap(), 200).await;
        assert_eq!(word, json!({"status": "Healthy"}), "{path}");
        let head = server.bare(Method::HEAD, path).send().await.unwrap();
        assert_eq!((head.status().as_u16(), head.bytes().await.unwrap().len()), (200, 0), "{path}");
    }
    let report = json(server.get("/health/ready").await, 200).await;
    assert_eq!(report["checks"]["redisStores"]["data"]["redis.configured"], false, "{report}");
    let other = server.key(&["default"], &[Scope::CacheRead]).await;
    let short = server.bare(Method::GET, "/health").bearer_auth(other.text.expose()).send().await.unwrap();
    assert_eq!(json(short, 200).await, json!({"status": "Healthy"}));
    let wrong = server.bare(Method::GET, "/health").bearer_auth("shk_x").send().await.unwrap();
    refused(wrong, Code::CredentialsInvalid).await;
}

#[tokio::test]
async fn f287_readiness_says_no_at_once_when_a_stop_begins_and_work_goes_on_meanwhile() {
    let server = TestServer::with(|settings| settings.server.drain_delay = PATIENCE).await;
    json(server.bare(Method::GET, "/health/ready").send().await.unwrap(), 200).await;
    server.remote.stop();
    let draining = async {
        while server.bare(Method::GET, "/health/ready").send().await.unwrap().status() != 503 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, draining).await.expect("readiness says no");
    let word = json(server.bare(Method::GET, "/health/ready").send().await.unwrap(), 503).await;
    assert_eq!(word, json!({"status": "Unhealthy"}));
    json(server.bare(Method::GET, "/health/live").send().await.unwrap(), 200).await;
    json(server.post("/v1/namespaces", &json!({"name": "still"})).await, 201).await;
    server.remote.stop();
    server.ended().await;
}

#[tokio::test]
async fn status_and_jobs_tell_what_runs() {
    let server = TestServer::start().await;
    let status = json(server.get("/v1/status").await, 200).await;
    assert_eq!(
        (status["profile"].as_str(), status["namespace_count"].as_u64()),
        (Some("development"), Some(1))
    );
    let home =
        json!({"engine": "main", "kind": "embedded", "durable": true, "distributed": false, "state": "ok"});
    assert_eq!(status["stores"], json!({"sessions": home, "cache": home, "limits": home}));
    let jobs = json(server.get("/v1/jobs").await, 200).await;
    assert!(jobs["items"].as_array().unwrap().iter().any(|job| job["job"] == "sweep"), "{jobs}");
    let run = json(server.request(Method::POST, "/v1/jobs/sweep/runs").send().await.unwrap(), 200).await;
    assert!(run["runs"].as_u64() >= Some(1), "{run}");
    let last = json(server.get("/v1/jobs/sweep/runs").await, 200).await;
    assert_eq!(last["items"][0]["runs"], run["runs"]);
    refused(server.get("/v1/jobs/nothing/runs").await, Code::NotFound).await;
    let reader = server.key(&["*"], &[Scope::OpsRead]).await;
    let bearer =
        |method: Method, path: &str| server.bare(method, path).bearer_auth(reader.text.expose()).send();
    json(bearer(Method::GET, "/v1/status").await.unwrap(), 200).await;
    refused(bearer(Method::POST, "/v1/jobs/sweep/runs").await.unwrap(), Code::InsufficientScope).await;
}
