//! Looking an installation over.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use statehold_core::Time;

use super::*;
use crate::doctor::{Diagnosis, Severity, examine};
use crate::health::Status;

/// The host's present time: files are compared with it.
fn present() -> ManualClock {
    let since = std::fs::metadata("/proc/self").unwrap().modified().unwrap();
    let since = since.duration_since(std::time::UNIX_EPOCH).unwrap();
    ManualClock::at(Time::default().plus(since + Duration::from_mins(2)))
}

fn look(directory: &Path, keys: &[(&str, &str)]) -> Diagnosis {
    examine(&config(directory, keys), &present())
}

fn codes(diagnosis: &Diagnosis, severity: Severity) -> Vec<&'static str> {
    diagnosis
        .findings
        .iter()
        .filter(|finding| finding.severity == severity)
        .map(|finding| finding.code)
        .collect()
}

#[tokio::test]
async fn a_sound_installation_has_no_findings_that_matter() {
    let directory = tempfile::tempdir().unwrap();
    open(directory.path()).await.close().await;
    let diagnosis = look(directory.path(), &[]);
    assert!(codes(&diagnosis, Severity::Error).is_empty(), "{diagnosis:?}");
    assert_eq!(diagnosis.findings.iter().filter(|finding| finding.hint.is_empty()).count(), 0);
}

#[tokio::test]
async fn a_running_server_is_a_note_and_is_not_disturbed() {
    let directory = tempfile::tempdir().unwrap();
    let hold = open(directory.path()).await;
    assert!(codes(&look(directory.path(), &[]), Severity::Note).contains(&"in_use"));
    set(&hold.cache(&default()).await.unwrap(), "a", "1").await;
    hold.close().await;
}

#[tokio::test]
async fn what_others_may_read_and_what_is_damaged_is_found() {
    let directory = tempfile::tempdir().unwrap();
    open(directory.path()).await.close().await;
    std::fs::set_permissions(directory.path(), Permissions::from_mode(0o755)).unwrap();
    std::fs::set_permissions(directory.path().join("operator.key"), Permissions::from_mode(0o644)).unwrap();
    std::fs::write(directory.path().join("state.db"), vec![7; 8_192]).unwrap();
    let diagnosis = look(directory.path(), &[]);
    assert_eq!(diagnosis.status, Status::Unhealthy);
    let errors = codes(&diagnosis, Severity::Error);
    assert!(errors.contains(&"file_mode") && errors.contains(&"integrity"), "{diagnosis:?}");
    assert!(codes(&diagnosis, Severity::Warning).contains(&"data_dir_mode"));
}

#[tokio::test]
async fn placements_and_the_clock_are_compared_with_what_they_should_be() {
    let directory = tempfile::tempdir().unwrap();
    let hold = open(directory.path()).await;
    set(&hold.cache(&default()).await.unwrap(), "a", "1").await;
    hold.close().await;
    let keys = [("engines.fast.kind", "memory"), ("stores.cache.engine", "fast")];
    assert!(codes(&look(directory.path(), &keys), Severity::Warning).contains(&"placement_differs"));
    let early = ManualClock::at(Time::from_millis(1_000));
    let diagnosis = examine(&config(directory.path(), &[]), &early);
    assert!(codes(&diagnosis, Severity::Error).contains(&"clock"));
}

#[test]
fn nothing_is_made_where_nothing_is() {
    let directory = tempfile::tempdir().unwrap();
    let missing = directory.path().join("not-yet");
    let diagnosis = look(&missing, &[]);
    assert!(codes(&diagnosis, Severity::Note).contains(&"data_dir_missing"));
    assert!(!missing.exists());
}
