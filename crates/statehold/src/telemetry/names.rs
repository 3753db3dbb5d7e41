//! Every metric of the product, declared once: descriptions and the reference page come from here.

use std::fmt::Write as _;

use metrics::{describe_counter, describe_gauge};

/// One metric.
#[derive(Clone, Copy, Debug)]
pub struct Metric {
    /// Its name.
    pub name: &'static str,
    /// What it is.
    pub kind: MetricKind,
    /// Its labels; values come from closed lists.
    pub labels: &'static [&'static str],
    /// What it tells.
    pub doc: &'static str,
}

/// What a metric is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricKind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Samples in buckets, seconds.
    Histogram,
}

impl MetricKind {
    /// The name in the exposition format.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

const fn counter(name: &'static str, labels: &'static [&'static str], doc: &'static str) -> Metric {
    Metric { name, kind: MetricKind::Counter, labels, doc }
}

const fn gauge(name: &'static str, labels: &'static [&'static str], doc: &'static str) -> Metric {
    Metric { name, kind: MetricKind::Gauge, labels, doc }
}

const fn histogram(name: &'static str, labels: &'static [&'static str], doc: &'static str) -> Metric {
    Metric { name, kind: MetricKind::Histogram, labels, doc }
}

/// The table.
pub static METRICS: &[Metric] = &[
    gauge("statehold_build_info", &["version", "profile"], "Always 1; the labels say what runs."),
    gauge("statehold_start_time_seconds", &[], "When the process began to serve, seconds since 1970."),
    counter("statehold_process_cpu_seconds_total", &[], "Processor time the process took, user and system."),
    gauge("statehold_process_resident_memory_bytes", &[], "Memory of the process that is resident."),
    gauge("statehold_process_open_files", &[], "Open file descriptors."),
    counter("statehold_metrics_refused_total", &[], "Series refused because the process has its most."),
    counter("statehold_trace_dropped_total", &[], "Sampled spans that never reached the collector."),
    gauge("statehold_feature_enabled", &["feature"], "Whether a switch is on."),
    counter("statehold_http_requests_total", &["method", "route", "status_class"], "Requests answered."),
    histogram("statehold_http_request_duration_seconds", &["method", "route"], "How long requests took."),
    gauge("statehold_http_in_flight", &[], "Requests being answered."),
    gauge("statehold_http_connections", &[], "Open connections."),
    counter("statehold_store_operations_total", &["store", "operation", "outcome"], "Operations of stores."),
    histogram("statehold_store_operation_duration_seconds", &["store", "operation"], "How long they took."),
    gauge("statehold_store_items", &["store"], "Live items, as the last sweep found them."),
    counter(
        "statehold_store_expired_total",
        &["store"],
        "Items removed after they expired, of stores that watch their expiry.",
    ),
    counter(
        "statehold_engine_operations_total",
        &["engine", "kind", "operation", "outcome"],
        "Calls of engines, by how they ended.",
    ),
    histogram(
        "statehold_engine_operation_duration_seconds",
        &["engine", "kind", "operation"],
        "How long calls of engines took.",
    ),
    gauge("statehold_engine_up", &["engine"], "Whether the last probe was answered."),
    gauge("statehold_engine_latency_seconds", &["engine"], "Round trip of the last probe."),
    gauge("statehold_engine_memory_bytes", &["engine"], "Bytes the engine's state takes, where it says so."),
    counter(
        "statehold_engine_evicted_keys",
        &["engine"],
        "Live items the engine dropped since it was opened.",
    ),
    gauge(
        "statehold_pool_connections",
        &["engine", "state"],
        "Connections or readers, open (`total`) and at most (`max`).",
    ),
    gauge("statehold_health_status", &["check"], "0 healthy, 1 degraded, 2 unhealthy."),
    counter("statehold_job_runs_total", &["job", "outcome"], "Runs of background jobs."),
    gauge(
        "statehold_job_last_success_seconds",
        &["job", "outcome"],
        "When the job last did all its work, seconds since 1970.",
    ),
    histogram("statehold_job_duration_seconds", &["job", "outcome"], "How long runs took."),
    counter("statehold_cache_requests_total", &["result"], "Reads of the cache: hit or miss."),
    gauge("statehold_sessions_active", &["kind"], "Live sessions, as the last sweep found them."),
    counter("statehold_sessions_created_total", &["kind"], "Sessions created."),
    counter("statehold_sessions_ended_total", &["kind", "reason"], "Sessions ended."),
    counter("statehold_session_validations_total", &["result"], "Tokens checked."),
    counter("statehold_limit_decisions_total", &["policy", "decision"], "Decisions of rate limits."),
];

/// Tells the recorder what counters and gauges mean; histograms are rendered with the table at hand.
pub(super) fn describe() {
    for metric in METRICS {
        match metric.kind {
            MetricKind::Counter => describe_counter!(metric.name, metric.doc),
            MetricKind::Gauge => describe_gauge!(metric.name, metric.doc),
            MetricKind::Histogram => {}
        }
    }
}

/// The reference page, Markdown.
pub fn reference() -> String {
    let mut page = "\
# Metrics

<!-- Generated from the table of metrics by `cargo run -p statehold --example reference`; do not edit. -->

`GET /metrics`, Prometheus text format; scope `metrics:read`, or `metrics.public` on the ops listener. Units are base
units. Label values come from closed lists; ids, keys, owners and namespaces are never labels.
"
    .to_owned();
    let buckets: Vec<String> = super::BUCKETS.iter().map(ToString::to_string).collect();
    let _ = write!(
        page,
        "Histograms have the buckets {} seconds. A process has at most {} series; what would be more is refused and counted.\n\n\
         | Name | Type | Labels | Meaning |\n|---|---|---|---|\n",
        buckets.join(", "),
        super::SERIES_MAX,
    );
    for metric in METRICS {
        let labels: Vec<String> = metric.labels.iter().map(|label| format!("`{label}`")).collect();
        let labels = if labels.is_empty() { "–".to_owned() } else { labels.join(", ") };
        let _ =
            writeln!(page, "| `{}` | {} | {labels} | {} |", metric.name, metric.kind.as_str(), metric.doc);
    }
    page
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::{Path, PathBuf};

    use super::*;

    #[test]
    fn the_reference_page_is_current() {
        let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/metrics.md");
        let kept = fs::read_to_string(page).unwrap_or_default();
        assert!(kept == reference(), "docs/reference is old: `cargo run -p statehold --example reference`");
    }

    #[test]
    fn names_follow_the_rules() {
        let mut seen = BTreeSet::new();
        for metric in METRICS {
            assert!(seen.insert(metric.name), "{} is declared twice", metric.name);
            assert!(metric.name.starts_with("statehold_"), "{}", metric.name);
            if metric.kind == MetricKind::Histogram {
                assert!(metric.name.ends_with("_seconds"), "{}", metric.name);
            }
        }
    }

    /// Whatever the product counts anywhere is in the table, and nothing else is.
    #[test]
    fn the_table_is_what_the_sources_count() {
        let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let mut files = Vec::new();
        sources(&crates, &mut files);
        assert!(files.len() > 50, "the sources are found");
        let quoted = |text: &str| -> Vec<String> {
            text.split('"')
                .skip(1)
                .step_by(2)
                .filter(|word| {
                    word.starts_with("statehold_")
                        && word.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
                })
                .map(str::to_owned)
                .collect()
        };
        let mut counted = BTreeSet::new();
        for file in files.iter().filter(|file| !file.ends_with("telemetry/names.rs")) {
            let text = fs::read_to_string(file).unwrap();
            counted.extend(quoted(&text));
            for line in text.lines().filter(|line| !line.trim_start().starts_with("//")) {
                let counts =
                    ["counter!", "gauge!", "histogram!", "const "].iter().any(|word| line.contains(word));
                for name in quoted(line).into_iter().filter(|_| counts) {
                    let declared = METRICS.iter().any(|metric| metric.name == name);
                    assert!(declared, "{name} of {} is not declared", file.display());
                }
            }
        }
        for metric in METRICS {
            assert!(counted.contains(metric.name), "{} is declared and never counted", metric.name);
        }
    }

    fn sources(directory: &Path, files: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(directory).unwrap().map(Result::unwrap) {
            let path = entry.path();
            if path.is_dir() {
                sources(&path, files);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
}
