//! Starting, stopping, starting again.

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use statehold_core::Kind;
use statehold_stores::sessions::{NewSession, SessionKind};

use super::*;
use crate::OpenKind;
use crate::health::{Phase, Status};

fn mode(path: &Path) -> u32 {
    path.metadata().unwrap().permissions().mode() & 0o777
}

/// A file with a good key, as an operator would make it.
fn token_key_file(directory: &Path) -> String {
    let path = directory.join("key");
    std::fs::write(&path, crate::secrets::KeyMaterial::generate().unwrap().to_hex().as_str()).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    path.to_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_fresh_directory_serves_and_everything_in_it_is_private() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("statehold-data");
    let hold = open(&data).await;
    let text = std::fs::read_to_string(data.join("operator.key")).unwrap();
    assert!(hold.operator_key_written());
    assert!(hold.control().verify_key(text.trim(), None).is_ok());
    assert_eq!(mode(&data), 0o700);
    for file in ["operator.key", "secrets/token.key", "records.db", "state.db", "lock"] {
        assert_eq!(mode(&data.join(file)), 0o600, "{file}");
    }
    assert!(hold.health().live() && hold.health().started());
    let report = hold.health().ready().await;
    assert_eq!(report.status, Status::Healthy, "{report:?}");
    assert_eq!(report.checks["redisStores"].data["stores.mode"], "embedded");
    hold.close().await;
}

#[tokio::test]
async fn what_was_written_is_there_after_a_restart_and_secrets_are_reused() {
    let directory = tempfile::tempdir().unwrap();
    let hold = open(directory.path()).await;
    set(&hold.cache(&default()).await.unwrap(), "colour", "\"red\"").await;
    let sessions = hold.sessions(&default()).await.unwrap();
    let owner = Id::new("ann").unwrap();
    let created =
        sessions.create(&Cx::new(), &NewSession::new(SessionKind::User, owner.clone())).await.unwrap();
    let operator = std::fs::read_to_string(directory.path().join("operator.key")).unwrap();
    hold.close().await;
    hold.close().await;
    drop((hold, sessions));

    let hold = open(directory.path()).await;
    assert!(!hold.operator_key_written());
    assert!(hold.control().verify_key(operator.trim(), None).is_ok());
    assert_eq!(get(&hold.cache(&default()).await.unwrap(), "colour").await.as_deref(), Some("\"red\""));
    let sessions = hold.sessions(&default()).await.unwrap();
    let listed = sessions.list(&Cx::new(), SessionKind::User, &owner).await.unwrap();
    assert_eq!(listed.len(), 1);
    let _token = created;
    hold.close().await;
}

#[tokio::test]
async fn a_second_start_on_one_directory_is_told_who_holds_it() {
    let directory = tempfile::tempdir().unwrap();
    let hold = open(directory.path()).await;
    let error = open_with(directory.path(), &[], &Arc::default()).await.unwrap_err();
    assert_eq!(error.kind(), OpenKind::Unavailable);
    assert!(error.to_string().contains(&format!("process {}", std::process::id())), "{error}");
    assert!(error.hint().contains("--data"));
    hold.close().await;
    open(directory.path()).await.close().await;
}

#[tokio::test]
async fn a_namespace_that_is_not_there_is_not_found() {
    let directory = tempfile::tempdir().unwrap();
    let hold = open(directory.path()).await;
    let shop = Namespace::new("shop").unwrap();
    assert_eq!(hold.cache(&shop).await.unwrap_err().kind(), Kind::NotFound);
    hold.control().create_namespace(&shop).await.unwrap();
    set(&hold.cache(&shop).await.unwrap(), "a", "1").await;
    assert_eq!(get(&hold.cache(&default()).await.unwrap(), "a").await, None);
    hold.control().delete_namespace(&shop).await.unwrap();
    assert_eq!(hold.cache(&shop).await.unwrap_err().kind(), Kind::NotFound);
    hold.close().await;
}

#[tokio::test]
async fn f042_production_refuses_memory_homes_and_missing_secrets() {
    let directory = tempfile::tempdir().unwrap();
    let loaded = Config::load(&sources(directory.path(), &[("profile", "production")]));
    if let Ok(config) = loaded {
        let error = Statehold::open(config, Arc::new(ManualClock::default())).await.unwrap_err();
        assert_eq!(error.kind(), OpenKind::Configuration);
    }
    let key = token_key_file(directory.path());
    let keys = [
        ("profile", "production"),
        ("secrets.token_key_file", &*key),
        ("engines.fast.kind", "memory"),
        ("stores.cache.engine", "fast"),
    ];
    let loaded = Config::load(&sources(directory.path(), &keys));
    let told = match loaded {
        Err(errors) => errors.to_string(),
        Ok(config) => {
            let error = Statehold::open(config, Arc::new(ManualClock::default())).await.unwrap_err();
            assert_eq!(error.kind(), OpenKind::Configuration);
            error.to_string()
        }
    };
    assert!(told.contains("cache") && told.contains("fast"), "{told}");
}

#[tokio::test]
async fn f264_the_mode_follows_the_homes() {
    let directory = tempfile::tempdir().unwrap();
    let keys = [("engines.fast.kind", "memory"), ("stores.cache.engine", "fast")];
    let hold = open_with(directory.path(), &keys, &Arc::default()).await.unwrap();
    let report = hold.health().ready().await;
    assert_eq!(report.status, Status::Degraded);
    assert_eq!(report.checks["redisStores"].data["stores.mode"], "mixed");
    assert!(hold.warnings().iter().any(|warning| warning.code == "store_needs"));
    hold.close().await;
}

#[tokio::test]
async fn the_placement_holds_where_the_configuration_differs() {
    let directory = tempfile::tempdir().unwrap();
    let hold = open(directory.path()).await;
    set(&hold.cache(&default()).await.unwrap(), "a", "1").await;
    hold.close().await;
    drop(hold);
    let keys = [("engines.fast.kind", "memory"), ("stores.cache.engine", "fast")];
    let hold = open_with(directory.path(), &keys, &Arc::default()).await.unwrap();
    assert_eq!(get(&hold.cache(&default()).await.unwrap(), "a").await.as_deref(), Some("1"));
    let differs: Vec<_> = hold.warnings().into_iter().filter(|w| w.code == "placement_differs").collect();
    assert_eq!(differs.len(), 1, "{differs:?}");
    assert!(
        hold.status()
            .await
            .unwrap()
            .stores
            .iter()
            .any(|home| home.store == "cache" && &*home.engine == "main")
    );
    hold.close().await;
    drop(hold);
}

#[tokio::test]
async fn f015_an_engine_that_cannot_serve_keeps_the_system_from_starting() {
    for (file, profile) in
        [("records.db", "development"), ("state.db", "development"), ("state.db", "production")]
    {
        let directory = tempfile::tempdir().unwrap();
        let data = directory.path().join("data");
        let key = token_key_file(directory.path());
        let keys = [("profile", profile), ("secrets.token_key_file", &*key)];
        open_with(&data, &keys, &Arc::default()).await.unwrap().close().await;
        std::fs::write(data.join(file), b"this is no database, whatever its name says").unwrap();
        let error = open_with(&data, &keys, &Arc::default()).await.unwrap_err();
        assert_eq!(error.kind(), OpenKind::Unavailable);
        assert!(error.to_string().contains(file) && !error.hint().is_empty(), "{error}");
    }
}

#[tokio::test]
async fn f041_production_makes_no_key_by_itself_and_says_so() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let key = token_key_file(directory.path());
    let keys = [("profile", "production"), ("secrets.token_key_file", &*key)];
    let hold = open_with(&data, &keys, &Arc::default()).await.unwrap();
    assert!(!hold.operator_key_written() && !data.join("operator.key").exists());
    assert!(!data.join("secrets").exists());
    assert!(hold.warnings().iter().any(|warning| warning.code == "no_operator_key"));
    assert_eq!(hold.status().await.unwrap().profile, crate::config::Profile::Production);
    hold.close().await;
}

#[tokio::test]
async fn f262_a_disk_that_is_too_full_is_unhealthy() {
    let directory = tempfile::tempdir().unwrap();
    let hold =
        open_with(directory.path(), &[("health.disk_min", "1024 GiB")], &Arc::default()).await.unwrap();
    let report = hold.health().ready().await;
    let disk = &report.checks["disk"];
    // A host with more than this much room is healthy, and is told so.
    let room = disk.data["free_bytes"].as_u64().unwrap() >= 1 << 40;
    assert_eq!(disk.status, if room { Status::Healthy } else { Status::Unhealthy }, "{report:?}");
    assert_eq!(report.serves(), room);
    hold.close().await;
}

#[tokio::test]
async fn a_system_that_was_dropped_needs_no_repair() {
    let directory = tempfile::tempdir().unwrap();
    let hold = open(directory.path()).await;
    set(&hold.cache(&default()).await.unwrap(), "a", "1").await;
    let engine = Arc::downgrade(hold.jobs());
    drop(hold);
    while engine.upgrade().is_some() {
        tokio::task::yield_now().await;
    }
    // The jobs end at their next step, and with them the last hold on the files.
    let hold = loop {
        match open_with(directory.path(), &[], &Arc::default()).await {
            Ok(hold) => break hold,
            Err(error) => assert!(format!("{error:?}").contains("used by another process"), "{error:?}"),
        }
    };
    assert_eq!(get(&hold.cache(&default()).await.unwrap(), "a").await.as_deref(), Some("1"));
    hold.close().await;
}

#[tokio::test]
async fn state_without_its_record_database_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    open(directory.path()).await.close().await;
    std::fs::remove_file(directory.path().join("records.db")).unwrap();
    let error = open_with(directory.path(), &[], &Arc::default()).await.unwrap_err();
    assert_eq!(error.kind(), OpenKind::Unavailable);
    assert!(error.hint().contains("put the record database back"));
}

#[tokio::test]
async fn an_old_copy_put_back_is_another_history_with_a_higher_term() {
    let directory = tempfile::tempdir().unwrap();
    let hold = open(directory.path()).await;
    let sessions = hold.sessions(&default()).await.unwrap();
    let owner = Id::new("ann").unwrap();
    sessions.create(&Cx::new(), &NewSession::new(SessionKind::User, owner.clone())).await.unwrap();
    let before = hold.control().placements().await.unwrap();
    hold.close().await;
    drop((hold, sessions));
    let copy = directory.path().join("copy.db");
    std::fs::copy(directory.path().join("state.db"), &copy).unwrap();
    open(directory.path()).await.close().await;
    std::fs::copy(&copy, directory.path().join("state.db")).unwrap();
    for left in ["state.db-wal", "state.db-shm"] {
        let _gone = std::fs::remove_file(directory.path().join(left));
    }

    let hold = open(directory.path()).await;
    let sessions = hold.sessions(&default()).await.unwrap();
    assert_eq!(sessions.list(&Cx::new(), SessionKind::User, &owner).await.unwrap().len(), 1);
    sessions.create(&Cx::new(), &NewSession::new(SessionKind::User, owner.clone())).await.unwrap();
    let after = hold.control().placements().await.unwrap();
    assert!(after[0].term > before[0].term && after[0].epoch > before[0].epoch, "{before:?} {after:?}");
    hold.close().await;
}

#[tokio::test]
async fn draining_is_not_ready_and_closing_is_final() {
    let directory = tempfile::tempdir().unwrap();
    let hold = open(directory.path()).await;
    let cache = hold.cache(&default()).await.unwrap();
    assert!(hold.health().ready().await.serves());
    hold.drain();
    assert_eq!(hold.health().phase(), Phase::Draining);
    assert!(!hold.health().ready().await.serves());
    set(&cache, "late", "1").await;
    hold.close().await;
    assert!(cache.get(&Cx::new(), &key("late")).await.is_err());
}

#[tokio::test]
async fn the_sweep_removes_what_expired_and_is_noted() {
    let directory = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::default());
    let hold = open_with(directory.path(), &[], &clock).await.unwrap();
    let sessions = hold.sessions(&default()).await.unwrap();
    sessions.create(&Cx::new(), &NewSession::new(SessionKind::User, Id::new("ann").unwrap())).await.unwrap();
    assert_eq!(hold.jobs().run("sweep").await.unwrap().items, 0);
    clock.advance(Duration::from_hours(24 * 40));
    let run = hold.jobs().run("sweep").await.unwrap();
    assert!(run.items > 0 && run.trouble.is_none() && run.runs == 2, "{run:?}");
    assert_eq!(hold.jobs().run("nothing").await.unwrap_err().kind(), Kind::NotFound);
    let states = hold.jobs().states().await.unwrap();
    assert!(states.iter().all(|state| !state.late));
    hold.close().await;
}

#[tokio::test]
async fn nothing_of_a_deleted_namespace_comes_back_with_its_name() {
    let directory = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::default());
    let hold = open_with(directory.path(), &[], &clock).await.unwrap();
    let shop = Namespace::new("shop").unwrap();
    hold.control().create_namespace(&shop).await.unwrap();
    let held = hold.sessions(&shop).await.unwrap();
    let session = || NewSession::new(SessionKind::User, Id::new("ann").unwrap());
    held.create(&Cx::new(), &session()).await.unwrap();
    hold.control().delete_namespace(&shop).await.unwrap();
    // Sessions that have expired meanwhile are still told of until they are reaped.
    clock.advance(statehold_journal::control::NAMESPACE_GRACE + Duration::from_hours(24 * 40));
    assert!(hold.jobs().run("namespaces").await.unwrap().items > 0);
    let refused = held.create(&Cx::new(), &session()).await.unwrap_err();
    hold.control().create_namespace(&shop).await.unwrap();
    let fresh = hold.sessions(&shop).await.unwrap();
    let run = hold.jobs().run("sweep").await.unwrap();
    assert_eq!((run.items, run.trouble), (0, None), "what was there is gone, after {refused:?}");
    fresh.create(&Cx::new(), &session()).await.unwrap();
    hold.close().await;
}

#[tokio::test]
async fn a_store_keeps_serving_whoever_opened_its_space_first() {
    let directory = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::default());
    for sync in ["true", "false", "true"] {
        let hold = open_with(directory.path(), &[("stores.cache.sync", sync)], &clock).await.unwrap();
        hold.jobs().run("sweep").await.unwrap();
        set(&hold.cache(&default()).await.unwrap(), "a", "1").await;
        hold.close().await;
    }
}

#[tokio::test]
async fn a_deleted_namespace_is_emptied_after_its_grace() {
    let directory = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::default());
    let hold = open_with(directory.path(), &[("cache.allow_no_expiry", "true")], &clock).await.unwrap();
    let shop = Namespace::new("shop").unwrap();
    hold.control().create_namespace(&shop).await.unwrap();
    let cache = hold.cache(&shop).await.unwrap();
    let kept = Set { ttl: statehold_stores::cache::Ttl::Never, ..Set::new(Value::json("1").unwrap()) };
    cache.set(&Cx::new(), &key("a"), kept, Mode::default()).await.unwrap();
    hold.control().delete_namespace(&shop).await.unwrap();
    assert_eq!(hold.jobs().run("namespaces").await.unwrap().items, 0);
    clock.advance(statehold_journal::control::NAMESPACE_GRACE);
    assert_eq!(hold.jobs().run("namespaces").await.unwrap().items, 1);
    let late = Set::new(Value::json("2").unwrap());
    assert!(cache.set(&Cx::new(), &key("a"), late, Mode::default()).await.is_err());
    hold.control().create_namespace(&shop).await.unwrap();
    assert_eq!(get(&hold.cache(&shop).await.unwrap(), "a").await, None);
    hold.close().await;
}
