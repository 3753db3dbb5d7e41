//! A stop cuts nothing that has begun, and a second one waits for nothing.

use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::harness::{PATIENCE, TestServer, json};

/// A request whose body is still on its way, and the rest of it.
async fn in_flight(server: &TestServer) -> (TcpStream, &'static [u8]) {
    let head = format!(
        "POST /v1/namespaces HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\n\
         Content-Length: 15\r\nExpect: 100-continue\r\n\r\n",
        server.operator
    );
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    // The server says `100 Continue` when the route reads the body: from then on the request is in flight.
    let mut reply = [0; 25];
    tokio::time::timeout(PATIENCE, stream.read_exact(&mut reply)).await.unwrap().unwrap();
    assert_eq!(&reply, b"HTTP/1.1 100 Continue\r\n\r\n");
    (stream, br#"{"name":"late"}"#)
}

#[tokio::test]
async fn f287_a_request_in_flight_is_answered_and_a_new_one_is_not_taken() {
    let server = TestServer::start().await;
    let (mut stream, rest) = in_flight(&server).await;
    server.remote.stop();
    // Listeners are closed once a new connection is refused or dropped.
    let refused = async {
        loop {
            let Ok(mut new) = TcpStream::connect(server.address).await else { return };
            let mut byte = [0; 1];
            if matches!(new.read(&mut byte).await, Ok(0) | Err(_)) {
                return;
            }
        }
    };
    tokio::time::timeout(PATIENCE, refused).await.expect("new connections are refused");
    stream.write_all(rest).await.unwrap();
    let mut reply = String::new();
    tokio::time::timeout(PATIENCE, stream.read_to_string(&mut reply)).await.unwrap().unwrap();
    assert!(reply.starts_with("HTTP/1.1 201 Created"), "{reply}");
    assert!(server.ended().await, "everything was finished");
}

#[tokio::test]
async fn f287_a_second_stop_waits_for_nothing() {
    let server = TestServer::start().await;
    let (mut stream, _) = in_flight(&server).await;
    server.remote.stop();
    tokio::task::yield_now().await;
    server.remote.stop();
    let mut reply = Vec::new();
    let _ =
        tokio::time::timeout(PATIENCE, stream.read_to_end(&mut reply)).await.expect("the connection is cut");
    assert!(!server.ended().await, "something was cut");
}

#[tokio::test]
async fn f287_the_grace_is_bounded() {
    let server =
        TestServer::with(|settings| settings.server.shutdown_grace = Duration::from_millis(200)).await;
    let _held = in_flight(&server).await;
    assert!(!server.stopped().await);
}

#[tokio::test]
async fn an_idle_server_stops_at_once() {
    let server = TestServer::start().await;
    json(server.post("/v1/namespaces", &json!({"name": "kept-alive"})).await, 201).await;
    assert!(server.stopped().await);
}
