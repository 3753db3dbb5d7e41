//! The verbs against a running server and against a directory alone: the same answers.

use serde_json::Value;

use crate::served::{Served, run, said};

fn answer(directory: &std::path::Path, arguments: &[&str]) -> Value {
    let output = run(directory, &[arguments, &["--json"]].concat());
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stdout));
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
        panic!("{arguments:?} gave no single JSON document ({error}): {}", said(&output))
    })
}

fn walk(directory: &std::path::Path, name: &str) {
    assert!(answer(directory, &["status"])["stores"]["sessions"].is_object());
    assert_eq!(answer(directory, &["health"])["status"], "Healthy");
    answer(directory, &["ns", "create", name]);
    let listed = answer(directory, &["ns", "list"]);
    assert!(
        listed["items"].as_array().is_some_and(|items| items.iter().any(|ns| ns["name"] == name)),
        "{listed}"
    );
    let made =
        answer(directory, &["keys", "api", "create", "--name", "app", "--scopes", "cache:read,cache:write"]);
    let id = made["key"]["id"].as_str().expect("an id").to_owned();
    let keys = answer(directory, &["keys", "api", "list"]);
    assert!(
        keys["items"].as_array().is_some_and(|keys| keys.iter().any(|key| key["id"] == id.as_str())),
        "{keys}"
    );
    assert!(!keys.to_string().contains(made["secret"].as_str().expect("a secret")), "a list shows no secret");
    assert_eq!(run(directory, &["keys", "api", "revoke", &id]).status.code(), Some(4), "it asks for --yes");
    assert_eq!(answer(directory, &["keys", "api", "revoke", &id, "--yes"])["revoked"], true);
    assert_eq!(answer(directory, &["sessions", "count"])["active"], 0);
    answer(directory, &["sweep"]);
    let found = answer(directory, &["doctor"]);
    assert!(found["findings"].is_array(), "{found}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_verb_answers_with_and_without_a_server() {
    let directory = tempfile::tempdir().expect("a directory");
    let served = Served::start(directory.path()).await;
    walk(directory.path(), "with-a-server");
    assert_eq!(served.stop(), 0);
    walk(directory.path(), "without");
}

#[test]
fn f285_init_makes_random_secrets_and_never_overwrites() {
    let directory = tempfile::tempdir().expect("a directory");
    let made = answer(directory.path(), &["init", "--dir", "here"]);
    let secrets = made["secrets"].as_array().expect("secrets").clone();
    assert!(!secrets.is_empty(), "{made}");
    for secret in &secrets {
        let path = directory.path().join(secret["path"].as_str().expect("a path"));
        let mode = std::os::unix::fs::PermissionsExt::mode(
            &std::fs::metadata(&path).expect("the file").permissions(),
        );
        assert_eq!(mode & 0o777, 0o600, "{}", path.display());
    }
    let again = run(directory.path(), &["init", "--dir", "here"]);
    assert_eq!(again.status.code(), Some(4), "{}", said(&again));
    let other = answer(directory.path(), &["init", "--dir", "there"]);
    assert_ne!(made["operator_key"], other["operator_key"], "secrets are random");
}

#[tokio::test(flavor = "multi_thread")]
async fn f285_what_init_made_starts_in_production() {
    let directory = tempfile::tempdir().expect("a directory");
    let made = answer(directory.path(), &["init", "--dir", "."]);
    let served = Served::start_with(directory.path(), |_| {}).await;
    assert_eq!(Some(served.key.as_str()), made["operator_key"].as_str());
    let status = served.get("/v1/status").await.json::<Value>().await.expect("JSON");
    assert_eq!(status["profile"], "production", "{status}");
}

#[test]
fn f294_config_print_masks_secrets_and_names_origins() {
    let directory = tempfile::tempdir().expect("a directory");
    let secret = crate::served::fresh_key();
    let mut command = crate::served::statehold();
    command
        .current_dir(directory.path())
        .args(["config", "print"])
        .env("STATEHOLD_SECRETS__TOKEN_KEY", &secret);
    let output = command.output().expect("the command runs");
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{}", said(&output));
    assert!(!printed.contains(&secret) && printed.contains("***"), "{printed}");
    assert!(printed.contains("STATEHOLD_SECRETS__TOKEN_KEY"), "{printed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn reload_tells_the_server_and_never_a_process_that_only_has_its_number() {
    let directory = tempfile::tempdir().expect("a directory");
    let served = Served::start(directory.path()).await;
    assert_eq!(answer(directory.path(), &["config", "reload"])["told"], served.pid());
    let data = served.kill();
    // The lock's note and the address outlive a killed server; this is somebody else's process under its number.
    let mut other = std::process::Command::new("sleep").arg("60").spawn().expect("a process");
    std::fs::write(data.join("lock"), format!("{}\n", other.id())).expect("a note");
    assert!(data.join("server.addr").exists());
    let reload = run(directory.path(), &["config", "reload"]);
    assert_eq!(reload.status.code(), Some(3), "{}", said(&reload));
    assert!(other.try_wait().expect("it can be asked").is_none(), "the other process was left alone");
    other.kill().and_then(|()| other.wait()).expect("it ends");
}
