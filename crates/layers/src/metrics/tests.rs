//! The metrics layer around the memory engine, read back through a recorder of its own.

use std::collections::BTreeMap;
use std::sync::Mutex;

use metrics::{
    Counter, CounterFn, Gauge, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder, SharedString, Unit,
};
use statehold_core::{
    Address, Commit, Cx, Epoch, Kind, ManualClock, Namespace, Partition, Place, Range, Scan, Space,
    StoreName, Time, View,
};
use statehold_engines::memory::{MemoryConfig, MemoryEngine};

use super::*;

/// Sums of counters and numbers of samples, by name and labels.
#[derive(Clone, Default)]
struct Ledger(Arc<Mutex<BTreeMap<String, u64>>>);

struct Cell(Ledger, String);

impl Cell {
    fn add(&self, value: u64) {
        *self.0.0.lock().unwrap().entry(self.1.clone()).or_default() += value;
    }
}

impl CounterFn for Cell {
    fn increment(&self, value: u64) {
        self.add(value);
    }

    fn absolute(&self, _: u64) {}
}

impl HistogramFn for Cell {
    fn record(&self, seconds: f64) {
        assert!((0.0..60.0).contains(&seconds), "durations are seconds");
        self.add(1);
    }
}

impl Ledger {
    fn cell(&self, key: &Key) -> Arc<Cell> {
        let labels: Vec<_> = key.labels().map(|label| format!("{}={}", label.key(), label.value())).collect();
        let name = format!("{}{{{}}}", key.name(), labels.join(","));
        self.0.lock().unwrap().entry(name.clone()).or_default();
        Arc::new(Cell(self.clone(), name))
    }
}

impl Recorder for Ledger {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.cell(key))
    }

    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::noop()
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(self.cell(key))
    }
}

async fn each_verb(engine: &dyn Engine, place: &Place) -> Vec<(&'static str, Option<Kind>)> {
    let cx = Cx::new();
    let wanted: [Address; 1] = [place.item("i")];
    let scan = Scan::new(&place.space, View::Live);
    let kind = |error: statehold_core::Error| error.kind();
    vec![
        ("fetch", engine.fetch(&cx, &wanted).await.map_err(kind).err()),
        ("list", engine.list(&cx, place, &[Range::all()]).await.map_err(kind).err()),
        ("commit", engine.commit(&cx, place, &Commit::new().delete("i")).await.map_err(kind).err()),
        ("scan", engine.scan(&cx, &scan).await.map_err(kind).err()),
        ("probe", engine.probe(&cx).await.map_err(kind).err()),
    ]
}

#[tokio::test]
async fn every_call_is_counted_once_and_answered_the_same() {
    let clock = Arc::new(ManualClock::at(Time::from_millis(1)));
    let inner: Arc<dyn Engine> = MemoryEngine::new(MemoryConfig::default(), clock);
    let ledger = Ledger::default();
    let metered = metrics::with_local_recorder(&ledger, || MetricsLayer.wrap(Arc::clone(&inner)));
    assert_eq!(metered.description().name, inner.description().name);
    let space = Space::new(Namespace::new("n").unwrap(), StoreName::new("s").unwrap());
    let place = Place::new(&space, Partition::new("p").unwrap()).at(Epoch(99));

    let bare = each_verb(&*inner, &place).await;
    let through = each_verb(&*metered, &place).await;
    assert_eq!(bare, through);

    let counts = ledger.0.lock().unwrap();
    let labels = format!("engine={},kind=memory", inner.description().name);
    assert_eq!(counts.len(), 5 * (policy::Outcome::ALL.len() + 1), "all handles are registered beforehand");
    for (operation, error) in through {
        let outcome = match error {
            None => "ok",
            Some(kind) => policy::Outcome::of(&statehold_core::Error::new(kind, "")).as_str(),
        };
        let of = format!("{{{labels},operation={operation}");
        assert_eq!(counts[&format!("{ENGINE_OPERATION_DURATION}{of}}}")], 1);
        for other in policy::Outcome::ALL {
            let counted = counts[&format!("{ENGINE_OPERATIONS}{of},outcome={}}}", other.as_str())];
            assert_eq!(counted, u64::from(other.as_str() == outcome), "{operation} {other:?}");
        }
    }
}

#[test]
fn it_stands_in_its_slot() {
    assert_eq!(MetricsLayer.slot(), Slot::Metrics);
}
