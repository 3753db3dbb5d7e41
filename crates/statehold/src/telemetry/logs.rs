//! Logs: every record of `tracing` as one line on the standard error stream.

use std::fmt;
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use statehold_core::Clock;
use tracing::field::Visit;
use tracing::span::{Attributes, Id};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};
use tracing_subscriber::registry::{LookupSpan, Registry};
use tracing_subscriber::reload;

use super::flood::{Flood, Shape, Suppressed};
use super::level;
use super::line::{Field, Record, bounded, window};
use super::traces::Traces;
use crate::config::{LogFormat, LogSettings};

/// The process's logs, once installed.
#[derive(Clone)]
pub struct Logs {
    filter: Arc<dyn Fn(Targets) + Send + Sync>,
    text: Arc<AtomicBool>,
}

/// Another part of the process installed its own logs first.
#[derive(Clone, Copy, Debug)]
pub struct InstallError;

impl fmt::Display for InstallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the process has logs of its own already")
    }
}

impl std::error::Error for InstallError {}

impl Logs {
    /// Sends every record of the process to the standard error stream, and traces where they are wanted.
    ///
    /// # Errors
    /// When the process has logs already.
    pub fn install(
        settings: &LogSettings,
        clock: Arc<dyn Clock>,
        traces: Option<&Traces>,
    ) -> Result<Self, InstallError> {
        let out = Box::new(io::stderr());
        let Some(traces) = traces else {
            let (logs, subscriber) = Self::subscriber(settings, clock, out);
            tracing::subscriber::set_global_default(subscriber).map_err(|_| InstallError)?;
            return Ok(logs);
        };
        // The level is the log's alone: what is traced does not depend on what is printed.
        let (filter, handle) = reload::Layer::new(filter(settings));
        let (text, printer) = Printer::new(settings, clock, out);
        let subscriber = Registry::default().with(traces.layer()).with(printer.with_filter(filter));
        tracing::subscriber::set_global_default(subscriber).map_err(|_| InstallError)?;
        Traces::begin();
        Ok(Self { filter: reloads(handle), text })
    }

    /// Puts changed settings into effect.
    pub fn apply(&self, settings: &LogSettings) {
        (self.filter)(filter(settings));
        self.text.store(settings.format == LogFormat::Text, Ordering::Relaxed);
    }

    fn subscriber(
        settings: &LogSettings,
        clock: Arc<dyn Clock>,
        out: Box<dyn Write + Send>,
    ) -> (Self, impl Subscriber + Send + Sync + use<>) {
        let (filter, handle) = reload::Layer::new(filter(settings));
        let (text, printer) = Printer::new(settings, clock, out);
        (Self { filter: reloads(handle), text }, Registry::default().with(filter).with(printer))
    }
}

impl fmt::Debug for Logs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Logs")
    }
}

fn filter(settings: &LogSettings) -> Targets {
    level::targets(&settings.level).expect("the configuration checks the level")
}

fn reloads<S: Subscriber>(handle: reload::Handle<Targets, S>) -> Arc<dyn Fn(Targets) + Send + Sync> {
    Arc::new(move |targets| {
        // The filter is gone only when the subscriber is, and then there is nothing left to change.
        let _ = handle.reload(targets);
    })
}

/// Writes records as lines.
struct Printer {
    clock: Arc<dyn Clock>,
    text: Arc<AtomicBool>,
    flood: Mutex<Flood>,
    out: Mutex<Box<dyn Write + Send>>,
}

/// Fields of an event, or of a span, which its events carry too.
#[derive(Default)]
struct Fields {
    message: String,
    entries: Vec<(&'static str, Field)>,
    /// Texts are as they came, bounded, and are masked when an event shows them: every request has a span, and few of
    /// them print anything.
    raw: bool,
}

impl Fields {
    fn of_span(count: usize) -> Self {
        Self { entries: Vec::with_capacity(count), raw: true, ..Self::default() }
    }

    fn read(&self, name: &str, value: &str) -> Field {
        if self.raw { Field::Text(window(value).to_owned()) } else { Field::text(name, value) }
    }

    /// The fields as they may be shown.
    fn shown(&self) -> impl Iterator<Item = (&'static str, Field)> {
        self.entries.iter().map(|(name, value)| match value {
            Field::Text(text) if self.raw => (*name, Field::text(name, text)),
            _ => (*name, value.clone()),
        })
    }

    fn text(&self, wanted: &str) -> Option<&str> {
        self.entries.iter().find_map(|(name, value)| match value {
            Field::Text(text) if *name == wanted => Some(text.as_str()),
            _ => None,
        })
    }

    fn put(&mut self, field: &tracing::field::Field, value: Field) {
        match (field.name(), value) {
            ("message", Field::Text(text)) => self.message = text,
            // What only a trace has a use for.
            (name, _) if name.starts_with("otel.") => {}
            (name, value) => Record::put(&mut self.entries, name, value),
        }
    }
}

impl Visit for Fields {
    fn record_str(&mut self, field: &tracing::field::Field, value: &str) {
        let value = self.read(field.name(), value);
        self.put(field, value);
    }

    fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn fmt::Debug) {
        let value = self.read(field.name(), &format!("{value:?}"));
        self.put(field, value);
    }

    fn record_error(&mut self, field: &tracing::field::Field, value: &(dyn std::error::Error + 'static)) {
        let mut text = value.to_string();
        let mut cause = value.source();
        while let Some(error) = cause {
            text.push_str(": ");
            text.push_str(&error.to_string());
            cause = error.source();
        }
        let value = self.read(field.name(), &text);
        self.put(field, value);
    }

    fn record_i64(&mut self, field: &tracing::field::Field, value: i64) {
        self.put(field, Field::Plain(value.to_string()));
    }

    fn record_u64(&mut self, field: &tracing::field::Field, value: u64) {
        self.put(field, Field::Plain(value.to_string()));
    }

    fn record_bool(&mut self, field: &tracing::field::Field, value: bool) {
        self.put(field, Field::Plain(value.to_string()));
    }

    fn record_f64(&mut self, field: &tracing::field::Field, value: f64) {
        let value =
            if value.is_finite() { Field::Plain(value.to_string()) } else { Field::Text(value.to_string()) };
        self.put(field, value);
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Printer {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let mut fields = Fields::of_span(attributes.fields().len());
        attributes.record(&mut fields);
        span.extensions_mut().insert(fields);
    }

    fn on_record(&self, id: &Id, values: &tracing::span::Record<'_>, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        if let Some(fields) = span.extensions_mut().get_mut::<Fields>() {
            values.record(fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let metadata = event.metadata();
        let mut own = Fields::default();
        event.record(&mut own);
        let shape = Shape {
            event: own.text("event").unwrap_or(metadata.name()).to_owned(),
            code: own.text("error_code").unwrap_or_default().to_owned(),
        };
        let time = self.clock.now();
        let (printed, over) = self.flood.lock().admit(shape, time.millis() / 1_000);
        for suppressed in over {
            self.print(&summary(&suppressed, time));
        }
        if !printed {
            return;
        }
        let mut fields = Vec::with_capacity(own.entries.len() + 4);
        // The name of the event comes first, then what its spans say, from the outside in, then its own fields.
        for (name, value) in own.entries.iter().filter(|(name, _)| *name == "event") {
            Record::put(&mut fields, name, value.clone());
        }
        for span in
            context.event_scope(event).into_iter().flat_map(tracing_subscriber::registry::Scope::from_root)
        {
            if let Some(outer) = span.extensions().get::<Fields>() {
                for (name, value) in outer.shown() {
                    Record::put(&mut fields, name, value);
                }
            }
        }
        for (name, value) in own.entries {
            Record::put(&mut fields, name, value);
        }
        let (level, target) = (*metadata.level(), metadata.target());
        self.print(&Record { time, level, target, message: own.message, fields });
    }
}

fn summary(suppressed: &Suppressed, time: statehold_core::Time) -> Record<'static> {
    let mut fields = vec![
        ("event", Field::Text("log_suppressed".to_owned())),
        ("suppressed_event", Field::Text(bounded(&suppressed.shape.event))),
        ("count", Field::Plain(suppressed.count.to_string())),
    ];
    if !suppressed.shape.code.is_empty() {
        fields.push(("error_code", Field::Text(bounded(&suppressed.shape.code))));
    }
    let message = "more records of one event than 10 in a second were not printed".to_owned();
    Record { time, level: Level::WARN, target: "statehold::telemetry", message, fields }
}

impl Printer {
    /// With it, whether it writes text, to be changed at run time.
    fn new(
        settings: &LogSettings,
        clock: Arc<dyn Clock>,
        out: Box<dyn Write + Send>,
    ) -> (Arc<AtomicBool>, Self) {
        let text = Arc::new(AtomicBool::new(settings.format == LogFormat::Text));
        let printer = Self { clock, text: Arc::clone(&text), flood: Mutex::default(), out: Mutex::new(out) };
        (text, printer)
    }

    fn print(&self, record: &Record<'_>) {
        let format = if self.text.load(Ordering::Relaxed) { LogFormat::Text } else { LogFormat::Json };
        let line = record.line(format);
        // Where the log itself cannot be written there is nowhere to say so.
        let _ = self.out.lock().write_all(line.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use statehold_core::{ManualClock, Time};

    use super::*;

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Sink {
        fn lines(&self) -> Vec<serde_json::Value> {
            let text = String::from_utf8(self.0.lock().clone()).unwrap();
            text.lines().map(|line| serde_json::from_str(line).expect("every line is JSON")).collect()
        }
    }

    fn logging(level: &str, act: impl FnOnce(&Logs, &ManualClock)) -> Sink {
        let sink = Sink::default();
        let clock = Arc::new(ManualClock::at(Time::from_millis(1_767_225_600_000)));
        let settings = LogSettings { level: level.to_owned(), format: LogFormat::Json };
        let (logs, subscriber) =
            Logs::subscriber(&settings, Arc::clone(&clock) as Arc<dyn Clock>, Box::new(sink.clone()));
        tracing::subscriber::with_default(subscriber, || act(&logs, &clock));
        sink
    }

    #[test]
    fn f276_a_record_carries_its_fields_and_those_of_its_spans() {
        let lines = logging("info", |_, _| {
            let request =
                tracing::info_span!("request", correlation_id = "c-1", namespace = tracing::field::Empty);
            request.record("namespace", "shop");
            let _entered = request.enter();
            tracing::info!(
                event = "session_created",
                store = "sessions",
                duration_ms = 3_u64,
                ok = true,
                "made"
            );
            tracing::debug!(event = "unseen", "below the level");
        })
        .lines();
        assert_eq!(
            lines,
            [serde_json::json!({
                "ts": "2026-01-01T00:00:00.000000Z", "level": "info", "target": "statehold::telemetry::logs::tests",
                "message": "made", "event": "session_created", "correlation_id": "c-1", "namespace": "shop",
                "store": "sessions", "duration_ms": 3, "ok": true,
            })]
        );
    }

    #[test]
    fn f086_planted_secrets_appear_at_no_level() {
        let secret = "Zm9vYmFyYmF6cXV4";
        let sink = logging("trace", |_, _| {
            let span = tracing::trace_span!("request", authorization = format!("Bearer {secret}"));
            let _entered = span.enter();
            tracing::error!("shk_id_{secret}");
            tracing::warn!(token = secret, "a token");
            tracing::info!(url = %format!("redis://u:{secret}@host/"), "connected");
            tracing::debug!(config = ?format!("password={secret}"), "dumped");
            let error = io::Error::other(format!("refused shs1_{secret}"));
            tracing::trace!(error = &error as &dyn std::error::Error, "failed");
        });
        assert_eq!(sink.lines().len(), 5);
        let text = String::from_utf8(sink.0.lock().clone()).unwrap();
        assert!(!text.contains(secret), "{text}");
        assert!(text.contains("redis://***@host/"));
    }

    #[test]
    fn a_flood_is_counted() {
        let lines = logging("info", |_, clock| {
            for n in 0..40 {
                tracing::warn!(event = "engine_lost", error_code = "x", n, "lost");
            }
            clock.advance(Duration::from_secs(1));
            tracing::info!(event = "other", "later");
        })
        .lines();
        assert_eq!(lines.len(), 12);
        assert_eq!(lines[10]["event"], "log_suppressed");
        assert_eq!(lines[10]["suppressed_event"], "engine_lost");
        assert_eq!(lines[10]["count"], 30);
    }

    #[test]
    fn the_level_and_the_format_change_at_run_time() {
        let sink = logging("warn", |logs, _| {
            tracing::info!("unseen");
            logs.apply(&LogSettings { level: "info".to_owned(), format: LogFormat::Text });
            tracing::info!(event = "seen", "two\nlines");
        });
        let text = String::from_utf8(sink.0.lock().clone()).unwrap();
        assert_eq!(text, "2026-01-01T00:00:00.000000Z info  two\\nlines event=seen\n");
    }
}
