//! Correlation ids: accepted from the caller or made, and always returned.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::http::{HeaderMap, HeaderName, HeaderValue};

/// The header that carries the id, both ways.
pub(crate) const CORRELATION_ID: HeaderName = HeaderName::from_static("x-correlation-id");
/// Most bytes of an id.
const LENGTH_MAX: usize = 64;

/// One request's id: 1 to 64 of `[A-Za-z0-9._-]`.
#[derive(Clone, Debug)]
pub(crate) struct CorrelationId(HeaderValue);

impl CorrelationId {
    /// The caller's id where it is legal, else a new one.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        match headers.get(CORRELATION_ID) {
            Some(value) if is_legal(value.as_bytes()) => Self(value.clone()),
            _ => Self::new(),
        }
    }

    /// An id that no other request has: a prefix drawn once per process, and a number.
    fn new() -> Self {
        static PREFIX: OnceLock<String> = OnceLock::new();
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let prefix = PREFIX.get_or_init(|| uuid::Uuid::now_v7().simple().to_string());
        let text = format!("{prefix}-{:x}", NEXT.fetch_add(1, Ordering::Relaxed));
        Self(HeaderValue::try_from(text).expect("hexadecimal digits and a dash"))
    }

    /// The id.
    pub(crate) fn as_str(&self) -> &str {
        self.0.to_str().expect("checked to be ASCII when taken")
    }

    /// The id as a header's value.
    pub(crate) fn header(&self) -> HeaderValue {
        self.0.clone()
    }
}

fn is_legal(id: &[u8]) -> bool {
    (1..=LENGTH_MAX).contains(&id.len())
        && id.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(value: &[u8]) -> CorrelationId {
        let mut headers = HeaderMap::new();
        headers.insert(CORRELATION_ID, HeaderValue::from_bytes(value).expect("a header value"));
        CorrelationId::of(&headers)
    }

    #[test]
    fn legal_ids_are_kept_and_others_replaced() {
        assert_eq!(given(b"a.B_9-").as_str(), "a.B_9-");
        assert_eq!(given(&[b'x'; 64]).as_str(), "x".repeat(64));
        for bad in [&b""[..], &[b'x'; 65], b"a b", b"a/b", "\u{e9}".as_bytes(), b"\"; drop"] {
            let made = given(bad);
            assert!(is_legal(made.as_str().as_bytes()));
            assert_ne!(made.as_str().as_bytes(), bad);
        }
        assert_ne!(CorrelationId::new().as_str(), CorrelationId::new().as_str());
    }
}
