//! The session token that a request presents.

use axum::extract::{FromRequestParts, OptionalFromRequestParts};
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use statehold_api::Code;
use statehold_api::sessions::SESSION_HEADER;
use utoipa::IntoParams;
use zeroize::Zeroizing;

use crate::problem::Problem;

/// The token of a request, overwritten when dropped and never shown.
pub(super) struct PresentedToken(Zeroizing<String>);

impl PresentedToken {
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

/// How the token travels, for the document.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "describes a header; the extractor reads it")]
pub(super) struct Parameter {
    /// The session's token; `Authorization: Session <token>` means the same.
    #[param(rename = "X-Session-Id")]
    x_session_id: Option<String>,
}

/// Every token in the headers: `X-Session-Id` and `Authorization: Session …`.
fn presented(headers: &HeaderMap) -> impl Iterator<Item = &[u8]> {
    let plain = headers.get_all(SESSION_HEADER).iter().map(|value| value.as_bytes().trim_ascii());
    let schemed = headers.get_all(AUTHORIZATION).iter().filter_map(|value| {
        let (scheme, token) = value.as_bytes().split_at_checked("session ".len())?;
        scheme.eq_ignore_ascii_case(b"session ").then(|| token.trim_ascii())
    });
    plain.chain(schemed)
}

/// One token, sent once or twice alike; different ones open nothing.
fn one(headers: &HeaderMap) -> Result<Option<PresentedToken>, Problem> {
    let mut tokens = presented(headers);
    let Some(token) = tokens.next() else { return Ok(None) };
    if tokens.any(|other| other != token) {
        return Err(Problem::new(Code::SessionInvalid).detail("two session tokens were sent"));
    }
    // What is not text is no token, and is refused as any other bad one.
    let text = std::str::from_utf8(token).unwrap_or_default();
    Ok(Some(PresentedToken(Zeroizing::new(text.to_owned()))))
}

impl<S: Send + Sync> FromRequestParts<S> for PresentedToken {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        one(&parts.headers)?.ok_or_else(|| {
            Problem::new(Code::SessionMissing).detail("send X-Session-Id with a session's token")
        })
    }
}

impl<S: Send + Sync> OptionalFromRequestParts<S> for PresentedToken {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, Problem> {
        one(&parts.headers)
    }
}
