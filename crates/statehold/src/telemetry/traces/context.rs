//! The caller's trace (W3C Trace Context), and the span of a request.

use std::str::FromStr as _;
use std::sync::atomic::Ordering;

use opentelemetry::trace::{
    SpanContext, SpanId, Status, TraceContextExt as _, TraceFlags, TraceId, TraceState,
};
use opentelemetry::{Context, KeyValue};
use tracing::Span;
use tracing::field::display;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use super::ON;

/// Bytes of `traceparent` in version 00.
const PARENT_BYTES: usize = 55;
/// Most bytes of `tracestate` that are kept (the least that the standard asks for).
const STATE_BYTES_MAX: usize = 512;

/// A caller's place in its trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceParent(SpanContext);

impl TraceParent {
    /// Reads `traceparent` (W3C Trace Context, level 1) and, only where that is legal, `tracestate`. An illegal parent
    /// is no parent; an illegal or longer state than 512 bytes is left out.
    pub fn read(parent: &[u8], state: impl FnOnce() -> Option<String>) -> Option<Self> {
        let (trace, span, flags) = fields(parent)?;
        let state = state()
            .filter(|state| state.len() <= STATE_BYTES_MAX)
            .and_then(|state| TraceState::from_str(&state).ok())
            .unwrap_or_default();
        let context = SpanContext::new(trace, span, flags, true, state);
        context.is_valid().then_some(Self(context))
    }
}

/// The trace id, the span id and the flags, where the text has the standard's form.
fn fields(parent: &[u8]) -> Option<(TraceId, SpanId, TraceFlags)> {
    let version = byte(parent.get(..2)?)?;
    // A later version may say more after another dash, and begins the same.
    let ends = match version {
        0 => parent.len() == PARENT_BYTES,
        0xff => false,
        _ => parent.len() == PARENT_BYTES || parent.get(PARENT_BYTES) == Some(&b'-'),
    };
    let parts = parent.get(..PARENT_BYTES).filter(|_| ends)?;
    if [2, 35, 52].iter().any(|dash| parts[*dash] != b'-') {
        return None;
    }
    let flags = TraceFlags::new(byte(&parts[53..])?) & TraceFlags::SAMPLED;
    Some((TraceId::from_bytes(bytes(&parts[3..35])?), SpanId::from_bytes(bytes(&parts[36..52])?), flags))
}

fn bytes<const N: usize>(digits: &[u8]) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = self::byte(pair)?;
    }
    Some(bytes)
}

/// Two lower-case hexadecimal digits.
fn byte(pair: &[u8]) -> Option<u8> {
    let digit = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    Some(digit(pair[0])? << 4 | digit(pair[1])?)
}

/// Puts a request's span into the caller's trace, and the trace's id into the lines that are logged of the request.
/// The span declares `trace_id` and `otel.kind`. The route is a template: a path holds ids.
pub fn request_begins(span: &Span, parent: Option<TraceParent>, method: &str, route: &str) {
    if !ON.load(Ordering::Relaxed) {
        if let Some(TraceParent(parent)) = parent {
            span.record("trace_id", display(parent.trace_id()));
        }
        return;
    }
    span.record("otel.kind", "server");
    if let Some(TraceParent(parent)) = parent {
        // It fails only for a span that began or that nobody sees, and this is the first that is done to it.
        let _ = span.set_parent(Context::new().with_remote_span_context(parent));
    }
    let context = span.context();
    let traced = context.span();
    if traced.span_context().is_valid() {
        span.record("trace_id", display(traced.span_context().trace_id()));
    }
    if traced.is_recording() {
        traced.update_name(if route.is_empty() { method.to_owned() } else { format!("{method} {route}") });
        traced.set_attribute(KeyValue::new("http.request.method", method.to_owned()));
        traced.set_attribute(KeyValue::new("http.route", route.to_owned()));
    }
}

/// Says of the span that is entered how its request ended. A fault of ours is an error of the span; a caller's mistake is not.
pub fn request_ends(status: u16, error_code: Option<&'static str>) {
    if !ON.load(Ordering::Relaxed) {
        return;
    }
    let context = Span::current().context();
    let traced = context.span();
    if !traced.is_recording() {
        return;
    }
    traced.set_attribute(KeyValue::new("http.response.status_code", i64::from(status)));
    if let Some(code) = error_code {
        traced.set_attribute(KeyValue::new("error_code", code));
    }
    if status >= 500 {
        traced.set_status(Status::error(""));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEGAL: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn read(parent: &str, state: &str) -> Option<SpanContext> {
        TraceParent::read(parent.as_bytes(), || Some(state.to_owned())).map(|parent| parent.0)
    }

    #[test]
    fn a_legal_parent_is_read() {
        let parent = read(LEGAL, "vendor=opaque, other=1").unwrap();
        assert_eq!(parent.trace_id().to_string(), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(parent.span_id().to_string(), "00f067aa0ba902b7");
        assert!(parent.is_sampled() && parent.is_remote());
        assert_eq!(parent.trace_state().get("vendor"), Some("opaque"));
        assert!(!read(&LEGAL.replace("-01", "-02"), "").unwrap().is_sampled());
        assert!(read(&format!("01{}-more", &LEGAL[2..]), "").is_some(), "a later version says more");
    }

    #[test]
    fn what_is_not_legal_is_no_parent() {
        let zero_trace = LEGAL.replace("4bf92f3577b34da6a3ce929d0e0e4736", &"0".repeat(32));
        let zero_span = LEGAL.replace("00f067aa0ba902b7", &"0".repeat(16));
        for bad in [
            "",
            "0",
            &LEGAL[..54],
            &format!("{LEGAL}-more"),
            &format!("ff{}", &LEGAL[2..]),
            &format!("01{}more", &LEGAL[2..]),
            &LEGAL.to_uppercase(),
            &LEGAL.replace('-', "_"),
            &LEGAL.replace("4bf9", "4bg9"),
            &zero_trace,
            &zero_span,
        ] {
            assert_eq!(read(bad, ""), None, "{bad}");
        }
    }

    #[test]
    fn a_state_that_is_illegal_or_long_is_left_out() {
        for bad in ["no equals sign", &format!("a={}", "x".repeat(600))] {
            assert_eq!(read(LEGAL, bad).unwrap().trace_state(), &TraceState::NONE, "{bad}");
        }
    }
}
