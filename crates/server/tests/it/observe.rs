//! Every reply can be found again by its correlation id.

use reqwest::Method;

use crate::harness::{TestServer, problem};

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
