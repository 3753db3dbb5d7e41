//! Traces as a collector receives them: a real collector on loopback, a real server, real requests.

use std::collections::HashMap;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as AnyValue;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;
use reqwest::Method;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::mpsc::{Receiver, Sender, channel};

use crate::served::Served;

/// The `SpanKind` of the protocol.
const SERVER: i32 = 2;

/// A collector: what it was sent, span by span.
struct Collector {
    endpoint: String,
    spans: Receiver<Span>,
}

impl Collector {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let endpoint = format!("http://{}", listener.local_addr().expect("an address"));
        let (sender, spans) = channel(4_096);
        let routes = Router::new().route("/v1/traces", post(take)).with_state(Arc::new(sender));
        tokio::spawn(async move { axum::serve(listener, routes).await });
        Self { endpoint, spans }
    }

    /// What has come; ask when the server has stopped, and so has sent all it had.
    fn all(&mut self) -> Vec<Span> {
        std::iter::from_fn(|| self.spans.try_recv().ok()).collect()
    }
}

async fn take(State(spans): State<Arc<Sender<Span>>>, headers: HeaderMap, body: Bytes) -> StatusCode {
    if headers["content-type"] != "application/x-protobuf" {
        return StatusCode::UNSUPPORTED_MEDIA_TYPE;
    }
    let Ok(request) = ExportTraceServiceRequest::decode(body) else { return StatusCode::BAD_REQUEST };
    for span in request.resource_spans.into_iter().flat_map(|of| of.scope_spans).flat_map(|of| of.spans) {
        spans.send(span).await.expect("the test listens");
    }
    StatusCode::OK
}

fn tracing_to(endpoint: &str, ratio: &str) -> impl FnOnce(&mut Command) {
    let (endpoint, ratio) = (endpoint.to_owned(), ratio.to_owned());
    move |command| {
        command.env("STATEHOLD_TRACE__ENDPOINT", endpoint).env("STATEHOLD_TRACE__SAMPLE_RATIO", ratio);
        // What is traced does not depend on what is printed.
        command.env("STATEHOLD_LOG__LEVEL", "warn,statehold_server=debug");
        command.env("STATEHOLD_LOG__FORMAT", "json");
    }
}

fn attributes(span: &Span) -> HashMap<&str, String> {
    let text = |value: &AnyValue| match value {
        AnyValue::StringValue(text) => text.clone(),
        AnyValue::IntValue(number) => number.to_string(),
        other => format!("{other:?}"),
    };
    let pair = |pair: &'_ opentelemetry_proto::tonic::common::v1::KeyValue| {
        pair.value.as_ref().and_then(|value| value.value.as_ref()).map(text).unwrap_or_default()
    };
    span.attributes.iter().map(|one| (one.key.as_str(), pair(one))).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}

/// Puts a cache item as a caller with this trace context.
async fn put(served: &Served, key: &str, value: &str, parent: Option<&str>) -> u16 {
    let body = json!({ "value": value });
    let mut request = served.request(Method::PUT, &format!("/v1/cache/keys/{key}")).json(&body);
    if let Some(parent) = parent {
        request = request.header("traceparent", parent).header("tracestate", "caller=1");
    }
    request.send().await.expect("an answer").status().as_u16()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f274_spans_of_http_store_and_engine_are_linked_under_the_callers_trace() {
    let directory = tempfile::tempdir().unwrap();
    let mut collector = Collector::start().await;
    let log = std::fs::File::create(directory.path().join("log")).unwrap();
    let endpoint = tracing_to(&collector.endpoint, "0");
    let served = Served::start_with(directory.path(), |command| {
        endpoint(command);
        command.stderr(Stdio::from(log));
    })
    .await;
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let sampled = format!("00-{trace}-00f067aa0ba902b7-01");
    let unsampled = "00-11111111111111111111111111111111-00f067aa0ba902b7-00";
    assert!(put(&served, "planted-key", "planted-value", None).await < 300);
    assert!(put(&served, "planted-key", "planted-value", Some(unsampled)).await < 300);
    assert!(put(&served, "planted-key", "planted-value", Some(&sampled)).await < 300);
    let secret = served.key.clone();
    assert_eq!(served.stop(), 0);

    let spans = collector.all();
    assert!(
        spans.iter().all(|span| hex(&span.trace_id) == trace),
        "only what the caller samples: {spans:#?}"
    );
    let request = spans.iter().find(|span| span.kind == SERVER).expect("the request's span");
    assert_eq!(request.name, "PUT /v1/cache/keys/{key}");
    assert_eq!(hex(&request.parent_span_id), "00f067aa0ba902b7");
    assert_eq!(request.trace_state, "caller=1");
    let said = attributes(request);
    assert_eq!((&*said["http.request.method"], &*said["http.route"]), ("PUT", "/v1/cache/keys/{key}"));
    assert!(said["http.response.status_code"].starts_with('2'));
    assert_eq!(said["namespace"], "default");

    let store = spans.iter().find(|span| span.name.starts_with("cache.")).expect("the store's span");
    assert_eq!(store.parent_span_id, request.span_id);
    let said = attributes(store);
    assert_eq!((&*said["store"], &*said["outcome"]), ("cache", "ok"));

    let engine = spans.iter().find(|span| span.name == "main.commit").expect("the engine's span");
    assert_eq!(engine.parent_span_id, store.span_id);
    let said = attributes(engine);
    assert_eq!((&*said["engine"], &*said["kind"], &*said["outcome"]), ("main", "embedded", "ok"));

    let told = format!("{spans:?}");
    for planted in ["planted-key", "planted-value", secret.as_str()] {
        assert!(!told.contains(planted), "{planted} was told");
    }
    let log = std::fs::read_to_string(directory.path().join("log")).unwrap();
    let line = log.lines().find(|line| line.contains("request_served") && line.contains(trace));
    assert!(line.is_some_and(|line| line.contains(&format!("\"trace_id\":\"{trace}\""))), "{log}");
    assert!(!log.contains("otel."), "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn roots_are_sampled_by_the_ratio() {
    let directory = tempfile::tempdir().unwrap();
    let mut collector = Collector::start().await;
    let served = Served::start_with(directory.path(), tracing_to(&collector.endpoint, "1")).await;
    assert!(put(&served, "a", "b", None).await < 300);
    assert_eq!(served.stop(), 0);
    let spans = collector.all();
    let request = spans.iter().find(|span| span.name.starts_with("PUT ")).expect("the request's span");
    assert!(request.parent_span_id.is_empty());
    let linked = |span: &&Span| span.trace_id == request.trace_id;
    assert!(spans.iter().filter(linked).count() >= 3, "{spans:#?}");
}

/// Waits until metrics say that spans were lost.
async fn until_dropped(served: &Served) {
    for _ in 0..200 {
        let page = served.get("/metrics").await.text().await.expect("metrics");
        let counted = page.lines().find_map(|line| line.strip_prefix("statehold_trace_dropped_total "));
        if counted.is_some_and(|count| count != "0") {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("lost spans were not counted");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_that_is_down_or_hangs_harms_no_request_and_no_stop() {
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    // It accepts connections, by its backlog, and never answers.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    for address in [closed, silent.local_addr().unwrap()] {
        let directory = tempfile::tempdir().unwrap();
        let served =
            Served::start_with(directory.path(), tracing_to(&format!("http://{address}"), "1")).await;
        for _ in 0..20 {
            let answered = tokio::time::timeout(Duration::from_secs(10), put(&served, "a", "b", None)).await;
            assert!(answered.expect("no request waits for the collector") < 300);
        }
        if address == closed {
            until_dropped(&served).await;
        }
        assert_eq!(served.stop(), 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_an_endpoint_the_callers_trace_is_still_logged() {
    let directory = tempfile::tempdir().unwrap();
    let log = std::fs::File::create(directory.path().join("log")).unwrap();
    let served = Served::start_with(directory.path(), |command| {
        command.env("STATEHOLD_LOG__LEVEL", "debug").env("STATEHOLD_LOG__FORMAT", "json");
        command.stderr(Stdio::from(log));
    })
    .await;
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    assert!(put(&served, "a", "b", Some(&format!("00-{trace}-00f067aa0ba902b7-01"))).await < 300);
    assert_eq!(served.stop(), 0);
    let log = std::fs::read_to_string(directory.path().join("log")).unwrap();
    assert!(log.contains(&format!("\"trace_id\":\"{trace}\"")), "{log}");
}
