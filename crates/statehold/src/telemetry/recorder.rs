//! The recorder of metrics: Prometheus text, with a bound on the number of series.

use std::collections::HashSet;
use std::fmt;
use std::sync::OnceLock;

use metrics::{
    Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit, counter, gauge,
};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle, PrometheusRecorder};
use parking_lot::Mutex;
use statehold_core::Clock;

use super::histogram::{self, Histograms};
use super::{names, process};
use crate::config::{FeatureSettings, Profile};

/// Most series of a process.
pub const SERIES_MAX: usize = 10_000;
static INSTALLED: OnceLock<Metrics> = OnceLock::new();

/// The process's metrics.
#[derive(Clone)]
pub struct Metrics {
    /// Counters and gauges.
    numbers: PrometheusHandle,
    histograms: Histograms,
}

impl Metrics {
    /// Collects the metrics of the process from now on. Handles that were taken before stay silent, so this comes
    /// first. A process has one recorder: later calls get the same.
    ///
    /// None when another recorder was installed by somebody else; the process's metrics are then theirs.
    pub fn install(profile: Profile, features: FeatureSettings, clock: &dyn Clock) -> Option<Self> {
        let mut fresh = None;
        let installed = INSTALLED.get_or_init(|| {
            let (recorder, metrics) = recorder(SERIES_MAX);
            fresh = Some(recorder);
            metrics
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
        Some(installed.clone())
    }

    /// Everything in Prometheus text format 0.0.4.
    pub fn render(&self) -> String {
        process::observe();
        self.text()
    }

    fn text(&self) -> String {
        let mut text = self.numbers.render();
        self.histograms.render(&mut text);
        text
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics")
    }
}

fn recorder(series_max: usize) -> (Bounded, Metrics) {
    let inner = PrometheusBuilder::new().build_recorder();
    let metrics = Metrics { numbers: inner.handle(), histograms: Histograms::default() };
    let histograms = metrics.histograms.clone();
    (Bounded { inner, histograms, series_max, known: Mutex::default() }, metrics)
}

/// A recorder that refuses series beyond a bound: a label that was thought closed and is not costs its own metric, not
/// the memory of the process.
struct Bounded {
    inner: PrometheusRecorder,
    histograms: Histograms,
    series_max: usize,
    known: Mutex<Known>,
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

    /// Histograms are described by the table of metrics alone.
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

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
        if self.admits(key, histogram::SERIES) {
            return Histogram::from_arc(self.histograms.of(key));
        }
        self.refused(metadata);
        Histogram::noop()
    }
}

#[cfg(test)]
mod tests {
    use super::super::BUCKETS;

    use super::*;

    fn series(text: &str) -> usize {
        text.lines().filter(|line| !line.starts_with('#') && !line.is_empty()).count()
    }

    #[test]
    fn series_are_bounded_and_refusals_counted() {
        let (bounded, shown) = recorder(100);
        metrics::with_local_recorder(&bounded, || {
            for id in 0..1_000 {
                counter!("statehold_store_operations_total", "store" => id.to_string()).increment(1);
                metrics::histogram!("statehold_job_duration_seconds", "job" => id.to_string()).record(0.1);
            }
            counter!("statehold_store_operations_total", "store" => "0").increment(1);
        });
        let text = shown.text();
        assert!(series(&text) <= 101, "{}", series(&text));
        assert!(text.contains("statehold_metrics_refused_total 1"), "refusals are counted");
        assert!(text.contains("statehold_store_operations_total{store=\"0\"} 2"), "known series go on");
    }

    #[test]
    fn histograms_have_the_declared_buckets() {
        let (bounded, shown) = recorder(100);
        metrics::with_local_recorder(&bounded, || {
            metrics::histogram!("statehold_http_request_duration_seconds", "method" => "GET").record(0.003);
        });
        let text = shown.text();
        for bound in BUCKETS {
            assert!(text.contains(&format!("le=\"{bound}\"")), "{bound}");
        }
        assert!(
            text.contains("le=\"0.0025\"} 0")
                && text.contains("le=\"0.005\"} 1")
                && text.contains("le=\"+Inf\"} 1")
        );
        assert_eq!(series(&text), histogram::SERIES);
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
