//! Every reply can be found again by its correlation id.

use std::sync::{Arc, Mutex};

use reqwest::Method;
use statehold::config::HealthDetail;
use statehold_api::Code;
use statehold_journal::control::Scope;

use crate::harness::{TestServer, problem, refused};

#[tokio::test]
async fn f275_a_legal_correlation_id_is_kept_and_another_replaced() {
    let server = TestServer::start().await;
    let sent = |id: &'static str| server.bare(Method::GET, "/v1/keys").header("x-correlation-id", id).send();
    let kept = problem(sent("order-7.A_b").await.unwrap()).await;
    assert_eq!(kept.correlation_id, "order-7.A_b");
    for bad in ["a b", "x/y", "", "0123456789012345678901234567890123456789012345678901234567890123x"] {
        let response = sent(bad).await.unwrap();
        let id = response.headers()["x-correlation-id"].to_str().unwrap().to_owned();
        assert_ne!(id, bad);
        assert!(!id.is_empty());
        assert_eq!(problem(response).await.correlation_id, id);
    }
    let fine = server.get("/v1/keys").await;
    assert_eq!(fine.status(), 200);
    assert!(fine.headers().contains_key("x-correlation-id"));
}

#[tokio::test]
async fn browsers_of_listed_origins_alone_may_read() {
    let server =
        TestServer::with(|settings| settings.server.cors_origins = vec!["https://app.example".into()]).await;
    let asked = |origin: &'static str| {
        server
            .bare(Method::OPTIONS, "/v1/keys")
            .header("origin", origin)
            .header("access-control-request-method", "POST")
            .send()
    };
    let allowed = asked("https://app.example").await.unwrap();
    assert_eq!(allowed.headers()["access-control-allow-origin"], "https://app.example");
    let other = asked("https://app.example.evil").await.unwrap();
    assert!(!other.headers().contains_key("access-control-allow-origin"));
    let plain = TestServer::start().await;
    let reply =
        plain.request(Method::GET, "/v1/keys").header("origin", "https://app.example").send().await.unwrap();
    assert!(!reply.headers().contains_key("access-control-allow-origin"));
}

#[tokio::test]
async fn f273_metrics_are_prometheus_text_for_those_who_may_read_them() {
    let server = TestServer::start().await;
    server.get("/v1/keys").await;
    let other = server.key(&["*"], &[Scope::OpsAdmin]).await;
    let denied = server.bare(Method::GET, "/metrics").bearer_auth(other.text.expose()).send().await.unwrap();
    refused(denied, Code::InsufficientScope).await;
    let reply = server.get("/metrics").await;
    assert_eq!(reply.headers()["content-type"], "text/plain; version=0.0.4; charset=utf-8");
    let text = reply.text().await.unwrap();
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (series, value) = line.rsplit_once(' ').expect(line);
        assert!(value.parse::<f64>().is_ok(), "{line}");
        let name = series.split('{').next().unwrap();
        assert!(name.starts_with("statehold_"), "{line}");
        assert!(name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_'), "{line}");
    }
    let counted = "statehold_http_requests_total{method=\"GET\",route=\"/v1/keys\",status_class=\"2xx\"}";
    assert!(text.lines().any(|line| line.starts_with(counted)), "{text}");
}

#[tokio::test]
async fn f279_paths_and_methods_of_any_kind_add_no_series() {
    let server = TestServer::start().await;
    let routes = async || {
        let text = server.get("/metrics").await.text().await.unwrap();
        let series = text.lines().filter(|line| line.starts_with("statehold_http_requests_total{"));
        series.filter(|line| line.contains("unmatched") || line.contains("/v1/keys/{id}")).count()
    };
    let shoot = async |round: u32| {
        let delete = server.request(Method::DELETE, &format!("/v1/keys/{round:016x}"));
        assert_eq!(delete.send().await.unwrap().status(), 404);
        let odd: Method = format!("M{round}").parse().unwrap();
        assert_eq!(server.request(odd, &format!("/nowhere/{round}")).send().await.unwrap().status(), 404);
    };
    shoot(0).await;
    let before = routes().await;
    for round in 1..200 {
        shoot(round).await;
    }
    assert_eq!(routes().await, before);
}

#[tokio::test]
async fn the_ops_listener_serves_operators_alone_and_openly_where_configured() {
    let server = TestServer::configured(
        |config| {
            config.metrics.public = true;
            config.health.detail = HealthDetail::Always;
        },
        |settings| settings.server.ops_listen = vec![([127, 0, 0, 1], 0).into()],
    )
    .await;
    let ops = server.ops_address.unwrap();
    let get = |path: &str| server.client.get(format!("http://{ops}{path}")).send();
    assert_eq!(get("/metrics").await.unwrap().status(), 200);
    let report: serde_json::Value = get("/health").await.unwrap().json().await.unwrap();
    assert!(report["checks"].is_object());
    refused(get("/v1/keys").await.unwrap(), Code::RouteNotFound).await;
    let plain = server.bare(Method::GET, "/metrics").send().await.unwrap();
    refused(plain, Code::CredentialsMissing).await;
}

/// What was logged, for one test to read. Each test has a process of its own.
#[derive(Clone, Default)]
struct Captured(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn f275_the_log_follows_a_request_by_its_id_and_holds_no_credentials() {
    let captured = Captured::default();
    let writer = captured.clone();
    tracing_subscriber::fmt()
        .json()
        .with_max_level(tracing_subscriber::filter::LevelFilter::TRACE)
        .with_writer(move || writer.clone())
        .init();
    let server = TestServer::start().await;
    let (operator, wrong) = (server.operator.clone(), "shk_0123456789abcdef_hunter2");
    let asked = server.request(Method::DELETE, "/v1/keys/feedfeedfeedfeed?x=private");
    asked.header("x-correlation-id", "follow.me-1").send().await.unwrap();
    let guess = server.bare(Method::GET, "/v1/keys").bearer_auth(wrong);
    guess.header("x-correlation-id", "follow.me-2").send().await.unwrap();
    assert!(server.stopped().await);
    let text = String::from_utf8(captured.0.lock().unwrap().clone()).unwrap();
    let lines: Vec<serde_json::Value> =
        text.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    let of = |id: &str| {
        lines
            .iter()
            .find(|line| line["fields"]["event"] == "request_served" && line["span"]["correlation_id"] == id)
            .unwrap_or_else(|| panic!("nothing about {id}"))
    };
    let (first, second) = (of("follow.me-1"), of("follow.me-2"));
    assert_eq!(first["fields"]["route"], "/v1/keys/{id}");
    assert!(first["fields"]["duration_ms"].is_f64(), "{first}");
    assert_eq!(second["fields"]["error_code"], "credentials_invalid");
    let secret = &operator["shk_0123456789abcdef_".len()..];
    for hidden in [secret, "hunter2", "private", "feedfeedfeedfeed"] {
        assert!(!text.contains(hidden), "{hidden} is in the log");
    }
}

#[tokio::test]
async fn f268_f269_hits_misses_and_outcomes_are_counted_as_they_happened() {
    let server = TestServer::start().await;
    let put = server.request(reqwest::Method::PUT, "/v1/cache/keys/a").json(&serde_json::json!({"value": 1}));
    assert_eq!(put.send().await.unwrap().status().as_u16(), 201);
    for (key, status, times) in [("a", 200, 3), ("b", 404, 2)] {
        for _ in 0..times {
            let read = server.get(&format!("/v1/cache/keys/{key}")).await;
            assert_eq!(read.status().as_u16(), status);
        }
    }
    let text = server.get("/metrics").await.text().await.unwrap();
    for line in [
        r#"statehold_cache_requests_total{result="hit"} 3"#,
        r#"statehold_cache_requests_total{result="miss"} 2"#,
        r#"statehold_store_operations_total{store="cache",operation="get",outcome="ok"} 3"#,
        r#"statehold_store_operations_total{store="cache",operation="get",outcome="absent"} 2"#,
        r#"statehold_store_operation_duration_seconds_count{store="cache",operation="get"} 5"#,
    ] {
        assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
    }
}
