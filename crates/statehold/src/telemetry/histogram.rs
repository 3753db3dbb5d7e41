//! Histograms with fixed buckets: a sample is two additions, and no sample is kept.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use metrics::{HistogramFn, Key};
use parking_lot::Mutex;

use super::METRICS;

/// Upper bounds of the buckets of every histogram, seconds.
pub const BUCKETS: [f64; 14] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
/// Series of one histogram: its buckets, the one without bound, sum and count.
pub(super) const SERIES: usize = BUCKETS.len() + 3;

/// The samples of one series, counted.
#[derive(Debug, Default)]
pub(super) struct Histogram {
    buckets: [AtomicU64; BUCKETS.len() + 1],
    sum_ns: AtomicU64,
}

impl HistogramFn for Histogram {
    fn record(&self, seconds: f64) {
        // What is no number is in no bucket; a clock that stepped back is the shortest time there is.
        if seconds.is_nan() {
            return;
        }
        let bucket = BUCKETS.partition_point(|bound| *bound < seconds);
        self.buckets[bucket].fetch_add(1, Ordering::Relaxed);
        self.sum_ns.fetch_add((seconds * 1e9) as u64, Ordering::Relaxed);
    }
}

/// Every histogram of a recorder, by name and labels as they are shown.
#[derive(Clone, Debug, Default)]
pub(super) struct Histograms(Arc<Mutex<BTreeMap<String, Series>>>);

/// Histograms of one name by their labels.
type Series = BTreeMap<String, Arc<Histogram>>;

impl Histograms {
    /// The histogram of a key, made when it is new.
    pub(super) fn of(&self, key: &Key) -> Arc<Histogram> {
        let mut all = self.0.lock();
        let series = all.entry(key.name().to_owned()).or_default();
        Arc::clone(series.entry(labels(key)).or_default())
    }

    /// Prometheus text format 0.0.4.
    pub(super) fn render(&self, text: &mut String) {
        for (name, series) in &*self.0.lock() {
            if let Some(metric) = METRICS.iter().find(|metric| metric.name == name) {
                let _ = writeln!(text, "# HELP {name} {}", metric.doc);
            }
            let _ = writeln!(text, "# TYPE {name} histogram");
            for (labels, histogram) in series {
                histogram.render(text, name, labels);
            }
            text.push('\n');
        }
    }
}

impl Histogram {
    fn render(&self, text: &mut String, name: &str, labels: &str) {
        let comma = if labels.is_empty() { "" } else { "," };
        let mut count = 0;
        for (place, bucket) in self.buckets.iter().enumerate() {
            count += bucket.load(Ordering::Relaxed);
            let bound = BUCKETS.get(place).map_or_else(|| "+Inf".to_owned(), ToString::to_string);
            let _ = writeln!(text, "{name}_bucket{{{labels}{comma}le=\"{bound}\"}} {count}");
        }
        let braces = if labels.is_empty() { String::new() } else { format!("{{{labels}}}") };
        let sum = self.sum_ns.load(Ordering::Relaxed) as f64 / 1e9;
        let _ = writeln!(text, "{name}_sum{braces} {sum}\n{name}_count{braces} {count}");
    }
}

fn labels(key: &Key) -> String {
    let mut shown = String::new();
    for label in key.labels() {
        let comma = if shown.is_empty() { "" } else { "," };
        let value = label.value().replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        let _ = write!(shown, "{comma}{}=\"{value}\"", label.key());
    }
    shown
}

#[cfg(test)]
mod tests {
    use metrics::Label;

    use super::*;

    #[test]
    fn samples_are_counted_where_they_belong() {
        let histograms = Histograms::default();
        let key = |job: &'static str| {
            Key::from_parts("statehold_job_duration_seconds", vec![Label::new("job", job)])
        };
        for seconds in [0.0, -1.0, 0.0005, 0.0006, 10.0, 10.5, 1e300, f64::INFINITY, f64::NAN] {
            histograms.of(&key("sweep")).record(seconds);
        }
        histograms.of(&key("a\"b")).record(0.25);
        histograms.of(&Key::from_name("bare_seconds")).record(1.5);
        let mut text = String::new();
        histograms.render(&mut text);
        for line in [
            "# TYPE statehold_job_duration_seconds histogram",
            "statehold_job_duration_seconds_bucket{job=\"sweep\",le=\"0.0005\"} 3",
            "statehold_job_duration_seconds_bucket{job=\"sweep\",le=\"0.001\"} 4",
            "statehold_job_duration_seconds_bucket{job=\"sweep\",le=\"10\"} 5",
            "statehold_job_duration_seconds_bucket{job=\"sweep\",le=\"+Inf\"} 8",
            "statehold_job_duration_seconds_count{job=\"sweep\"} 8",
            "statehold_job_duration_seconds_sum{job=\"a\\\"b\"} 0.25",
            "bare_seconds_bucket{le=\"1\"} 0",
            "bare_seconds_sum 1.5",
            "bare_seconds_count 1",
        ] {
            assert!(text.lines().any(|shown| shown == line), "{line} in\n{text}");
        }
    }
}
