//! Problem codes and the body of every error reply (`application/problem+json`, RFC 9457).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

/// The media type of every error reply.
pub const PROBLEM_MEDIA_TYPE: &str = "application/problem+json";

macro_rules! codes {
    ($($name:ident = $status:literal $text:literal $title:literal,)*) => {
        /// What went wrong, from a closed list; stable within a major version.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum Code {
            $(
                #[doc = $title]
                #[serde(rename = $text)]
                $name,
            )*
        }

        impl Code {
            /// Every code, in order of status.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The code as it travels.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// The code as a URN, which is the `type` of its problem.
            pub const fn urn(self) -> &'static str {
                match self { $(Self::$name => concat!("urn:statehold:problem:", $text),)* }
            }

            /// The HTTP status it travels with.
            pub const fn status(self) -> u16 {
                match self { $(Self::$name => $status,)* }
            }

            /// One line for people, the same for every occurrence.
            pub const fn title(self) -> &'static str {
                match self { $(Self::$name => $title,)* }
            }
        }
    };
}

codes! {
    MalformedJson = 400 "malformed_json" "The body is not valid JSON",
    NamespaceRequired = 400 "namespace_required" "The key has several namespaces: say which",
    CredentialsMissing = 401 "credentials_missing" "Credentials are required",
    CredentialsInvalid = 401 "credentials_invalid" "The credentials are not valid",
    CredentialsExpired = 401 "credentials_expired" "The credentials have expired",
    SessionMissing = 401 "session_missing" "A session token is required",
    SessionInvalid = 401 "session_invalid" "The session is not valid",
    SessionEnded = 401 "session_ended" "The session has ended",
    InsufficientScope = 403 "insufficient_scope" "The key lacks the scope",
    InsufficientLevel = 403 "insufficient_level" "The session lacks the level",
    NamespaceForbidden = 403 "namespace_forbidden" "The key does not reach this namespace",
    AddressNotAllowed = 403 "address_not_allowed" "The key may not be used from this address",
    RouteNotFound = 404 "route_not_found" "There is no such route",
    KeyNotFound = 404 "key_not_found" "There is no such key",
    PolicyNotFound = 404 "policy_not_found" "There is no such policy",
    NotFound = 404 "not_found" "There is no such thing",
    MethodNotAllowed = 405 "method_not_allowed" "The route does not answer this method",
    Exists = 409 "exists" "It exists already",
    WrongType = 409 "wrong_type" "The key holds another type",
    CounterOverflow = 409 "counter_overflow" "The counter would leave its number range",
    CounterBound = 409 "counter_bound" "The counter would leave its bounds",
    TooManySessions = 409 "too_many_sessions" "The owner has as many sessions as the policy allows",
    OwnerEpochChanged = 409 "owner_epoch_changed" "The owner's sessions were revoked meanwhile",
    MaxLifetimeReached = 409 "max_lifetime_reached" "The session is at its longest lifetime",
    Contention = 409 "contention" "Others changed the same thing again and again: try again",
    RevisionMismatch = 412 "revision_mismatch" "The thing has another revision",
    BodyTooLarge = 413 "body_too_large" "The body is too large",
    ValueTooLarge = 413 "value_too_large" "The value is too large",
    UnsupportedMediaType = 415 "unsupported_media_type" "The media type is not supported",
    InvalidId = 422 "invalid_id" "An id is not valid",
    InvalidDuration = 422 "invalid_duration" "A duration is not valid",
    InvalidTimestamp = 422 "invalid_timestamp" "A timestamp is not valid",
    InvalidNumber = 422 "invalid_number" "A number is not valid",
    InvalidRevision = 422 "invalid_revision" "A revision is not valid",
    InvalidBase64 = 422 "invalid_base64" "A field is not valid base64",
    InvalidEnum = 422 "invalid_enum" "A value is not one of the list",
    InvalidCursor = 422 "invalid_cursor" "The cursor is not of this query",
    UnknownField = 422 "unknown_field" "A field is not known",
    OutOfRange = 422 "out_of_range" "A value is out of its range",
    BatchTooLarge = 422 "batch_too_large" "The batch is too large",
    TtlRequired = 422 "ttl_required" "A time to live is required",
    OwnerRequired = 422 "owner_required" "An owner is required",
    TokenInQuery = 422 "token_in_query" "Credentials never belong in a query string",
    CrossPartition = 422 "cross_partition" "The commit spans several partitions",
    RateLimited = 429 "rate_limited" "Too many requests",
    TooManyAttempts = 429 "too_many_attempts" "Too many attempts",
    Internal = 500 "internal" "Something went wrong inside",
    CorruptValue = 500 "corrupt_value" "A stored value cannot be read",
    EngineUnavailable = 503 "engine_unavailable" "The engine cannot be reached",
    BucketMoving = 503 "bucket_moving" "The data is being handed over",
    EngineFull = 503 "engine_full" "The engine is full",
    LimiterUnavailable = 503 "limiter_unavailable" "The limiter cannot decide",
    Busy = 503 "busy" "The server is busy",
    Draining = 503 "draining" "The server is stopping",
    Starting = 503 "starting" "The server is starting",
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text is no code of the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownCode;

impl fmt::Display for UnknownCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a problem code")
    }
}

impl std::error::Error for UnknownCode {}

impl FromStr for Code {
    type Err = UnknownCode;

    fn from_str(text: &str) -> Result<Self, UnknownCode> {
        Self::ALL.iter().copied().find(|code| code.as_str() == text).ok_or(UnknownCode)
    }
}

/// The codes as they travel; the derived schema would name the variants, because it cannot see through the macro above.
impl PartialSchema for Code {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .description(Some("What went wrong, from a closed list; stable within a major version."))
            .enum_values(Some(Self::ALL.iter().map(|code| code.as_str())))
            .into()
    }
}

impl ToSchema for Code {}

/// One thing wrong with a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FieldError {
    /// Where: a path into the body (`ops[3].key`), or the name of a path or query parameter; empty for the whole.
    pub path: String,
    /// What.
    pub code: Code,
    /// One sentence for people.
    pub detail: String,
}

/// The body of every error reply.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ProblemBody {
    /// `urn:statehold:problem:<code>`.
    #[serde(rename = "type")]
    pub urn: String,
    /// One line for people, the same for every occurrence of the code.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What happened this time; never holds secrets or internals.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// The path that was asked.
    pub instance: String,
    /// The code.
    pub code: Code,
    /// The correlation id of the request.
    pub correlation_id: String,
    /// What a code says beyond that.
    #[serde(flatten)]
    pub members: Members,
}

/// What some codes say beyond the common members.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Members {
    /// Status 422: everything found wrong.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldError>,
    /// `insufficient_scope`: the scope that is needed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// `revision_mismatch`: the revision the thing has now; absent when it does not exist.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current_revision: Option<String>,
    /// A group commit's failed condition, counted from 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed_index: Option<u32>,
    /// Status 429: the limit policy that said no.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
    /// Status 429: milliseconds until the same call would be admitted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_stable() {
        let mut table = String::new();
        for code in Code::ALL {
            use fmt::Write;
            writeln!(table, "{} {} {}", code.status(), code, code.title()).expect("writing to a string");
            assert_eq!(code.as_str().parse(), Ok(*code));
            assert_eq!(serde_json::to_value(code).expect("a string"), code.as_str());
            assert_eq!(code.urn(), format!("urn:statehold:problem:{code}"));
        }
        insta::assert_snapshot!(table);
    }

    #[test]
    fn a_problem_holds_only_the_members_of_its_code() {
        let body = ProblemBody {
            urn: Code::RouteNotFound.urn().into(),
            title: Code::RouteNotFound.title().into(),
            status: 404,
            detail: None,
            instance: "/v1/nowhere".into(),
            code: Code::RouteNotFound,
            correlation_id: "c-1".into(),
            members: Members::default(),
        };
        let value = serde_json::to_value(&body).expect("serialises");
        assert_eq!(value.as_object().expect("an object").len(), 6);
        assert_eq!(serde_json::from_value::<ProblemBody>(value).expect("comes back"), body);
    }
}
