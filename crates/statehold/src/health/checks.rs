//! The checks themselves: each asks one part of the system, in a bounded time.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use parking_lot::Mutex;
use serde_json::{Value, json};
use statehold_core::{EngineKind, Probe, Result, Time};
use statehold_journal::control::STEPS;

use super::policy::{self, Pings, worst};
use super::report::{Check, Status};
use crate::homes::StoreHome;
use crate::jobs::{Ground, Jobs};

#[derive(Debug)]
pub(super) struct Checks {
    ground: Ground,
    jobs: Arc<Jobs>,
    pings: Mutex<HashMap<Arc<str>, Pings>>,
}

/// What an engine answered.
struct Asked {
    name: Arc<str>,
    kind: EngineKind,
    status: Status,
    latency: Duration,
    probe: Option<Probe>,
}

impl Checks {
    pub(super) fn new(ground: Ground, jobs: Arc<Jobs>) -> Self {
        Self { ground, jobs, pings: Mutex::default() }
    }

    pub(super) fn surroundings(&self) -> (Time, BTreeMap<String, bool>) {
        (self.ground.clock.now(), crate::status::features(&self.ground.config.read()))
    }

    pub(super) async fn run(&self) -> BTreeMap<&'static str, Check> {
        let (engines, homes, schema, disk) =
            tokio::join!(self.engines(), self.homes(), self.schema(), self.disk());
        let mut checks = BTreeMap::new();
        let kinds: Vec<_> = homes.iter().map(|home| home.kind).collect();
        checks.insert("redisStores", policy::redis_stores(&kinds));
        checks.insert("stores", stores(&homes, &engines));
        if let Some(check) = embedded(&engines) {
            checks.insert("embedded", check);
        }
        if let Some(check) = memory(&engines) {
            checks.insert("memory", check);
        }
        checks.insert("schema", schema);
        checks.insert("disk", disk);
        checks.insert("jobs", policy::jobs(self.jobs.late()));
        checks
    }

    fn timeout(&self) -> Duration {
        self.ground.config.read().health.check_timeout
    }

    async fn engines(&self) -> Vec<Asked> {
        join_all(self.ground.engines.each().map(async |opened| {
            let answered = self.within(opened.probe()).await;
            let (name, kind) = (Arc::clone(opened.name()), opened.kind());
            let Some(probe) = answered else {
                return Asked { name, kind, status: Status::Unhealthy, latency: Duration::ZERO, probe: None };
            };
            let latency = {
                let mut pings = self.pings.lock();
                let pings = pings.entry(Arc::clone(&name)).or_default();
                pings.note(probe.round_trip);
                pings.median()
            };
            let limit = self.ground.config.read().health.degraded_latency;
            let status = policy::answered(&probe, latency, limit);
            Asked { name, kind, status, latency, probe: Some(probe) }
        }))
        .await
    }

    /// What a check answers in time; none when it fails or takes too long.
    async fn within<T>(&self, check: impl Future<Output = Result<T>>) -> Option<T> {
        tokio::time::timeout(self.timeout(), check).await.ok()?.ok()
    }

    async fn homes(&self) -> Vec<StoreHome> {
        self.within(self.ground.homes.where_they_are()).await.unwrap_or_default()
    }

    async fn schema(&self) -> Check {
        let database = self.ground.tables.database();
        if database.stopped().is_some() {
            return Check::new(Status::Unhealthy).described("the record database takes no more writes");
        }
        let applied = self.within(self.ground.tables.schema_version()).await;
        match applied {
            Some(version) => policy::schema(version, STEPS.len() as u64),
            None => Check::new(Status::Unhealthy).described("the record database does not answer"),
        }
    }

    async fn disk(&self) -> Check {
        let (directory, bytes_min) = {
            let config = self.ground.config.read();
            (config.data_dir.clone(), config.health.disk_min)
        };
        let asked = tokio::task::spawn_blocking(move || rustix::fs::statvfs(&directory));
        match tokio::time::timeout(self.timeout(), asked).await {
            Ok(Ok(Ok(found))) => policy::disk(found.f_bavail.saturating_mul(found.f_frsize), bytes_min),
            _ => Check::new(Status::Unhealthy).described("the data directory's disk does not answer"),
        }
    }
}

/// Every store with the state of its engine: a store is as its engine is.
fn stores(homes: &[StoreHome], engines: &[Asked]) -> Check {
    let of =
        |home: &StoreHome| engines.iter().find(|asked| asked.name == home.engine).map(|asked| asked.status);
    let states = homes.iter().map(|home| (home, of(home).unwrap_or(Status::Unhealthy)));
    let mut check = Check::new(Status::Healthy);
    for (home, status) in states.clone() {
        let state = match status {
            Status::Healthy => "ok",
            Status::Degraded => "slow",
            Status::Unhealthy => "unavailable",
        };
        let figures = json!({"engine": &*home.engine, "kind": home.kind.as_str(), "state": state});
        // A store at several engines is shown at its worst.
        if check.data.get(home.store).is_none_or(|seen| seen["state"] == "ok") {
            check = check.with(home.store, figures);
        }
    }
    check.status = if homes.is_empty() { Status::Unhealthy } else { worst(states.map(|(_, status)| status)) };
    check
}

fn embedded(engines: &[Asked]) -> Option<Check> {
    let asked: Vec<_> = engines.iter().filter(|asked| asked.kind == EngineKind::Embedded).collect();
    let unsound = asked.iter().any(|asked| asked.probe.is_some_and(|probe| probe.unsound));
    let away = asked.iter().any(|asked| asked.probe.is_none());
    let mut check = figures(&asked)?.with("integrity", if unsound { "failed" } else { "ok" });
    if unsound {
        check = check.described("damage was found in the file: writes have stopped");
    } else if away {
        check = check.described("the engine does not answer");
    }
    Some(check)
}

fn memory(engines: &[Asked]) -> Option<Check> {
    let asked: Vec<_> = engines.iter().filter(|asked| asked.kind == EngineKind::Memory).collect();
    let bytes_max: Option<u64> =
        asked.iter().filter_map(|asked| asked.probe).map(|probe| probe.bytes_max).sum();
    Some(figures(&asked)?.with("max_bytes", bytes_max))
}

/// What all engines of a kind come to; none where there is none.
fn figures(asked: &[&Asked]) -> Option<Check> {
    let status = asked.iter().map(|asked| asked.status).max()?;
    let latency = asked.iter().map(|asked| asked.latency).max().unwrap_or_default();
    let bytes: Option<u64> = asked.iter().filter_map(|asked| asked.probe).map(|probe| probe.bytes).sum();
    let answered = asked.iter().all(|asked| asked.probe.is_some());
    let latency = if answered { json!(latency.as_secs_f64() * 1_000.0) } else { Value::Null };
    Some(Check::new(status).with("latency_ms", latency).with("size_bytes", bytes))
}
