//! JSON bodies, in and out.

use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, Request};
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::{IntoResponse, Response};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use statehold_api::{Code, FieldError};

use super::field_error;
use crate::app::AppState;
use crate::problem::Problem;

/// Deepest nesting of arrays and objects in a body.
const DEPTH_MAX: usize = 64;

/// A JSON body: as an argument the request's, strictly read; as a result the reply's.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Json<T>(pub(crate) T);

/// Like [`Json`], and no body at all means every field absent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct JsonOrEmpty<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequest<AppState> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &AppState) -> Result<Self, Problem> {
        require_json(request.headers())?;
        let body = read_body(request, state.body_limit()).await?;
        parse(&body).map(Self)
    }
}

impl<T: DeserializeOwned> FromRequest<AppState> for JsonOrEmpty<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &AppState) -> Result<Self, Problem> {
        let media = request.headers().contains_key(CONTENT_TYPE).then(|| require_json(request.headers()));
        let body = read_body(request, state.body_limit()).await?;
        if body.is_empty() {
            return parse(b"{}").map(Self);
        }
        media.unwrap_or_else(|| Err(Problem::new(Code::UnsupportedMediaType)))?;
        parse(&body).map(Self)
    }
}

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        match serde_json::to_vec(&self.0) {
            Ok(bytes) => {
                let mut response = Response::new(Body::from(bytes));
                let json = HeaderValue::from_static("application/json");
                response.headers_mut().insert(CONTENT_TYPE, json);
                response
            }
            Err(error) => Problem::new(Code::Internal).caused_by(error).into_response(),
        }
    }
}

fn require_json(headers: &HeaderMap) -> Result<(), Problem> {
    let media = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = media.split(';').next().unwrap_or_default().trim();
    let is = |name: &str| essence.eq_ignore_ascii_case(name);
    if is("application/json") || is("application/merge-patch+json") {
        Ok(())
    } else {
        Err(Problem::new(Code::UnsupportedMediaType).detail("send Content-Type: application/json"))
    }
}

/// Reads a body whole, at most `limit` bytes.
///
/// # Errors
/// `body_too_large`, before anything is read where the length is announced; `malformed_json` when the body breaks off.
pub(crate) async fn read_body(request: Request, limit: usize) -> Result<Bytes, Problem> {
    let announced =
        request.headers().get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > limit as u64) {
        return Err(too_large(limit));
    }
    match Limited::new(request.into_body(), limit).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(too_large(limit)),
        Err(_) => Err(Problem::new(Code::MalformedJson).detail("the body broke off")),
    }
}

fn too_large(limit: usize) -> Problem {
    Problem::new(Code::BodyTooLarge).detail(format!("a body has at most {limit} bytes"))
}

/// Reads a value from a whole body, strictly.
fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    if is_deeper(body, DEPTH_MAX) {
        return Err(Problem::new(Code::MalformedJson).detail("the body nests deeper than 64 levels"));
    }
    // The plain reader is the fast one; only a body that fails is read again, to say where.
    let error = match serde_json::from_slice(body) {
        Ok(value) => return Ok(value),
        Err(error) => error,
    };
    if error.is_data() {
        Err(Problem::fields(mistakes::<T>(body, &error)))
    } else {
        let detail = format!("not JSON at line {} column {}", error.line(), error.column());
        Err(Problem::new(Code::MalformedJson).detail(detail))
    }
}

/// Most mistakes of one body that are told.
const MISTAKES_MAX: usize = 16;
/// A larger body is read no further than its first mistake: looking for the next one reads it again.
const READ_AGAIN_BYTES_MAX: usize = 64 << 10;

/// Every mistake that can be told: each is taken out of the body, which is then read on as if it had not been there.
fn mistakes<T: DeserializeOwned>(body: &[u8], first: &serde_json::Error) -> Vec<FieldError> {
    let mut found = vec![locate::<T>(body, first)];
    let read = (body.len() <= READ_AGAIN_BYTES_MAX).then(|| serde_json::from_slice::<Value>(body));
    let Some(Ok(mut rest)) = read else { return found };
    let mut at = found[0].path.clone();
    for _ in 0..2 * MISTAKES_MAX {
        if found.len() == MISTAKES_MAX || !take_out(&mut rest, &at) {
            break;
        }
        let Err(error) = serde_path_to_error::deserialize::<_, T>(&rest) else { break };
        let next = told(&error);
        at.clone_from(&next.path);
        // What is missing now may be missing only because it was taken out: what it is missing from goes next.
        if !error.inner().to_string().starts_with("missing field") {
            found.push(next);
        }
    }
    found
}

/// Takes the member out that a path such as `ops[2].ttl` names. An element of an array goes with its whole array: the
/// positions of the others must not change.
fn take_out(value: &mut Value, path: &str) -> bool {
    let Some((parent, name)) = path.rsplit_once('.').or_else(|| (!path.is_empty()).then_some(("", path)))
    else {
        return false;
    };
    let name = name.split('[').next().unwrap_or_default();
    let mut pointer = String::new();
    for step in parent.split(['.', '[']).filter(|step| !step.is_empty()) {
        pointer.push('/');
        pointer.push_str(&step.trim_end_matches(']').replace('~', "~0").replace('/', "~1"));
    }
    let members = value.pointer_mut(&pointer).and_then(Value::as_object_mut);
    members.is_some_and(|members| members.remove(name).is_some())
}

fn told(error: &serde_path_to_error::Error<serde_json::Error>) -> FieldError {
    let path = match error.path().to_string() {
        path if path == "." => String::new(),
        path => path,
    };
    field_error(path, &error.inner().to_string())
}

fn locate<T: DeserializeOwned>(body: &[u8], first: &serde_json::Error) -> FieldError {
    let mut reader = serde_json::Deserializer::from_slice(body);
    match serde_path_to_error::deserialize::<_, T>(&mut reader) {
        Err(error) => told(&error),
        Ok(_) => field_error(String::new(), &first.to_string()),
    }
}

/// Whether arrays and objects nest deeper than `max`. Looks at brackets outside strings alone.
fn is_deeper(body: &[u8], max: usize) -> bool {
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for byte in body {
        match (in_string, byte) {
            (true, _) if escaped => escaped = false,
            (true, b'\\') => escaped = true,
            (true, b'"') => in_string = false,
            (false, b'"') => in_string = true,
            (false, b'[' | b'{') => {
                depth += 1;
                if depth > max {
                    return true;
                }
            }
            (false, b']' | b'}') => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use statehold_api::{Dur, FieldError};

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only reading is tested")]
    struct Wanted {
        name: String,
        count: Option<u8>,
        mode: Option<Mode>,
        ttl: Option<Dur>,
        inner: Option<Vec<Inner>>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Mode {
        Fast,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only reading is tested")]
    struct Inner {
        flag: bool,
    }

    #[test]
    fn every_mistake_has_its_code_and_place() {
        for (body, code, path) in [
            (r#"{"name":"a","x":1}"#, Code::UnknownField, "x"),
            ("{}", Code::OutOfRange, ""),
            (r#"{"name":1}"#, Code::OutOfRange, "name"),
            (r#"{"name":"a","count":"1"}"#, Code::InvalidNumber, "count"),
            (r#"{"name":"a","count":1.5}"#, Code::InvalidNumber, "count"),
            (r#"{"name":"a","count":256}"#, Code::OutOfRange, "count"),
            (r#"{"name":"a","count":-1}"#, Code::OutOfRange, "count"),
            (r#"{"name":"a","mode":"slow"}"#, Code::InvalidEnum, "mode"),
            (r#"{"name":"a","ttl":0}"#, Code::InvalidDuration, "ttl"),
            (r#"{"name":"a","ttl":[]}"#, Code::InvalidDuration, "ttl"),
            (r#"{"name":"a","inner":[{"flag":true},{"flag":1}]}"#, Code::OutOfRange, "inner[1].flag"),
            (r#"{"name":"a","inner":[{"flag":true,"more":{}}]}"#, Code::UnknownField, "inner[0].more"),
            (r#"{"name":"a","name":"b"}"#, Code::OutOfRange, ""),
            ("[]", Code::OutOfRange, ""),
            ("7", Code::OutOfRange, ""),
        ] {
            let problem = parse::<Wanted>(body.as_bytes()).expect_err(body);
            let error = only_field(&problem);
            assert_eq!((error.code, error.path.as_str()), (code, path), "{body}: {}", error.detail);
            assert!(!error.detail.contains("at line"), "{}", error.detail);
        }
        for body in ["", "{", "{\"name\":}", "nul", "{\"name\":\"a\"} x", "\u{feff}{}"] {
            let problem = parse::<Wanted>(body.as_bytes()).expect_err(body);
            assert_eq!(problem.code(), Code::MalformedJson, "{body}");
        }
        assert_eq!(parse::<Wanted>(b"{\"name\":\"\xff\"}").expect_err("bytes").code(), Code::MalformedJson);
    }

    fn only_field(problem: &Problem) -> FieldError {
        let errors = problem.errors();
        assert_eq!(errors.len(), 1, "{problem:?}");
        errors[0].clone()
    }

    #[test]
    fn all_mistakes_are_told_at_once() {
        let body = r#"{"name":"a","x":1,"count":-1,"mode":"slow","ttl":0,"inner":[{"flag":true,"more":1},{"flag":1}]}"#;
        let problem = parse::<Wanted>(body.as_bytes()).expect_err(body);
        let told: Vec<_> = problem.errors().iter().map(|error| (error.path.as_str(), error.code)).collect();
        assert_eq!(
            told,
            [
                ("x", Code::UnknownField),
                ("count", Code::OutOfRange),
                ("inner[0].more", Code::UnknownField),
                ("inner[1].flag", Code::OutOfRange),
                ("mode", Code::InvalidEnum),
                ("ttl", Code::InvalidDuration),
            ]
        );
        let many: Vec<String> = (0..100).map(|n| format!("\"x{n}\":1")).collect();
        let problem = parse::<Wanted>(format!("{{{}}}", many.join(",")).as_bytes()).expect_err("unknown");
        assert_eq!(problem.errors().len(), MISTAKES_MAX);
        let required = parse::<Wanted>(br#"{"name":1,"x":1}"#).expect_err("both");
        let paths: Vec<_> = required.errors().iter().map(|error| error.path.as_str()).collect();
        assert_eq!(paths, ["name", "x"]);
    }

    #[test]
    fn null_means_absent() {
        parse::<Wanted>(br#"{"name":"a","count":null,"mode":null,"ttl":null,"inner":null}"#).expect("legal");
    }

    #[test]
    fn depth_counts_brackets_outside_strings() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(!is_deeper(nested(64).as_bytes(), DEPTH_MAX));
        assert!(is_deeper(nested(65).as_bytes(), DEPTH_MAX));
        assert!(!is_deeper(format!("\"{}\"", "[".repeat(99)).as_bytes(), DEPTH_MAX));
        assert!(!is_deeper(format!(r#""\"{}""#, "[".repeat(99)).as_bytes(), DEPTH_MAX));
        assert!(is_deeper(format!(r#"["\\",{}]"#, nested(64)).as_bytes(), DEPTH_MAX));
        let problem = parse::<serde_json::Value>(nested(65).as_bytes()).expect_err("too deep");
        assert_eq!(problem.code(), Code::MalformedJson);
    }
}
