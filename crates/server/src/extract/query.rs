//! Query strings.

use std::fmt::{self, Display};

use axum::extract::FromRequestParts;
use axum::http::Uri;
use axum::http::request::Parts;
use serde::de::value::MapDeserializer;
use serde::de::{self, DeserializeOwned, Deserializer, IntoDeserializer, Visitor};
use serde::forward_to_deserialize_any;
use statehold_api::{Code, FieldError};

use super::field_error;
use crate::problem::Problem;

/// Query parameters, strictly read: unknown and repeated ones are refused.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Query<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        parse(&parts.uri).map(Self).map_err(|error| Problem::fields(vec![error]))
    }
}

fn pairs(uri: &Uri) -> Vec<(String, String)> {
    axum::extract::Query::try_from_uri(uri).map(|axum::extract::Query(pairs)| pairs).unwrap_or_default()
}

fn parse<T: DeserializeOwned>(uri: &Uri) -> Result<T, FieldError> {
    let pairs = pairs(uri).into_iter().map(|(name, value)| {
        let part = Part { name: name.clone(), value };
        (name, part)
    });
    T::deserialize(MapDeserializer::<_, Refused>::new(pairs)).map_err(|refused| refused.0)
}

/// Parameters that would carry credentials, whatever the route makes of them.
const TOKEN_NAMES: [&str; 9] = [
    "token",
    "access_token",
    "session",
    "session_token",
    "x-session-id",
    "x_session_id",
    "api_key",
    "apikey",
    "authorization",
];
const TOKEN_PREFIXES: [&str; 2] = ["shk_", "shs1_"];

/// Whether a query string carries credentials, which belong in a header: query strings end up in logs.
pub(crate) fn carries_a_token(uri: &Uri) -> bool {
    uri.query().is_some()
        && pairs(uri).iter().any(|(name, value)| {
            TOKEN_NAMES.iter().any(|token| name.eq_ignore_ascii_case(token))
                || TOKEN_PREFIXES.iter().any(|prefix| value.starts_with(prefix))
        })
}

/// One parameter's text, read as whatever its field wants.
struct Part {
    name: String,
    value: String,
}

#[derive(Debug)]
struct Refused(FieldError);

impl Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.detail)
    }
}

impl std::error::Error for Refused {}

impl de::Error for Refused {
    fn custom<T: Display>(message: T) -> Self {
        Self(field_error(String::new(), &message.to_string()))
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Self {
        let known = if expected.is_empty() { "none are known".to_owned() } else { expected.join(", ") };
        let detail = format!("unknown parameter; known: {known}");
        Self(FieldError { path: field.to_owned(), code: Code::UnknownField, detail })
    }

    fn missing_field(field: &'static str) -> Self {
        let detail = "the parameter is required".to_owned();
        Self(FieldError { path: field.to_owned(), code: Code::OutOfRange, detail })
    }

    fn duplicate_field(field: &'static str) -> Self {
        let detail = "the parameter is given twice".to_owned();
        Self(FieldError { path: field.to_owned(), code: Code::OutOfRange, detail })
    }
}

impl IntoDeserializer<'_, Refused> for Part {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

impl Part {
    fn refuse(name: &str, code: Code, detail: &str) -> Refused {
        Refused(FieldError { path: name.to_owned(), code, detail: detail.to_owned() })
    }
}

/// Puts the parameter's name to an error that has no place yet.
fn placed(name: &str) -> impl FnOnce(Refused) -> Refused {
    move |mut refused| {
        if refused.0.path.is_empty() {
            name.clone_into(&mut refused.0.path);
        }
        refused
    }
}

macro_rules! numbers {
    ($($method:ident $visit:ident $type:ty),* $(,)?) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
            let number = self.value.parse::<$type>().map_err(|_| {
                let digits = self.value.strip_prefix('-').unwrap_or(&self.value);
                let whole = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
                let code = if whole { Code::OutOfRange } else { Code::InvalidNumber };
                Self::refuse(&self.name, code, concat!("expected ", stringify!($type)))
            })?;
            visitor.$visit(number).map_err(placed(&self.name))
        }
    )*};
}

impl<'de> Deserializer<'de> for Part {
    type Error = Refused;

    numbers! {
        deserialize_u8 visit_u8 u8, deserialize_u16 visit_u16 u16, deserialize_u32 visit_u32 u32,
        deserialize_u64 visit_u64 u64, deserialize_i8 visit_i8 i8, deserialize_i16 visit_i16 i16,
        deserialize_i32 visit_i32 i32, deserialize_i64 visit_i64 i64, deserialize_f64 visit_f64 f64,
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        visitor.visit_string(self.value).map_err(placed(&self.name))
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        match self.value.as_str() {
            "true" => visitor.visit_bool(true),
            "false" => visitor.visit_bool(false),
            _ => Err(Self::refuse(&self.name, Code::InvalidEnum, "expected true or false")),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Refused> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Refused> {
        if !variants.contains(&self.value.as_str()) {
            let detail = format!("expected one of {}", variants.join(", "));
            return Err(Self::refuse(&self.name, Code::InvalidEnum, &detail));
        }
        visitor.visit_enum(self.value.into_deserializer())
    }

    forward_to_deserialize_any! {
        i128 u128 f32 char str string bytes byte_buf unit unit_struct seq tuple tuple_struct map struct identifier
        ignored_any
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use statehold_api::PageQuery;

    use super::*;

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Wanted {
        owner: String,
        limit: Option<u32>,
        enforce: Option<bool>,
        kind: Option<Kind>,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Kind {
        User,
    }

    fn uri(query: &str) -> Uri {
        format!("/v1/x?{query}").parse().expect("a uri")
    }

    #[test]
    fn what_is_meant_is_read() {
        let wanted: Wanted = parse(&uri("owner=a%2Fb+c&limit=7&enforce=true&kind=user")).expect("legal");
        let kind = Some(Kind::User);
        assert_eq!(wanted, Wanted { owner: "a/b c".into(), limit: Some(7), enforce: Some(true), kind });
        assert_eq!(
            parse::<PageQuery>(&"/v1/x".parse().expect("a uri")).expect("legal"),
            PageQuery::default()
        );
    }

    #[test]
    fn every_mistake_has_its_code_and_place() {
        for (query, code, path) in [
            ("owner=a&more=1", Code::UnknownField, "more"),
            ("limit=1", Code::OutOfRange, "owner"),
            ("owner=a&owner=b", Code::OutOfRange, "owner"),
            ("owner=a&limit=x", Code::InvalidNumber, "limit"),
            ("owner=a&limit=", Code::InvalidNumber, "limit"),
            ("owner=a&limit=-1", Code::OutOfRange, "limit"),
            ("owner=a&limit=99999999999", Code::OutOfRange, "limit"),
            ("owner=a&enforce=1", Code::InvalidEnum, "enforce"),
            ("owner=a&kind=robot", Code::InvalidEnum, "kind"),
        ] {
            let error = parse::<Wanted>(&uri(query)).expect_err(query);
            assert_eq!((error.code, error.path.as_str()), (code, path), "{query}: {}", error.detail);
        }
    }

    #[test]
    fn credentials_are_seen_under_any_name() {
        for query in ["token=x", "Access_Token=x", "a=1&X-Session-Id=y", "q=shk_1_2", "q=shs1_abc"] {
            assert!(carries_a_token(&uri(query)), "{query}");
        }
        assert!(!carries_a_token(&uri("owner=a&except=b")));
    }
}
