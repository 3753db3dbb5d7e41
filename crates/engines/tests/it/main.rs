//! Engines against an independent reference: random verbs on both, every answer compared.

#[cfg(test)]
mod limits;
#[cfg(test)]
mod model;
#[cfg(test)]
mod operations;
#[cfg(test)]
mod reference;

use std::sync::Arc;

use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;
use statehold_core::{Clock, ManualClock, Movable};
use statehold_engines::memory::{MemoryConfig, MemoryEngine};
use statehold_engines::sql::{EmbeddedConfig, EmbeddedEngine, Synchronous};

use model::{Subject, run};
use operations::{Setting, operations, setting};

/// Failures are kept, shrunk, beside the test and tried first from then on; a failure prints its seed.
fn settled(cases: u32) -> ProptestConfig {
    let kept = FileFailurePersistence::Direct("tests/it/regressions.txt");
    let default = ProptestConfig::default();
    let cases = if default.cases == 256 { cases } else { default.cases };
    ProptestConfig { cases, failure_persistence: Some(Box::new(kept)), max_shrink_iters: 10_000, ..default }
}

struct Memory(Arc<MemoryEngine>);

impl Subject for Memory {
    fn engine(&self) -> Arc<dyn Movable> {
        Arc::clone(&self.0) as Arc<dyn Movable>
    }

    fn tidy(&mut self) {
        self.0.sweep(3);
    }
}

fn memory(clock: Arc<ManualClock>) -> Memory {
    Memory(MemoryEngine::new(MemoryConfig::default(), clock as Arc<dyn Clock>))
}

/// The embedded engine on a file of its own; closed and opened again as what it does beside its verbs.
struct Embedded {
    directory: tempfile::TempDir,
    clock: Arc<ManualClock>,
    engine: Arc<EmbeddedEngine>,
}

fn open(directory: &std::path::Path, clock: &Arc<ManualClock>) -> Arc<EmbeddedEngine> {
    // What is tested here does not depend on syncs, which would make it slow.
    let config = EmbeddedConfig {
        synchronous: Synchronous::Normal,
        readers: 1,
        ..EmbeddedConfig::at("embedded", directory.join("state.db"))
    };
    EmbeddedEngine::open(config, Arc::clone(clock) as Arc<dyn Clock>)
        .expect("an engine on a directory of its own")
}

fn embedded(clock: Arc<ManualClock>) -> Embedded {
    let directory = tempfile::tempdir().expect("a directory for a test");
    let engine = open(directory.path(), &clock);
    Embedded { directory, clock, engine }
}

impl Subject for Embedded {
    fn engine(&self) -> Arc<dyn Movable> {
        Arc::clone(&self.engine) as Arc<dyn Movable>
    }

    fn tidy(&mut self) {
        self.engine.close();
        self.engine = open(self.directory.path(), &self.clock);
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        self.engine.close();
    }
}

proptest! {
    #![proptest_config(settled(48))]

    #[test]
    fn the_embedded_engine_does_what_the_reference_does(setting in setting(), operations in operations(60)) {
        run(embedded, &setting, &operations)?;
    }
}

proptest! {
    #![proptest_config(settled(256))]

    #[test]
    fn the_memory_engine_does_what_the_reference_does(setting in setting(), operations in operations(60)) {
        run(memory, &setting, &operations)?;
    }
}

/// The reference bites: a wrong one is told apart from the engine by these very operations.
#[test]
fn the_comparison_notices_an_engine_that_never_expires() {
    use operations::{MutationSpec, Operation};
    let setting = Setting { observes_expiry: false, marking: false };
    let put = Operation::Commit {
        partition: 0,
        id: None,
        checks: Vec::new(),
        mutations: vec![(1, MutationSpec::Put { value: 1, ttl_ms: Some(1) })],
    };
    let operations = [put, Operation::Advance { micros: 2_000 }];
    // An engine on a clock that stands still while the reference's goes on.
    let frozen = |_| memory(Arc::new(ManualClock::default()));
    assert!(run(frozen, &setting, &operations).is_err());
}
