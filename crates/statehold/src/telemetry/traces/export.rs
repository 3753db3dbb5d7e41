//! Spans that have ended, on their way to the collector: a bounded queue and one task that empties it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use opentelemetry::Context;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::transform::common::tonic::ResourceAttributesWithSchema;
use opentelemetry_proto::transform::trace::tonic::group_spans_by_resource_and_scope;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{Span, SpanData, SpanProcessor};
use prost::Message as _;
use reqwest::header::CONTENT_TYPE;
use reqwest::{Client, redirect};
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Most spans that wait; one more is dropped and counted.
const QUEUE_MAX: usize = 2_048;
/// Most spans of one message.
const BATCH_MAX: usize = 512;
/// How long a span waits for others.
const BATCH_WAIT: Duration = Duration::from_secs(1);
/// How long the collector may take to answer.
const ANSWER_MAX: Duration = Duration::from_secs(10);

/// Counter of spans that never reached the collector.
const DROPPED: &str = "statehold_trace_dropped_total";

/// Where spans wait. It never makes the request wait that ended them.
#[derive(Debug)]
pub(super) struct Queue {
    spans: Sender<SpanData>,
    dropped: Arc<AtomicU64>,
}

impl SpanProcessor for Queue {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, span: SpanData) {
        if span.span_context.is_sampled() && self.spans.try_send(span).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

/// The task that empties the queue.
pub(super) struct Exporter {
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Exporter {
    /// Starts it, and gives what spans are handed to.
    pub(super) fn start(endpoint: &str, resource: &Resource) -> Result<(Self, Queue), reqwest::Error> {
        // Where spans go is for the configuration alone to say: no proxy from the environment, no redirect.
        let client =
            Client::builder().timeout(ANSWER_MAX).no_proxy().redirect(redirect::Policy::none()).build()?;
        let (spans, waiting) = channel(QUEUE_MAX);
        let dropped = Arc::new(AtomicU64::new(0));
        let stop = CancellationToken::new();
        let work = Work {
            client,
            url: format!("{}/v1/traces", endpoint.trim_end_matches('/')),
            resource: resource.into(),
            dropped: Arc::clone(&dropped),
            stop: stop.clone(),
        };
        let task = tokio::spawn(work.run(waiting));
        Ok((Self { stop, task }, Queue { spans, dropped }))
    }

    /// Sends what waits, for so long at most.
    pub(super) async fn close(mut self, within: Duration) {
        self.stop.cancel();
        if tokio::time::timeout(within, &mut self.task).await.is_err() {
            self.task.abort();
            tracing::warn!(event = "trace_flush_cut", "spans were left unsent: the collector took too long");
        }
    }
}

struct Work {
    client: Client,
    url: String,
    resource: ResourceAttributesWithSchema,
    dropped: Arc<AtomicU64>,
    stop: CancellationToken,
}

impl Work {
    async fn run(self, mut waiting: Receiver<SpanData>) {
        let mut batch = Vec::with_capacity(BATCH_MAX);
        while self.fill(&mut batch, &mut waiting).await {
            if !batch.is_empty() {
                self.send(std::mem::replace(&mut batch, Vec::with_capacity(BATCH_MAX))).await;
            }
            self.count();
        }
        self.count();
    }

    /// Waits for a batch to be full or old enough; false when there will be no more.
    async fn fill(&self, batch: &mut Vec<SpanData>, waiting: &mut Receiver<SpanData>) -> bool {
        let wait = tokio::time::sleep(BATCH_WAIT);
        tokio::pin!(wait);
        while batch.len() < BATCH_MAX {
            let room = BATCH_MAX - batch.len();
            tokio::select! {
                biased;
                // What is sent after this is refused; what waits is still received, until nothing is left.
                () = self.stop.cancelled(), if !waiting.is_closed() => waiting.close(),
                taken = waiting.recv_many(batch, room) => {
                    if taken == 0 {
                        return !batch.is_empty();
                    }
                }
                () = &mut wait => return true,
            }
        }
        true
    }

    async fn send(&self, batch: Vec<SpanData>) {
        let spans = batch.len() as u64;
        let resource_spans = group_spans_by_resource_and_scope(batch, &self.resource);
        let body = ExportTraceServiceRequest { resource_spans }.encode_to_vec();
        let request = self.client.post(&self.url).header(CONTENT_TYPE, "application/x-protobuf").body(body);
        let answer = request.send().await.and_then(reqwest::Response::error_for_status);
        if let Err(error) = answer {
            self.dropped.fetch_add(spans, Ordering::Relaxed);
            let error = error.without_url();
            let error: &(dyn std::error::Error + 'static) = &error;
            tracing::warn!(event = "trace_export_failed", spans, error, "spans did not reach the collector");
        }
    }

    /// Drops are counted here, away from requests.
    fn count(&self) {
        let dropped = self.dropped.swap(0, Ordering::Relaxed);
        if dropped > 0 {
            metrics::counter!(DROPPED).increment(dropped);
        }
    }
}
