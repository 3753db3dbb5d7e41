//! What a route hands on to a store beside its arguments, and the revision a caller expects.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::header::IF_MATCH;
use axum::http::request::Parts;
use statehold_api::{Code, Rev};
use statehold_core::Cx;

use crate::app::AppState;
use crate::correlation::CorrelationId;
use crate::problem::Problem;

/// The context of a store's operation: the request's time limit and correlation id.
#[derive(Clone, Debug)]
pub(crate) struct Call(pub(crate) Cx);

impl FromRequestParts<AppState> for Call {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Problem> {
        let correlation = parts.extensions.get::<CorrelationId>().map(|id| Arc::from(id.as_str()));
        let cx = Cx::new().within(state.settings().server.request_timeout);
        Ok(Self(Cx { correlation, ..cx }))
    }
}

/// The revision of `If-Match`; none without the header.
#[derive(Clone, Copy, Debug)]
pub(crate) struct IfMatch(pub(crate) Option<Rev>);

impl<S: Send + Sync> FromRequestParts<S> for IfMatch {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let mut tags = parts.headers.get_all(IF_MATCH).iter();
        match (tags.next(), tags.next()) {
            (None, _) => Ok(Self(None)),
            (Some(tag), None) => {
                let revision = tag.to_str().ok().and_then(|tag| Rev::parse_etag(tag.trim()));
                revision.map(|revision| Self(Some(revision))).ok_or_else(invalid)
            }
            (Some(_), Some(_)) => Err(invalid()),
        }
    }
}

impl IfMatch {
    /// The revision that header and body ask for together.
    ///
    /// # Errors
    /// 422 `invalid_revision` when both are given and differ.
    pub(crate) fn or(self, body: Option<Rev>) -> Result<Option<Rev>, Problem> {
        match (self.0, body) {
            (Some(header), Some(body)) if header != body => {
                let detail = "If-Match and if_revision differ";
                Err(Problem::field(Code::InvalidRevision, "if_revision", detail))
            }
            (header, body) => Ok(header.or(body)),
        }
    }
}

fn invalid() -> Problem {
    Problem::field(Code::InvalidRevision, "If-Match", "send one entity tag such as \"r42\"")
}

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::*;

    async fn read(tags: &[&str]) -> Result<Option<Rev>, Code> {
        let mut request = Request::builder();
        for tag in tags {
            request = request.header(IF_MATCH, *tag);
        }
        let (mut parts, ()) = request.body(()).expect("a request").into_parts();
        let read = IfMatch::from_request_parts(&mut parts, &()).await;
        read.map(|found| found.0).map_err(|problem| problem.code())
    }

    #[tokio::test]
    async fn if_match_is_one_strong_tag_of_ours() {
        assert_eq!(read(&[]).await, Ok(None));
        assert_eq!(read(&["\"r7\""]).await, Ok(Some(Rev(7))));
        for bad in [&["*"][..], &["r7"], &["W/\"r7\""], &["\"r7\", \"r8\""], &["\"r7\"", "\"r7\""], &[""]] {
            assert_eq!(read(bad).await, Err(Code::InvalidRevision), "{bad:?}");
        }
    }

    #[test]
    fn header_and_body_may_repeat_and_not_contradict_each_other() {
        let header = IfMatch(Some(Rev(7)));
        assert_eq!(header.or(Some(Rev(7))).expect("the same"), Some(Rev(7)));
        assert_eq!(IfMatch(None).or(Some(Rev(7))).expect("one"), Some(Rev(7)));
        assert_eq!(header.or(Some(Rev(8))).expect_err("differ").code(), Code::InvalidRevision);
    }
}
