//! Connections are bounded in number and in time.

use std::net::SocketAddr;
use std::time::Duration;

use statehold::config::{TlsSettings, TlsVersion};
use statehold_server::{Server, Settings, StartError, TlsError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::harness::{PATIENCE, TestServer};

/// A bound that tests wait for.
const SHORT: Duration = Duration::from_millis(300);

/// Sends bytes in pieces and reads until the server closes or answers in full.
pub(crate) async fn exchange(address: SocketAddr, pieces: &[&[u8]]) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    for piece in pieces {
        stream.write_all(piece).await.unwrap();
    }
    until_closed_or_idle(&mut stream).await
}

async fn until_closed_or_idle(stream: &mut TcpStream) -> String {
    let mut reply = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        match tokio::time::timeout(Duration::from_secs(2), stream.read(&mut chunk)).await {
            Ok(Ok(0) | Err(_)) | Err(_) => break,
            Ok(Ok(count)) => reply.extend_from_slice(&chunk[..count]),
        }
    }
    String::from_utf8_lossy(&reply).into_owned()
}

/// Whether the server closes the connection before patience ends.
async fn is_closed(stream: &mut TcpStream) -> bool {
    let mut rest = Vec::new();
    tokio::time::timeout(PATIENCE, stream.read_to_end(&mut rest)).await.is_ok()
}

#[tokio::test]
async fn a_slow_client_is_cut_off_whatever_it_has_sent() {
    let server = TestServer::with(|settings| settings.header_timeout = SHORT).await;
    for sent in
        [&b""[..], b"G", b"PRI * HT", b"GET /v1/keys HTTP/1.1\r\n", b"GET / HTTP/1.1\r\nHost: x\r\nA: b"]
    {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        stream.write_all(sent).await.unwrap();
        assert!(is_closed(&mut stream).await, "{:?}", String::from_utf8_lossy(sent));
    }
}

#[tokio::test]
async fn an_idle_connection_is_closed_and_a_busy_one_kept() {
    let server = TestServer::with(|settings| settings.header_timeout = SHORT).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    for _ in 0..4 {
        stream.write_all(b"GET /v1/keys HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        let mut reply = [0; 2048];
        let count = stream.read(&mut reply).await.unwrap();
        assert!(reply[..count].starts_with(b"HTTP/1.1 401 "));
        tokio::time::sleep(SHORT / 2).await;
    }
    assert!(is_closed(&mut stream).await);
}

#[tokio::test]
async fn beyond_the_bound_connections_wait_and_are_served_when_a_place_is_free() {
    let server = TestServer::with(|settings| settings.server.max_connections = 2).await;
    let held = [
        TcpStream::connect(server.address).await.unwrap(),
        TcpStream::connect(server.address).await.unwrap(),
    ];
    for stream in &held {
        stream.writable().await.unwrap();
    }
    let mut third = TcpStream::connect(server.address).await.unwrap();
    third.write_all(b"GET /v1/keys HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let mut byte = [0; 1];
    let waited = tokio::time::timeout(SHORT, third.read(&mut byte)).await;
    assert!(waited.is_err(), "the third connection has no place");
    drop(held);
    tokio::time::timeout(PATIENCE, third.read_exact(&mut byte)).await.expect("a place is free").unwrap();
    assert_eq!(&byte, b"H");
}

#[tokio::test]
async fn a_request_that_takes_too_long_is_answered_busy() {
    let server = TestServer::with(|settings| settings.server.request_timeout = SHORT).await;
    let head = format!(
        "POST /v1/namespaces HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\n\
         Content-Length: 20\r\n\r\n{{",
        server.operator
    );
    let reply = exchange(server.address, &[head.as_bytes()]).await;
    assert!(reply.starts_with("HTTP/1.1 503 "), "{reply}");
    assert!(reply.contains("\"busy\"") && reply.contains("retry-after"), "{reply}");
}

/// A certificate authority with a certificate for localhost, as files.
fn certificates(directory: &std::path::Path) -> (TlsSettings, rcgen::Certificate) {
    use std::os::unix::fs::PermissionsExt;
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let (cert_file, key_file) = (directory.join("cert.pem"), directory.join("key.pem"));
    std::fs::write(&cert_file, made.cert.pem()).unwrap();
    std::fs::write(&key_file, made.signing_key.serialize_pem()).unwrap();
    std::fs::set_permissions(&key_file, std::fs::Permissions::from_mode(0o600)).unwrap();
    (TlsSettings { cert_file, key_file, client_ca_file: None, min_version: TlsVersion::V1_2 }, made.cert)
}

fn trusting(certificate: &rcgen::Certificate, address: SocketAddr) -> reqwest::Client {
    let root = reqwest::Certificate::from_der(certificate.der()).unwrap();
    reqwest::Client::builder().tls_certs_only([root]).resolve("localhost", address).build().unwrap()
}

#[tokio::test]
async fn f297_tls_serves_both_versions_of_http_and_nothing_in_the_clear() {
    let directory = tempfile::tempdir().unwrap();
    let (tls, certificate) = certificates(directory.path());
    let server = TestServer::with(|settings| {
        settings.server.tls = Some(tls);
        settings.handshake_timeout = SHORT;
    })
    .await;
    let url = format!("https://localhost:{}/v1/openapi.json", server.address.port());
    let reply = trusting(&certificate, server.address).get(&url).send().await.unwrap();
    assert_eq!(reply.status(), 200);
    let in_the_clear = exchange(server.address, &[b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"]).await;
    assert!(!in_the_clear.contains("HTTP/1.1"), "{in_the_clear}");
    let mut silent = TcpStream::connect(server.address).await.unwrap();
    assert!(is_closed(&mut silent).await, "a handshake that never comes");
}

#[tokio::test]
async fn a_certificate_is_read_again_on_demand_and_a_bad_one_changes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let (tls, first) = certificates(directory.path());
    let server = TestServer::with(|settings| settings.server.tls = Some(tls.clone())).await;
    let url = format!("https://localhost:{}/v1/openapi.json", server.address.port());
    std::fs::write(&tls.cert_file, "no certificate").unwrap();
    server.remote.reload_tls().expect_err("not PEM");
    trusting(&first, server.address).get(&url).send().await.expect("the first one stays");
    let (_, second) = certificates(directory.path());
    server.remote.reload_tls().unwrap();
    trusting(&second, server.address).get(&url).send().await.expect("the second one serves");
    trusting(&first, server.address).get(&url).send().await.expect_err("the first one is gone");
}

#[tokio::test]
async fn http_2_is_spoken_in_the_clear_to_those_who_know() {
    let server = TestServer::start().await;
    let client = reqwest::Client::builder().http2_prior_knowledge().build().unwrap();
    let reply = client.get(format!("http://{}/v1/openapi.json", server.address)).send().await.unwrap();
    assert_eq!((reply.status().as_u16(), reply.version()), (200, reqwest::Version::HTTP_2));
}

#[tokio::test]
async fn clients_must_show_a_certificate_where_an_authority_is_configured() {
    let directory = tempfile::tempdir().unwrap();
    let (mut tls, certificate) = certificates(directory.path());
    let authority_key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let authority = params.self_signed(&authority_key).unwrap();
    let client_ca_file = directory.path().join("ca.pem");
    std::fs::write(&client_ca_file, authority.pem()).unwrap();
    tls.client_ca_file = Some(client_ca_file);
    let server = TestServer::with(|settings| settings.server.tls = Some(tls)).await;
    let url = format!("https://localhost:{}/v1/openapi.json", server.address.port());
    trusting(&certificate, server.address).get(&url).send().await.expect_err("no certificate");

    let key = rcgen::KeyPair::generate().unwrap();
    let issuer = rcgen::Issuer::new(params, authority_key);
    let signed =
        rcgen::CertificateParams::new(vec!["client".to_owned()]).unwrap().signed_by(&key, &issuer).unwrap();
    let identity = format!("{}{}", signed.pem(), key.serialize_pem());
    let client = reqwest::Client::builder()
        .tls_certs_only([reqwest::Certificate::from_der(certificate.der()).unwrap()])
        .identity(reqwest::Identity::from_pem(identity.as_bytes()).unwrap())
        .resolve("localhost", server.address)
        .build()
        .unwrap();
    assert_eq!(client.get(&url).send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn a_server_does_not_start_with_a_key_that_others_may_read_or_an_address_that_is_taken() {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().unwrap();
    let (tls, _) = certificates(directory.path());
    std::fs::set_permissions(&tls.key_file, std::fs::Permissions::from_mode(0o644)).unwrap();
    let server = TestServer::start().await;
    let mut settings = Settings::from(&*server.hold.config());
    settings.server.listen = vec![server.address];
    let taken = Server::bind(server.hold.clone(), None, settings.clone()).await;
    assert!(matches!(taken, Err(StartError::Listen(address, _)) if address == server.address));
    settings.server.tls = Some(tls);
    let open = Server::bind(server.hold.clone(), None, settings).await;
    assert!(matches!(open, Err(StartError::Tls(TlsError::TooOpen(_)))));
}
