//! The OpenAPI document is the truth about the routes, and the routes keep to it.

use reqwest::Method;
use serde_json::Value;
use statehold_api::Code;

use crate::harness::{TestServer, json, problem, refused};

/// Routes that answer without credentials.
const PUBLIC: [&str; 8] = [
    "/health",
    "/health/live",
    "/health/ready",
    "/health/startup",
    "/healthz/live",
    "/healthz/ready",
    "/healthz/startup",
    "/v1/openapi.json",
];

async fn document(server: &TestServer) -> Value {
    json(server.bare(Method::GET, "/v1/openapi.json").send().await.unwrap(), 200).await
}

fn operations(document: &Value) -> Vec<(String, Method, &Value)> {
    let mut found = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            found.push((path.clone(), method.to_uppercase().parse().unwrap(), operation));
        }
    }
    found
}

/// A path with something in place of its parameters.
fn concrete(template: &str) -> String {
    template
        .split('/')
        .map(|part| if part.starts_with('{') { "x" } else { part })
        .collect::<Vec<_>>()
        .join("/")
}

#[tokio::test]
async fn the_document_is_what_was_agreed() {
    let server = TestServer::start().await;
    let mut document = document(&server).await;
    document["info"]["version"] = "[version]".into();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    insta::assert_json_snapshot!(document);
}

#[tokio::test]
async fn every_route_asks_for_credentials_unless_it_is_public() {
    let server = TestServer::start().await;
    let document = document(&server).await;
    for (path, method, operation) in operations(&document) {
        let public = operation["security"].as_array().unwrap().contains(&serde_json::json!({}));
        assert_eq!(public, PUBLIC.contains(&path.as_str()), "{method} {path}");
        let response = server.bare(method.clone(), &concrete(&path)).send().await.unwrap();
        if public {
            assert!(response.status() != 401, "{method} {path}");
        } else {
            assert_eq!(problem(response).await.code, Code::CredentialsMissing, "{method} {path}");
        }
    }
}

#[tokio::test]
async fn every_route_is_described_with_its_errors() {
    let server = TestServer::start().await;
    let document = document(&server).await;
    for (path, method, operation) in operations(&document) {
        let responses = operation["responses"].as_object().unwrap();
        assert!(responses.keys().any(|status| status.starts_with('2')), "{method} {path}");
        assert!(operation["summary"].is_string() || operation["description"].is_string(), "{method} {path}");
        for (status, response) in responses.iter().filter(|(status, _)| status.as_str() >= "400") {
            // Health that is not well is told in the shape of health.
            if path.starts_with("/health") && status == "503" {
                continue;
            }
            let schema = &response["content"]["application/problem+json"]["schema"]["$ref"];
            assert_eq!(schema, "#/components/schemas/ProblemBody", "{method} {path} {status}");
        }
    }
}

#[tokio::test]
async fn the_document_can_be_switched_off() {
    let server = TestServer::with(|settings| settings.server.openapi = false).await;
    let response = server.bare(Method::GET, "/v1/openapi.json").send().await.unwrap();
    refused(response, Code::RouteNotFound).await;
}

#[tokio::test]
async fn operation_ids_are_unique() {
    let server = TestServer::start().await;
    let document = document(&server).await;
    let mut seen = std::collections::HashSet::new();
    for (path, method, operation) in operations(&document) {
        assert!(seen.insert(operation["operationId"].as_str().unwrap()), "{method} {path}");
    }
}
