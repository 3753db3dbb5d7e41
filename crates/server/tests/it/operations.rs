//! Namespaces and jobs, as an operator meets them.

use reqwest::Method;
use serde_json::json;
use statehold_api::Code;

use crate::harness::{TestServer, json, refused};

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
