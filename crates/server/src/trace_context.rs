//! The caller's trace, as its headers tell it (W3C Trace Context).

use axum::http::HeaderMap;
use statehold::telemetry::TraceParent;

/// The caller's place in its trace; none where it says nothing, says it twice or not as the standard has it.
pub(crate) fn of(headers: &HeaderMap) -> Option<TraceParent> {
    let parent = headers.get("traceparent")?;
    if headers.get_all("traceparent").iter().nth(1).is_some() {
        return None;
    }
    TraceParent::read(parent.as_bytes(), || {
        let states: Vec<&str> =
            headers.get_all("tracestate").iter().map(|state| state.to_str().ok()).collect::<Option<_>>()?;
        Some(states.join(","))
    })
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn a_parent_that_is_said_twice_is_none() {
        let parent = HeaderValue::from_static("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
        let mut headers = HeaderMap::new();
        assert_eq!(of(&headers), None);
        headers.append("traceparent", parent.clone());
        headers.append("tracestate", HeaderValue::from_static("a=1"));
        let alone = of(&headers);
        assert!(alone.is_some());
        headers.append("tracestate", HeaderValue::from_static("b=2"));
        assert!(of(&headers).is_some_and(|both| Some(both) != alone), "states are joined");
        headers.append("traceparent", parent);
        assert_eq!(of(&headers), None);
    }
}
