//! One function per part of an installation, each answering what it found.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use statehold_core::{Kind, Time};
use statehold_journal::control::{STEPS, read_placements};
use statehold_sql::{Database, Interrupt, Options, Soundness, integrity_check};

use super::{Finding, Severity};
use crate::config::{Config, EngineChoice};
use crate::directory::OTHERS;

/// No installation is older than this: a clock before it is wrong. 2026-01-01T00:00:00Z.
const CLOCK_MIN: Time = Time::from_millis(1_767_225_600_000);
/// Files newer than the clock by more than this say that it was set back.
const CLOCK_TOLERANCE: Duration = Duration::from_mins(5);

pub(super) fn configuration(config: &Config) -> Vec<Finding> {
    let told = config.warnings().iter().map(|warning| Finding {
        code: warning.code,
        severity: Severity::Warning,
        text: warning.text.clone(),
        hint: "`statehold config print` shows every value and where it comes from".to_owned(),
    });
    told.collect()
}

pub(super) fn directory(config: &Config) -> Vec<Finding> {
    let path = &config.data_dir;
    let shown = path.display();
    let Ok(meta) = path.metadata() else {
        return vec![error(
            "data_dir",
            format!("`{shown}` cannot be read"),
            "see who owns the data directory",
        )];
    };
    let mut found = Vec::new();
    if !meta.is_dir() {
        found.push(error(
            "data_dir",
            format!("`{shown}` is no directory"),
            "choose another with `--data DIR`",
        ));
    }
    if meta.uid() != rustix::process::geteuid().as_raw() {
        found.push(error(
            "data_dir_owner",
            format!("`{shown}` belongs to another user"),
            format!("`chown` it, or run as its owner (uid {})", meta.uid()),
        ));
    }
    if meta.mode() & OTHERS != 0 {
        let mode = meta.mode() & 0o7777;
        found.push(warning(
            "data_dir_mode",
            format!("`{shown}` has mode {mode:04o} and lets others in"),
            format!("`chmod 700 {shown}`"),
        ));
    }
    found
}

/// Secrets and databases are for their owner alone.
pub(super) fn private_files(config: &Config) -> Vec<Finding> {
    let files = config.files();
    let secrets = [files.operator_key(), files.token_key()].map(|path| (path, Severity::Error));
    let databases = databases(config).into_iter().map(|path| (path, Severity::Warning));
    let open = secrets.into_iter().chain(databases).filter_map(|(path, severity)| {
        let mode = path.metadata().ok()?.mode() & 0o7777;
        (mode & OTHERS != 0).then(|| Finding {
            code: "file_mode",
            severity,
            text: format!("`{}` has mode {mode:04o}: others may use it", path.display()),
            hint: format!("`chmod 600 {}`", path.display()),
        })
    });
    open.collect()
}

pub(super) fn disk(config: &Config) -> Vec<Finding> {
    let Ok(found) = rustix::fs::statvfs(&config.data_dir) else { return Vec::new() };
    let free = found.f_bavail.saturating_mul(found.f_frsize);
    let least = config.health.disk_min;
    if free >= least {
        return Vec::new();
    }
    vec![error(
        "disk",
        format!("{free} bytes are free, {least} are needed"),
        "make room on the disk of the data directory",
    )]
}

/// Every deadline is judged by the clock: one that is far behind keeps what has expired.
pub(super) fn clock(config: &Config, now: Time) -> Vec<Finding> {
    let hint = "set the host's clock, and keep it set with NTP";
    if now < CLOCK_MIN {
        return vec![error("clock", "the host's clock is before 2026", hint)];
    }
    let newest = databases(config).iter().filter_map(|path| written_at(path)).max().unwrap_or_default();
    if newest.since(now) <= CLOCK_TOLERANCE {
        return Vec::new();
    }
    let ahead = newest.since(now).as_secs();
    vec![warning(
        "clock",
        format!("a database was written {ahead} s after the present time: the clock was set back"),
        hint,
    )]
}

fn written_at(path: &Path) -> Option<Time> {
    let since = path.metadata().ok()?.modified().ok()?.duration_since(std::time::UNIX_EPOCH).ok()?;
    Some(Time::default().plus(since))
}

/// Reads every page of both databases.
pub(super) fn integrity(config: &Config) -> Vec<Finding> {
    databases(config).iter().filter(|path| path.exists()).filter_map(|path| damage(path)).collect()
}

fn damage(path: &Path) -> Option<Finding> {
    let shown = path.display();
    let keep = "keep the file, stop the server, and put a good copy in its place";
    match integrity_check(path, &Interrupt::default()) {
        Ok(Soundness::Sound | Soundness::Interrupted) => None,
        Ok(Soundness::Unsound) => Some(error("integrity", format!("`{shown}` is damaged"), keep)),
        Err(cause) if cause.kind() == Kind::Corrupt => {
            Some(error("integrity", format!("`{shown}` is no database, or is damaged"), keep))
        }
        Err(cause) => Some(error(
            "integrity",
            format!("`{shown}` could not be checked: {cause}"),
            "see who owns the file",
        )),
    }
}

/// What only the holder of the lock may look at: schema and placements.
pub(super) fn records(config: &Config) -> Vec<Finding> {
    let path = &config.records.path;
    if !path.exists() {
        return Vec::new();
    }
    let Ok(db) = Database::open(&Options::at(path)) else { return Vec::new() };
    let found = schema_and_placements(config, &db);
    db.close();
    found
}

fn schema_and_placements(config: &Config, db: &Database) -> Vec<Finding> {
    match statehold_sql::schema(db, STEPS) {
        Err(cause) => {
            let hint = "use the version of statehold that wrote it, or a newer one";
            return vec![error("schema", cause.to_string(), hint)];
        }
        Ok(schema) if !schema.missing.is_empty() => {
            let behind = format!("the record database lacks {} schema steps", schema.missing.len());
            return vec![note("schema_behind", behind, "the next start applies them")];
        }
        Ok(_) => {}
    }
    let Ok(placements) = read_placements(db) else { return Vec::new() };
    let stores = config.stores.each();
    let mut found = Vec::new();
    for placement in placements {
        let (space, engine) = (placement.space.key(), &placement.engine);
        if !config.engines.contains_key(engine) {
            found.push(error(
                "placement_unknown",
                format!("`{space}` is at engine `{engine}`, which the configuration does not have"),
                format!("configure `engines.{engine}` again as it was"),
            ));
            continue;
        }
        let store = placement.space.store().as_str();
        let named = stores.iter().find(|(name, _)| *name == store).map(|(_, settings)| &settings.engine);
        if let Some(named) = named.filter(|named| *named != engine) {
            found.push(warning(
                "placement_differs",
                format!("`{space}` is at engine `{engine}`, the configuration says `{named}`"),
                format!("set `stores.{store}.engine` to `{engine}`: the placement holds"),
            ));
        }
    }
    found
}

/// The files of the record database and of every embedded engine.
fn databases(config: &Config) -> Vec<PathBuf> {
    let engines = config.engines.values().filter_map(|engine| match &engine.kind {
        EngineChoice::Embedded { path, .. } => Some(path.clone()),
        EngineChoice::Memory { .. } => None,
    });
    std::iter::once(config.records.path.clone()).chain(engines).collect()
}

fn error(code: &'static str, text: impl Into<String>, hint: impl Into<String>) -> Finding {
    Finding { code, severity: Severity::Error, text: text.into(), hint: hint.into() }
}

fn warning(code: &'static str, text: impl Into<String>, hint: impl Into<String>) -> Finding {
    Finding { severity: Severity::Warning, ..error(code, text, hint) }
}

fn note(code: &'static str, text: impl Into<String>, hint: impl Into<String>) -> Finding {
    Finding { severity: Severity::Note, ..error(code, text, hint) }
}
