//! Counts and durations of HTTP by route template: never by path, so the number of series is bounded by the routes.

use std::collections::HashMap;
use std::fmt;
use std::sync::OnceLock;
use std::time::Duration;

use axum::http::{Method, StatusCode};
use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};

const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "other"];
const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];
/// The route label of paths that no route answers.
const UNMATCHED: &str = "unmatched";

/// Handles of every series, each made on first use and found without formatting from then on.
pub(crate) struct HttpMeters {
    routes: HashMap<Box<str>, Route>,
    unmatched: Route,
    in_flight: Gauge,
    connections: Gauge,
}

#[derive(Default)]
struct Route([OnceLock<Series>; METHODS.len()]);

struct Series {
    requests: [OnceLock<Counter>; CLASSES.len()],
    duration: Histogram,
}

/// Counts something as present until dropped.
pub(crate) struct Present(Gauge);

impl Present {
    fn of(gauge: &Gauge) -> Self {
        gauge.increment(1.0);
        Self(gauge.clone())
    }
}

impl Drop for Present {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}

impl HttpMeters {
    /// Meters for these route templates.
    pub(crate) fn new<'a>(templates: impl IntoIterator<Item = &'a str>) -> Self {
        Self {
            routes: templates.into_iter().map(|template| (template.into(), Route::default())).collect(),
            unmatched: Route::default(),
            in_flight: gauge!("statehold_http_in_flight"),
            connections: gauge!("statehold_http_connections"),
        }
    }

    /// A request is being answered.
    pub(crate) fn request(&self) -> Present {
        Present::of(&self.in_flight)
    }

    /// A connection is open.
    pub(crate) fn connection(&self) -> Present {
        Present::of(&self.connections)
    }

    /// Counts an answered request.
    pub(crate) fn record(&self, template: Option<&str>, method: &Method, status: StatusCode, took: Duration) {
        let (name, route) = match template.and_then(|template| self.routes.get_key_value(template)) {
            Some((name, route)) => (&**name, route),
            None => (UNMATCHED, &self.unmatched),
        };
        let method = METHODS.iter().position(|known| *known == method.as_str()).unwrap_or(METHODS.len() - 1);
        let series = route.0[method].get_or_init(|| Series {
            requests: Default::default(),
            duration: histogram!("statehold_http_request_duration_seconds",
                "method" => METHODS[method], "route" => name.to_owned()),
        });
        let class = usize::from(status.as_u16() / 100).clamp(1, CLASSES.len()) - 1;
        series.requests[class]
            .get_or_init(|| {
                counter!("statehold_http_requests_total", "method" => METHODS[method],
                    "route" => name.to_owned(), "status_class" => CLASSES[class])
            })
            .increment(1);
        series.duration.record(took.as_secs_f64());
    }
}

impl fmt::Debug for HttpMeters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpMeters").field("routes", &self.routes.len()).finish_non_exhaustive()
    }
}
