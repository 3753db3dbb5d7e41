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

#[tokio::test]
async fn limits_of_all_three_algorithms_answer_over_http() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = "[limits.policies.log]\nalgorithm = \"sliding\"\nlimit = 3\nwindow = \"1h\"\n\
                [limits.policies.cell]\nalgorithm = \"token_bucket\"\nrate = 0.001\nburst = 3\n\
                [limits.policies.window]\nalgorithm = \"fixed\"\nlimit = 3\nwindow = \"31d\"\n";
    std::fs::write(directory.path().join("statehold.toml"), file).expect("a file");
    let served = Served::start(directory.path()).await;
    for policy in ["log", "cell", "window"] {
        let path = format!("/v1/limits/{policy}/check");
        for remaining in [2, 1, 0] {
            let met = document(served.send(Method::POST, &path, &json!({"subject": "ada"})).await, 200).await;
            assert_eq!(
                (&met["allowed"], &met["remaining"]),
                (&json!(true), &json!(remaining)),
                "{policy}: {met}"
            );
        }
        let denied = document(served.send(Method::POST, &path, &json!({"subject": "ada"})).await, 200).await;
        assert_eq!(denied["allowed"], false, "{policy}: {denied}");
        assert!(denied["retry_after_ms"].as_u64().is_some_and(|wait| wait >= 1), "{policy}: {denied}");
        let enforced =
            served.send(Method::POST, &format!("{path}?enforce=true"), &json!({"subject": "ada"})).await;
        assert_eq!(enforced.status(), 429, "{policy}");
        let other = document(served.send(Method::POST, &path, &json!({"subject": "bob"})).await, 200).await;
        assert_eq!(other["remaining"], 2, "{policy}: another subject has a limit of its own");
    }
}

#[tokio::test]
async fn f008_f009_f011_the_cache_counts_compares_and_commits_groups() {
    let directory = tempfile::tempdir().expect("a directory");
    let served = Served::start(directory.path()).await;
    let put = |value: u64, mode: &str| json!({"value": value, "ttl": "1h", "mode": mode});
    let first = served.send(Method::PUT, "/v1/cache/keys/a", &put(1, "if_absent")).await;
    let first = document(first, 201).await;
    let second = served.send(Method::PUT, "/v1/cache/keys/a", &put(2, "if_absent")).await;
    assert_eq!(document(second, 409).await["code"], "exists");
    let stale = json!({"value": 3, "mode": "if_revision", "if_revision": "1"});
    let stale = document(served.send(Method::PUT, "/v1/cache/keys/a", &stale).await, 412).await;
    assert_eq!(stale["current_revision"], first["revision"]);

    let batch = json!({"ops": [{"op": "set", "key": "x", "value": 1, "ttl": "1h"}, {"op": "get", "key": "x"},
        {"op": "incr", "key": "n"}, {"op": "incr", "key": "n"}, {"op": "delete", "key": "x"}, {"op": "get", "key": "x"}]});
    let done = document(served.send(Method::POST, "/v1/cache/batch", &batch).await, 200).await;
    let statuses: Vec<_> =
        done["results"].as_array().expect("results").iter().map(|one| one["status"].clone()).collect();
    assert_eq!(statuses, [201, 200, 200, 200, 200, 404], "{done}");
    assert_eq!(done["results"][3]["value"], 2);

    let commit = json!({"conditions": [{"key": "p", "exists": false}, {"key": "q", "exists": true}],
        "writes": [{"op": "set", "key": "p", "value": 1, "ttl": "1h"}]});
    let refused = document(served.send(Method::POST, "/v1/cache/groups/g/commit", &commit).await, 412).await;
    assert_eq!(refused["failed_index"], 1, "{refused}");
    assert_eq!(served.get("/v1/cache/keys/p?group=g").await.status(), 404, "nothing of it happened");
}
