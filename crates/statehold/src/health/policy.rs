//! From figures to a status. Without clock and I/O.

use std::collections::VecDeque;
use std::time::Duration;

use serde_json::Value;
use statehold_core::{EngineKind, Probe};

use super::report::{Check, Status};

/// Pings that the median is taken of.
const PINGS: usize = 3;

/// The worst of many; healthy where there is none.
pub(super) fn worst(statuses: impl IntoIterator<Item = Status>) -> Status {
    statuses.into_iter().max().unwrap_or(Status::Healthy)
}

/// The round trips of the last pings to one engine.
#[derive(Clone, Debug, Default)]
pub(super) struct Pings(VecDeque<Duration>);

impl Pings {
    pub(super) fn note(&mut self, round_trip: Duration) {
        if self.0.len() == PINGS {
            self.0.pop_front();
        }
        self.0.push_back(round_trip);
    }

    pub(super) fn median(&self) -> Duration {
        let mut sorted: Vec<_> = self.0.iter().copied().collect();
        sorted.sort_unstable();
        sorted.get(sorted.len() / 2).copied().unwrap_or_default()
    }
}

/// How an engine that answered is.
pub(super) fn answered(probe: &Probe, median: Duration, degraded_latency: Duration) -> Status {
    if probe.unsound {
        Status::Unhealthy
    } else if median > degraded_latency {
        Status::Degraded
    } else {
        Status::Healthy
    }
}

/// The kinds of the engines that the stores use at this moment, in words.
pub(super) fn mode(kinds: &[EngineKind]) -> &'static str {
    let memory = kinds.iter().filter(|&&kind| kind == EngineKind::Memory).count();
    let embedded = kinds.iter().filter(|&&kind| kind == EngineKind::Embedded).count();
    match (memory, embedded, kinds.len()) {
        (0, 0, _) => "distributed",
        (memory, _, all) if memory == all => "in-memory",
        (_, embedded, all) if embedded == all => "embedded",
        _ => "mixed",
    }
}

/// The block about Redis, which dashboards expect whether or not there is one.
pub(super) fn redis_stores(kinds: &[EngineKind]) -> Check {
    let mode = mode(kinds);
    let in_memory = kinds.contains(&EngineKind::Memory);
    let (status, description) = if in_memory {
        (Status::Degraded, "Redis is not configured; a store is kept in memory and ends with this process")
    } else {
        (Status::Healthy, "Redis is not configured; every store has a durable home")
    };
    Check::new(status)
        .described(description)
        .with("redis.configured", false)
        .with("redis.connected", false)
        .with("redis.latency_ms", Value::Null)
        .with("stores.mode", mode)
        .with("stores.distributed", mode == "distributed")
        .with("redis.error", Value::Null)
}

/// Whether there is room left on the disk.
pub(super) fn disk(free_bytes: u64, bytes_min: u64) -> Check {
    let status = if free_bytes < bytes_min { Status::Unhealthy } else { Status::Healthy };
    Check::new(status).with("free_bytes", free_bytes).with("min_bytes", bytes_min)
}

/// Whether the record database has the schema that this version writes.
pub(super) fn schema(version: u64, expected: u64) -> Check {
    let status = if version == expected { Status::Healthy } else { Status::Unhealthy };
    Check::new(status).with("version", version).with("expected", expected)
}

/// Whether the jobs run when they should.
pub(super) fn jobs(late: usize) -> Check {
    let status = if late == 0 { Status::Healthy } else { Status::Degraded };
    Check::new(status).with("late", late)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f264_the_mode_says_what_is_used() {
        use EngineKind::{Embedded, Memory, Postgres, Redis};
        assert_eq!(mode(&[Embedded, Embedded]), "embedded");
        assert_eq!(mode(&[Memory]), "in-memory");
        assert_eq!(mode(&[Memory, Embedded]), "mixed");
        assert_eq!(mode(&[Redis, Postgres]), "distributed");
        assert_eq!(mode(&[Redis, Embedded]), "mixed");
    }

    #[test]
    fn f260_the_five_keys_are_there_with_their_types() {
        let check = redis_stores(&[EngineKind::Embedded]);
        assert_eq!(check.status, Status::Healthy);
        assert_eq!(check.data["redis.configured"], Value::Bool(false));
        assert_eq!(check.data["redis.connected"], Value::Bool(false));
        assert_eq!(check.data["redis.latency_ms"], Value::Null);
        assert_eq!(check.data["stores.mode"], Value::from("embedded"));
        assert_eq!(check.data["stores.distributed"], Value::Bool(false));
    }

    #[test]
    fn f261_slow_engines_and_memory_homes_are_degraded() {
        let limit = Duration::from_millis(100);
        let sound = Probe::default();
        assert_eq!(answered(&sound, Duration::from_millis(100), limit), Status::Healthy);
        assert_eq!(answered(&sound, Duration::from_millis(150), limit), Status::Degraded);
        let unsound = Probe { unsound: true, ..sound };
        assert_eq!(answered(&unsound, Duration::ZERO, limit), Status::Unhealthy);
        assert_eq!(redis_stores(&[EngineKind::Memory, EngineKind::Embedded]).status, Status::Degraded);
    }

    #[test]
    fn f262_a_full_disk_a_wrong_schema_and_late_jobs_flip_their_status() {
        assert_eq!(disk(99, 100).status, Status::Unhealthy);
        assert_eq!(disk(100, 100).status, Status::Healthy);
        assert_eq!(schema(1, 2).status, Status::Unhealthy);
        assert_eq!(schema(2, 2).status, Status::Healthy);
        assert_eq!(jobs(1).status, Status::Degraded);
        assert_eq!(worst([Status::Healthy, Status::Unhealthy, Status::Degraded]), Status::Unhealthy);
        assert_eq!(worst([]), Status::Healthy);
    }

    #[test]
    fn one_slow_ping_of_three_is_passed_over() {
        let mut pings = Pings::default();
        for millis in [1, 900, 2, 3] {
            pings.note(Duration::from_millis(millis));
        }
        assert_eq!(pings.median(), Duration::from_millis(3));
        pings.note(Duration::from_millis(800));
        assert_eq!(pings.median(), Duration::from_millis(3));
    }
}
