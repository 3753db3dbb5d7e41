//! What every route shares.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use bytes::Bytes;
use statehold::Statehold;
use statehold::telemetry::Metrics;
use tokio_util::task::TaskTracker;
use utoipa::openapi::OpenApi;

use crate::meters::HttpMeters;
use crate::routes;
use crate::settings::Settings;

/// What every route shares. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct AppState(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    hold: Statehold,
    metrics: Option<Metrics>,
    settings: Settings,
    phase: AtomicU8,
    changes: TaskTracker,
    meters: HttpMeters,
    document: Bytes,
}

/// How far the server is on its way from start to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum Phase {
    /// Serves.
    Serving = 0,
    /// Serves, and readiness says no, so that balancers turn away.
    Draining = 1,
    /// Finishes what has begun and refuses the rest.
    Stopping = 2,
}

impl AppState {
    pub(crate) fn new(
        hold: Statehold,
        metrics: Option<Metrics>,
        settings: Settings,
        meters: HttpMeters,
        document: Bytes,
    ) -> Self {
        Self(Arc::new(Inner {
            hold,
            metrics,
            settings,
            phase: AtomicU8::new(Phase::Serving as u8),
            changes: TaskTracker::new(),
            meters,
            document,
        }))
    }

    /// The state of routes that `document` describes.
    pub(crate) fn described(
        hold: Statehold,
        metrics: Option<Metrics>,
        settings: Settings,
        document: &OpenApi,
    ) -> Self {
        let meters = HttpMeters::new(document.paths.paths.keys().map(String::as_str));
        Self::new(hold, metrics, settings, meters, routes::finish(document).to_string().into())
    }

    /// The running system: stores, control tables, health, jobs.
    pub(crate) fn hold(&self) -> &Statehold {
        &self.0.hold
    }

    /// The metrics of the process; none when they are not collected.
    pub(crate) fn metrics(&self) -> Option<&Metrics> {
        self.0.metrics.as_ref()
    }

    /// The settings.
    pub(crate) fn settings(&self) -> &Settings {
        &self.0.settings
    }

    /// Most bytes of a request's body.
    pub(crate) fn body_limit(&self) -> usize {
        self.0.settings.server.body_limit
    }

    /// How far the server is.
    pub(crate) fn phase(&self) -> Phase {
        match self.0.phase.load(Ordering::Acquire) {
            0 => Phase::Serving,
            1 => Phase::Draining,
            _ => Phase::Stopping,
        }
    }

    /// Moves on towards the stop; never back.
    pub(crate) fn enter(&self, phase: Phase) {
        self.0.phase.fetch_max(phase as u8, Ordering::AcqRel);
    }

    /// The requests that may change something: each runs to its end, whatever its caller does.
    pub(crate) fn changes(&self) -> &TaskTracker {
        &self.0.changes
    }

    /// The OpenAPI document as it is sent.
    pub(crate) fn document(&self) -> Bytes {
        self.0.document.clone()
    }

    /// Counts of HTTP.
    pub(crate) fn meters(&self) -> &HttpMeters {
        &self.0.meters
    }
}
