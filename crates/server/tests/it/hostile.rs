//! Whatever is sent, the answer is a reply of ours and never a fault of ours.

use std::fmt::Write as _;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use reqwest::Method;
use serde_json::Value;

use crate::harness::{TestServer, problem};

fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,40}".prop_map(Value::from),
        prop::sample::select(vec!["default", "*", "cache:read", "1h", "0", "10.0.0.0/8", "\u{0}", "../.."])
            .prop_map(Value::from),
    ];
    let name = prop_oneof![
        prop::sample::select(vec!["name", "namespaces", "scopes", "ttl", "allowed_cidrs", "overlap"])
            .prop_map(str::to_owned),
        ".{0,10}",
    ];
    leaf.prop_recursive(4, 24, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::hash_map(name.clone(), inner, 0..5)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

#[derive(Clone, Debug)]
struct Shot {
    path: String,
    method: Method,
    body: Vec<u8>,
    json: bool,
}

fn shot(templates: Vec<(String, Method)>) -> impl Strategy<Value = Shot> {
    let body = prop_oneof![
        json().prop_map(|value| value.to_string().into_bytes()),
        prop::collection::vec(any::<u8>(), 0..200),
    ];
    let id = prop_oneof![
        "[a-z0-9]{1,16}",
        ".{1,60}",
        prop::collection::vec(any::<u8>(), 1..40)
            .prop_map(|bytes| { String::from_utf8_lossy(&bytes).into_owned() })
    ];
    let query = prop_oneof![Just(String::new()), "(limit|cursor|confirm|kind|owner|group|x)=[ -~]{0,30}"];
    (prop::sample::select(templates), prop::collection::vec(id, 4), query, body, prop::bool::weighted(0.9))
        .prop_map(|((template, method), ids, query, body, json)| {
            let mut ids = ids.into_iter();
            let path: Vec<String> = template
                .split('/')
                .map(|part| {
                    if part.starts_with('{') { encoded(&ids.next().unwrap_or_default()) } else { part.into() }
                })
                .collect();
            let query = if query.is_empty() {
                query
            } else {
                format!("?{}", query.replace(' ', "%20").replace('#', ""))
            };
            Shot { path: path.join("/") + &query, method, body, json }
        })
}

fn encoded(id: &str) -> String {
    let mut text = String::new();
    for byte in id.bytes() {
        write!(text, "%{byte:02x}").expect("writing to a string");
    }
    text
}

#[test]
fn f295_f298_hostile_requests_are_answered_and_never_a_fault() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let server = runtime.block_on(TestServer::start());
    let document: Value =
        runtime.block_on(async { server.get("/v1/openapi.json").await.json().await.unwrap() });
    let mut templates = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in item.as_object().unwrap().keys() {
            templates.push((path.clone(), method.to_uppercase().parse::<Method>().unwrap()));
        }
    }
    let mut runner = TestRunner::new(Config { cases: 400, ..Config::default() });
    runner
        .run(&shot(templates), |shot| {
            let mut request = server.request(shot.method.clone(), &shot.path).body(shot.body.clone());
            if shot.json {
                request = request.header("content-type", "application/json");
            }
            runtime.block_on(async {
                let response =
                    request.send().await.map_err(|error| TestCaseError::fail(error.to_string()))?;
                let status = response.status().as_u16();
                prop_assert!(status < 500, "{status} for {shot:?}");
                if status >= 400 {
                    problem(response).await;
                }
                Ok(())
            })
        })
        .unwrap();
}
