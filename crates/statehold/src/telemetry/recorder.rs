//! The recorder of metrics: Prometheus text, with a bound on the number of series.

use std::collections::HashSet;
use std::fmt;
use std::sync::{Arc, OnceLock};

use metrics::{
    Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit, counter, gauge,
};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder};
use parking_lot::Mutex;
use statehold_core::Clock;

use super::{names, process};
use crate::config::{FeatureSettings, Profile};

/// Upper bounds of the buckets of every histogram, seconds.
pub const BUCKETS: [f64; 14] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
/// Most series of a process.
pub const SERIES_MAX: usize = 10_000;
/// Series of one histogram: its buckets, the one without bound, sum and count.
const HISTOGRAM_SERIES: usize = BUCKETS.len() + 3;

static INSTALLED: OnceLock<PrometheusHandle> = OnceLock::new();

/// The process's metrics.
#[derive(Clone)]
pub struct Metrics(PrometheusHandle);

impl Metrics {
    /// Collects the metrics of the process from now on. Handles that were taken before stay silent, so this comes
    /// first. A process has one recorder: later calls get the same.
    ///
    /// None when another recorder was installed by somebody else; the process's metrics are then theirs.
    pub fn install(profile: Profile, features: FeatureSettings, clock: &dyn Clock) -> Option<Self> {
        let mut fresh = None;
        let handle = INSTALLED.get_or_init(|| {
            let (recorder, handle) = recorder(SERIES_MAX);
            fresh = Some(recorder);
            handle
        });
        if let Some(recorder) = fresh
            && metrics::set_global_recorder(recorder).is_err()
        {
            return None;
        }
        names::describe();
        gauge!("statehold_build_info", "version" => env!("CARGO_PKG_VERSION"), "profile" => profile.as_str())
            .set(1.0);
        gauge!("statehold_start_time_seconds").set(clock.now().millis() as f64 / 1_000.0);
        counter!("statehold_metrics_refused_total").absolute(0);
        for (feature, enabled) in features.each() {
            gauge!("statehold_feature_enabled", "feature" => feature).set(f64::from(u8::from(enabled)));
        }
        Some(Self(handle.clone()))
    }

    /// Everything in Prometheus text format 0.0.4.
    pub fn render(&self) -> String {
        process::observe();
        self.0.render()
    }

    /// Takes the samples of histograms together. Without it they pile up, so it is called every few seconds.
    pub fn upkeep(&self) {
        self.0.run_upkeep();
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics")
    }
}

fn recorder(series_max: usize) -> (Bounded, PrometheusHandle) {
    let inner = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &BUCKETS)
        .expect("the buckets are not empty")
        .build_recorder();
    let handle = inner.handle();
    (Bounded { inner, series_max, known: Arc::default() }, handle)
}

/// A recorder that refuses series beyond a bound: a label that was thought closed and is not costs its own metric, not
/// the memory of the process.
struct Bounded {
    inner: PrometheusRecorder,
    series_max: usize,
    known: Arc<Mutex<Known>>,
}

#[derive(Default)]
struct Known {
    keys: HashSet<Key>,
    series: usize,
}

impl Bounded {
    fn admits(&self, key: &Key, series: usize) -> bool {
        let mut known = self.known.lock();
        if known.keys.contains(key) {
            return true;
        }
        if known.series + series > self.series_max {
            return false;
        }
        known.series += series;
        known.keys.insert(key.clone());
        true
    }

    /// Counted in the recorder itself, which has room set aside for this one.
    fn refused(&self, metadata: &Metadata<'_>) {
        self.inner
            .register_counter(&Key::from_name("statehold_metrics_refused_total"), metadata)
            .increment(1);
    }
}

impl Recorder for Bounded {
    fn describe_counter(&self, key: KeyName, unit: Option<Unit>, text: SharedString) {
        self.inner.describe_counter(key, unit, text);
    }

    fn describe_gauge(&self, key: KeyName, unit: Option<Unit>, text: SharedString) {
        self.inner.describe_gauge(key, unit, text);
    }

    fn describe_histogram(&self, key: KeyName, unit: Option<Unit>, text: SharedString) {
        self.inner.describe_histogram(key, unit, text);
    }

    fn register_counter(&self, key: &Key, metadata: &Metadata<'_>) -> Counter {
        if self.admits(key, 1) {
            return self.inner.register_counter(key, metadata);
        }
        self.refused(metadata);
        Counter::noop()
    }

    fn register_gauge(&self, key: &Key, metadata: &Metadata<'_>) -> Gauge {
        if self.admits(key, 1) {
            return self.inner.register_gauge(key, metadata);
        }
        self.refused(metadata);
        Gauge::noop()
    }

    fn register_histogram(&self, key: &Key, metadata: &Metadata<'_>) -> Histogram {
        if self.admits(key, HISTOGRAM_SERIES) {
            return self.inner.register_histogram(key, metadata);
        }
        self.refused(metadata);
        Histogram::noop()
    }
}

#[cfg(test)]
mod tests {
    use metrics::histogram;

    use super::*;

    fn series(text: &str) -> usize {
        text.lines().filter(|line| !line.starts_with('#') && !line.is_empty()).count()
    }

    #[test]
    fn series_are_bounded_and_refusals_counted() {
        let (bounded, handle) = recorder(100);
        metrics::with_local_recorder(&bounded, || {
            for id in 0..1_000 {
                counter!("statehold_store_operations_total", "store" => id.to_string()).increment(1);
                histogram!("statehold_job_duration_seconds", "job" => id.to_string()).record(0.1);
            }
            counter!("statehold_store_operations_total", "store" => "0").increment(1);
        });
        let text = handle.render();
        assert!(series(&text) <= 101, "{}", series(&text));
        assert!(text.contains("statehold_metrics_refused_total 1"), "refusals are counted");
        assert!(text.contains("statehold_store_operations_total{store=\"0\"} 2"), "known series go on");
    }

    #[test]
    fn histograms_have_the_declared_buckets() {
        let (bounded, handle) = recorder(100);
        metrics::with_local_recorder(&bounded, || {
            histogram!("statehold_http_request_duration_seconds", "method" => "GET").record(0.003);
        });
        let text = handle.render();
        for bound in BUCKETS {
            assert!(text.contains(&format!("le=\"{bound}\"")), "{bound}");
        }
        assert!(
            text.contains("le=\"0.0025\"} 0")
                && text.contains("le=\"0.005\"} 1")
                && text.contains("le=\"+Inf\"} 1")
        );
        assert_eq!(series(&text), HISTOGRAM_SERIES);
    }

    #[test]
    fn the_process_tells_of_itself() {
        let clock = statehold_core::ManualClock::at(statehold_core::Time::from_millis(1_500));
        let features = FeatureSettings { verbose_logging: true };
        let metrics =
            Metrics::install(Profile::Production, features, &clock).expect("no other recorder is here");
        assert!(
            Metrics::install(Profile::Production, features, &clock).is_some(),
            "a second caller gets the same"
        );
        metrics.upkeep();
        let text = metrics.render();
        for line in [
            "statehold_build_info{version=\"0.1.0\",profile=\"production\"} 1",
            "statehold_start_time_seconds 1.5",
            "statehold_feature_enabled{feature=\"verbose_logging\"} 1",
            "# HELP statehold_build_info Always 1; the labels say what runs.",
            "# TYPE statehold_process_resident_memory_bytes gauge",
        ] {
            assert!(text.contains(line), "{line} in\n{text}");
        }
        assert!(text.lines().any(|line| line.starts_with("statehold_process_open_files ")));
    }
}
