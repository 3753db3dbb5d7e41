//! A new user's first minutes, exactly as the README has them.

use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::served::{Served, document, statehold};

fn mode(path: &std::path::Path) -> u32 {
    std::fs::metadata(path).expect("the file is there").permissions().mode() & 0o777
}

#[tokio::test]
async fn serve_makes_its_directory_and_one_operator_key() {
    let directory = tempfile::tempdir().expect("a directory");
    let served = Served::start(directory.path()).await;
    assert_eq!(mode(&served.data), 0o700);
    for file in ["operator.key", "state.db", "records.db"] {
        assert_eq!(mode(&served.data.join(file)), 0o600, "{file}");
    }
    let first = served.key.clone();
    assert_eq!(served.stop(), 0);
    let again = Served::start(directory.path()).await;
    assert_eq!(again.key, first, "the key stays");
    assert_eq!(again.get("/v1/status").await.status(), 200);
}

#[tokio::test]
async fn the_printed_curl_line_works_when_pasted() {
    let directory = tempfile::tempdir().expect("a directory");
    let printed = directory.path().join("printed");
    let out = std::fs::File::create(&printed).expect("a file");
    let served = Served::start_with(directory.path(), |command| {
        command.stdout(Stdio::from(out));
    })
    .await;
    let printed = std::fs::read_to_string(printed).expect("what was printed");
    assert!(printed.contains(&served.url), "{printed}");
    assert!(printed.contains("operator.key"), "{printed}");
    assert!(!printed.contains(&served.key), "the key itself is not printed");
    let line =
        printed.lines().find_map(|line| line.find("curl ").map(|at| &line[at..])).expect("a curl line");
    let answer = std::process::Command::new("sh")
        .args(["-c", line])
        .current_dir(directory.path())
        .output()
        .expect("a shell");
    assert!(answer.status.success(), "{}", String::from_utf8_lossy(&answer.stderr));
    let answer: Value = serde_json::from_slice(&answer.stdout).expect("JSON");
    assert!(answer.get("code").is_none(), "a problem: {answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn f056_f139_a_session_from_beginning_to_end() {
    let directory = tempfile::tempdir().expect("a directory");
    let served = Arc::new(Served::start(directory.path()).await);
    let create = json!({"kind": "user", "owner": "ada", "level": "read_write"});
    let made = document(served.send(Method::POST, "/v1/sessions", &create).await, 201).await;
    let token = made["token"].as_str().expect("a token").to_owned();

    let whoami = served.request(Method::GET, "/v1/sessions/current").header("X-Session-Id", &token);
    assert_eq!(document(whoami.send().await.expect("an answer"), 200).await["owner"], "ada");
    let renew = served.request(Method::POST, "/v1/sessions/current/renew").header("X-Session-Id", &token);
    document(renew.json(&json!({"additional": "30m"})).send().await.expect("an answer"), 200).await;

    let calls = (0..61).map(|_| {
        let request =
            served.request(Method::POST, "/v1/sessions/current/requests").header("X-Session-Id", &token);
        tokio::spawn(request.json(&json!({})).send())
    });
    let mut denied = Vec::new();
    for call in calls.collect::<Vec<_>>() {
        let reply = call.await.expect("the call ends").expect("an answer");
        if reply.status() != StatusCode::OK {
            denied.push(reply);
        }
    }
    assert_eq!(denied.len(), 1, "of 61 requests exactly 60 are allowed");
    assert_eq!(denied[0].status(), 429);
    for header in ["retry-after", "ratelimit", "ratelimit-policy"] {
        assert!(denied[0].headers().contains_key(header), "{header}");
    }

    let listed = document(served.get("/v1/sessions?kind=user&owner=ada").await, 200).await;
    assert_eq!(listed["items"].as_array().map(Vec::len), Some(1));
    assert!(!listed.to_string().contains(&token), "a list shows no token");
    let revoke = served.request(Method::DELETE, "/v1/sessions/current").header("X-Session-Id", &token);
    assert_eq!(revoke.send().await.expect("an answer").status(), 204);
    let gone = served.request(Method::GET, "/v1/sessions/current").header("X-Session-Id", &token);
    assert_eq!(gone.send().await.expect("an answer").status(), 401);
}

#[tokio::test]
async fn f287_a_stop_lets_requests_finish_and_a_second_signal_stops_now() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut served = Served::start(directory.path()).await;
    served.signal("TERM");
    tokio::time::sleep(Duration::from_millis(100)).await;
    let ready = served.client.get(format!("{}/health/ready", served.url)).send().await;
    if let Ok(ready) = ready {
        assert_eq!(ready.status(), 503, "it says that it drains");
    }
    served.signal("TERM");
    assert_eq!(served.wait(), 0);
}

#[tokio::test]
async fn metrics_are_for_those_who_may_see_them() {
    let directory = tempfile::tempdir().expect("a directory");
    let served = Served::start(directory.path()).await;
    let key = json!({"name": "app", "namespaces": ["default"], "scopes": ["cache:read"]});
    let made = document(served.send(Method::POST, "/v1/keys", &key).await, 201).await;
    let low = made["secret"].as_str().expect("a secret");
    let metrics = format!("{}/metrics", served.url);
    assert_eq!(served.client.get(&metrics).send().await.expect("an answer").status(), 401);
    assert_eq!(served.client.get(&metrics).bearer_auth(low).send().await.expect("an answer").status(), 403);
    let seen = served.get("/metrics").await;
    assert_eq!(seen.status(), 200);
    assert!(seen.text().await.expect("text").contains("statehold_http_requests_total"));
}

#[tokio::test]
async fn help_names_every_verb() {
    let help = statehold().arg("--help").output().expect("the command runs");
    insta::assert_snapshot!(String::from_utf8_lossy(&help.stdout));
}
