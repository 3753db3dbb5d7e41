//! Strict input: what is not understood is refused, with the place and the reason.

mod call;
mod json;
mod path;
mod query;

use statehold_api::{Code, FieldError};

pub(crate) use self::call::{Call, IfMatch};
pub(crate) use self::json::{Json, JsonOrEmpty};
pub(crate) use self::path::Path;
pub(crate) use self::query::Query;
pub(crate) use self::query::carries_a_token;

/// What the text of a deserialisation error means. Wire types name their code themselves (`statehold_api::values`);
/// the rest is serde's own wording, which is part of its stable behaviour and pinned by a test here.
fn field_error(path: String, message: &str) -> FieldError {
    let message = message.rsplit_once(" at line ").map_or(message, |(text, _)| text);
    if let Some((code, detail)) = message.split_once(": ")
        && let Ok(code) = code.parse::<Code>()
    {
        return FieldError { path, code, detail: detail.to_owned() };
    }
    let code = if message.starts_with("unknown field") {
        Code::UnknownField
    } else if message.starts_with("unknown variant") {
        Code::InvalidEnum
    } else if message.starts_with("invalid type") && expects_a_number(message) {
        Code::InvalidNumber
    } else if message.contains("expected a duration") {
        Code::InvalidDuration
    } else if message.contains("expected a revision") {
        Code::InvalidRevision
    } else {
        // Missing, given twice, of another type, or of a value outside the type's range.
        Code::OutOfRange
    };
    FieldError { path, code, detail: message.to_owned() }
}

fn expects_a_number(message: &str) -> bool {
    let expected = message.rsplit_once("expected ").map_or("", |(_, expected)| expected);
    ["u8", "u16", "u32", "u64", "usize", "i8", "i16", "i32", "i64", "isize", "f64"]
        .iter()
        .any(|name| expected.starts_with(name))
}
