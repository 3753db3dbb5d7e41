//! Traces: sampled requests as spans of OpenTelemetry, sent to a collector by OTLP over HTTP.
//!
//! Without `trace.endpoint` nothing here is installed: no layer sees a span, and none but the request's is made.

mod context;
mod export;

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider};
use tracing::Metadata;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{FilterFn, LevelFilter, filter_fn};
use tracing_subscriber::registry::Registry;

pub use context::{TraceParent, request_begins, request_ends};
use export::Exporter;

use crate::VERSION;
use crate::config::TraceSettings;

/// What spans of stores and engines have as their target. They are at level `trace`, so that a process without
/// traces does not make them.
const TARGET: &str = "statehold::trace";
/// Where the span of a request is made, and what it is called.
const REQUEST: (&str, &str) = ("statehold_server::edge", "request");

/// Most attributes of a span.
const ATTRIBUTES_MAX: u32 = 32;

/// Whether spans are traced in this process.
static ON: AtomicBool = AtomicBool::new(false);

/// The process's traces.
pub struct Traces {
    provider: SdkTracerProvider,
    exporter: Exporter,
}

/// Traces cannot be sent: the client for the collector cannot be made.
#[derive(Debug)]
pub struct TracesError(reqwest::Error);

impl fmt::Display for TracesError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the client for the trace collector cannot be made")
    }
}

impl std::error::Error for TracesError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.0)
    }
}

impl Traces {
    /// Traces as configured; none without an endpoint. The collector is not asked. What is sampled goes out once
    /// [`Logs::install`](super::Logs::install) has been given them. Call it inside a runtime of tokio.
    ///
    /// # Errors
    /// When the client for the collector cannot be made.
    pub fn open(settings: &TraceSettings) -> Result<Option<Self>, TracesError> {
        let Some(endpoint) = &settings.endpoint else { return Ok(None) };
        let resource = Resource::builder_empty()
            .with_attributes([
                KeyValue::new("service.name", "statehold"),
                KeyValue::new("service.version", VERSION),
            ])
            .build();
        let (exporter, queue) = Exporter::start(endpoint, &resource).map_err(TracesError)?;
        let roots = Sampler::TraceIdRatioBased(settings.sample_ratio);
        let provider = SdkTracerProvider::builder()
            .with_sampler(Sampler::ParentBased(Box::new(roots)))
            // Said here, so that the SDK does not take them from the environment.
            .with_max_attributes_per_span(ATTRIBUTES_MAX)
            .with_max_events_per_span(0)
            .with_max_links_per_span(0)
            .with_resource(resource)
            .with_span_processor(queue)
            .build();
        Ok(Some(Self { provider, exporter }))
    }

    /// The layer that makes spans of the ones the product declares, and of nothing else.
    pub(super) fn layer(&self) -> impl Layer<Registry> + Send + Sync + use<> {
        tracing_opentelemetry::layer()
            .with_tracer(self.provider.tracer("statehold"))
            .with_location(false)
            .with_threads(false)
            .with_tracked_inactivity(false)
            .with_filter(ours())
    }

    /// From now on requests are traced.
    pub(super) fn begin() {
        ON.store(true, Ordering::Relaxed);
    }

    /// Sends what waits, for so long at most; spans that end later are dropped and counted.
    pub async fn close(self, within: Duration) {
        ON.store(false, Ordering::Relaxed);
        self.exporter.close(within).await;
    }
}

impl fmt::Debug for Traces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Traces")
    }
}

/// Spans only: an event may carry the cause of an error, which is for the log alone.
fn ours() -> FilterFn<impl Fn(&Metadata<'_>) -> bool> {
    filter_fn(|metadata| {
        metadata.is_span() && (metadata.target() == TARGET || (metadata.target(), metadata.name()) == REQUEST)
    })
    .with_max_level_hint(LevelFilter::TRACE)
}
