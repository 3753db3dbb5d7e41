//! Starts that cannot succeed say why, change nothing and end with the right code.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use reqwest::Method;
use serde_json::json;

use crate::served::{Served, document, fresh_key, run, said};

#[tokio::test]
async fn a_second_process_on_the_directory_is_told_who_holds_it() {
    let directory = tempfile::tempdir().expect("a directory");
    let served = Served::start(directory.path()).await;
    let second = run(directory.path(), &["serve", "--listen", "127.0.0.1:0"]);
    assert_eq!(second.status.code(), Some(3), "{}", said(&second));
    assert!(said(&second).contains("statehold-data"), "{}", said(&second));
    assert!(said(&second).contains("hint:"), "{}", said(&second));
    assert_eq!(served.get("/v1/status").await.status(), 200, "the first one goes on");
}

#[tokio::test]
async fn a_corrupt_state_file_is_named_and_left_alone() {
    for file in ["state.db", "records.db"] {
        let directory = tempfile::tempdir().expect("a directory");
        let data = Served::start(directory.path()).await.kill();
        let path = data.join(file);
        for suffix in ["-wal", "-shm"] {
            let _ = std::fs::remove_file(data.join(format!("{file}{suffix}")));
        }
        let noise: Vec<u8> = (0..65_536_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        std::fs::write(&path, &noise).expect("the file can be overwritten");
        let start = run(directory.path(), &["serve", "--listen", "127.0.0.1:0"]);
        assert_eq!(start.status.code(), Some(3), "{file}: {}", said(&start));
        assert!(said(&start).contains(file), "{}", said(&start));
        assert_eq!(std::fs::read(&path).expect("the file"), noise, "{file} was changed");
    }
}

#[tokio::test]
async fn an_unreadable_directory_is_a_clear_error() {
    let directory = tempfile::tempdir().expect("a directory");
    std::fs::write(directory.path().join("statehold-data"), "a file in the way").expect("a file");
    let start = run(directory.path(), &["serve", "--listen", "127.0.0.1:0"]);
    assert!(matches!(start.status.code(), Some(2 | 3)), "{}", said(&start));
    assert!(said(&start).contains("statehold-data"), "{}", said(&start));
}

#[tokio::test]
async fn a_taken_address_is_a_clear_error() {
    let directory = tempfile::tempdir().expect("a directory");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("an address");
    let address = taken.local_addr().expect("the address").to_string();
    let start = run(directory.path(), &["serve", "--listen", &address]);
    assert_eq!(start.status.code(), Some(3), "{}", said(&start));
    assert!(said(&start).contains(&address), "{}", said(&start));
}

#[tokio::test]
async fn f292_every_mistake_of_a_configuration_is_listed_at_once() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = "profile = \"staging\"\n[server]\nlisten = \"nowhere\"\nbody_limits = 3\n[stores.cache]\nengine = \"gone\"\n";
    std::fs::write(directory.path().join("statehold.toml"), file).expect("a file");
    let start = run(directory.path(), &["serve"]);
    assert_eq!(start.status.code(), Some(2), "{}", said(&start));
    for mistake in
        ["profile", "server.listen", "server.body_limits", "stores.cache.engine", "statehold.toml:1"]
    {
        assert!(said(&start).contains(mistake), "{mistake} is not named in: {}", said(&start));
    }
    assert!(!directory.path().join("statehold-data").exists(), "nothing was made");
}

#[tokio::test]
async fn f291_production_without_secrets_does_not_start() {
    let directory = tempfile::tempdir().expect("a directory");
    std::fs::write(directory.path().join("statehold.toml"), "profile = \"production\"\n").expect("a file");
    let start = run(directory.path(), &["serve", "--listen", "127.0.0.1:0"]);
    assert_eq!(start.status.code(), Some(2), "{}", said(&start));
    assert!(said(&start).contains("secrets.token_key"), "{}", said(&start));
}

/// A file system of a few mebibytes that goes with its owner.
struct SmallDisk<'a>(&'a Path);

impl<'a> SmallDisk<'a> {
    fn mount(at: &'a Path) -> Self {
        let mounted = std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=6m,mode=0700", "tmpfs"])
            .arg(at)
            .status()
            .expect("`mount` runs");
        assert!(mounted.success(), "this test mounts a small file system and so needs to be root");
        Self(at)
    }
}

impl Drop for SmallDisk<'_> {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg("-l").arg(self.0).status();
    }
}

#[tokio::test]
async fn f302_a_full_disk_refuses_writes_keeps_reads_and_recovers() {
    let directory = tempfile::tempdir().expect("a directory");
    let disk = SmallDisk::mount(directory.path());
    // So small a disk is below what health asks for by default.
    let served = Served::start_with(directory.path(), |command| {
        command.env("STATEHOLD_HEALTH__DISK_MIN", "0");
    })
    .await;
    let kept = json!({"value": "kept", "ttl": "1d"});
    document(served.send(Method::PUT, "/v1/cache/keys/kept", &kept).await, 201).await;

    let large = json!({"value": "x".repeat(200_000), "ttl": "1d"});
    let mut acknowledged = Vec::new();
    let mut refused = None;
    for n in 0..64 {
        let reply = served.send(Method::PUT, &format!("/v1/cache/keys/large-{n}"), &large).await;
        if reply.status().is_success() {
            acknowledged.push(n);
        } else {
            refused = Some((n, reply));
            break;
        }
    }
    let (n, reply) = refused.expect("a disk of 6 MiB fills up");
    assert!(reply.headers().contains_key("retry-after"), "it says when to come back");
    let problem = document(reply, 503).await;
    assert_eq!(problem["code"], "engine_full", "{problem}");
    assert_eq!(document(served.get("/v1/cache/keys/kept").await, 200).await["value"], "kept");
    assert_eq!(
        served.get(&format!("/v1/cache/keys/large-{n}")).await.status(),
        404,
        "a refused write left nothing"
    );
    for n in &acknowledged {
        assert_eq!(served.get(&format!("/v1/cache/keys/large-{n}")).await.status(), 200, "large-{n}");
    }

    let grown =
        std::process::Command::new("mount").args(["-o", "remount,size=64m"]).arg(directory.path()).status();
    assert!(grown.expect("`mount` runs").success());
    document(served.send(Method::PUT, &format!("/v1/cache/keys/large-{n}"), &large).await, 201).await;
    assert_eq!(served.stop(), 0);
    drop(disk);
}

#[test]
fn modes_of_secret_files_are_checked() {
    let directory = tempfile::tempdir().expect("a directory");
    let key = directory.path().join("token.key");
    std::fs::write(&key, fresh_key()).expect("a file");
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).expect("a mode");
    std::fs::write(directory.path().join("statehold.toml"), "[secrets]\ntoken_key_file = \"token.key\"\n")
        .expect("a file");
    let check = run(directory.path(), &["config", "check"]);
    assert_eq!(check.status.code(), Some(2), "{}", said(&check));
    assert!(said(&check).contains("token_key_file"), "{}", said(&check));
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).expect("a mode");
    let check = run(directory.path(), &["config", "check"]);
    assert_eq!(check.status.code(), Some(0), "{}", said(&check));
}
