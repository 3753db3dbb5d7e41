//! Takes secrets out of text before anyone reads it.

use std::borrow::Cow;

/// What stands for a secret.
const MASK: &str = "***";
/// Words whose value is a secret: after `=`, or in JSON after `":`.
const NAMES: [&str; 7] = ["password", "passwd", "secret", "token_key", "api_key", "apikey", "authorization"];
/// Words before a space and a secret.
const SCHEMES: [&str; 2] = ["bearer ", "basic "];
/// How our own tokens begin.
const TOKENS: [&str; 2] = ["shk_", "shs1_"];

/// Replaces by `***`: the user info of URLs, values of `password=` and the like, credentials after `Bearer` and
/// `Basic`, and our own keys and tokens. Text without any of these is returned as it is, without a copy.
pub fn mask(text: &str) -> Cow<'_, str> {
    let mut masked: Option<String> = None;
    let mut copied = 0;
    let mut at = 0;
    while at < text.len() {
        let Some(secret) = secret_at(text, at) else {
            at += 1;
            continue;
        };
        let out = masked.get_or_insert_with(|| String::with_capacity(text.len()));
        out.push_str(&text[copied..secret.start]);
        out.push_str(MASK);
        copied = secret.end;
        at = secret.end;
    }
    match masked {
        Some(mut out) => {
            out.push_str(&text[copied..]);
            Cow::Owned(out)
        }
        None => Cow::Borrowed(text),
    }
}

/// The secret whose sign begins at this byte.
fn secret_at(text: &str, at: usize) -> Option<std::ops::Range<usize>> {
    match text.as_bytes()[at].to_ascii_lowercase() {
        b':' => user_info(text, at),
        b'a' | b'p' | b't' => named(text, at),
        b's' => token(text, at).or_else(|| named(text, at)),
        b'b' => scheme(text, at),
        _ => None,
    }
    .filter(|range| !range.is_empty() && &text[range.clone()] != MASK)
}

fn begins(text: &str, at: usize, word: &str) -> bool {
    text.as_bytes()[at..].get(..word.len()).is_some_and(|bytes| bytes.eq_ignore_ascii_case(word.as_bytes()))
}

/// `scheme://user:password@`: a password may hold anything but white space and quotes, so the last `@` ends it.
fn user_info(text: &str, at: usize) -> Option<std::ops::Range<usize>> {
    if !begins(text, at, "://") {
        return None;
    }
    let start = at + 3;
    let end = until(text, start, |byte| byte.is_ascii_whitespace() || b"\"'`<>".contains(&byte));
    let last = text[start..end].rfind('@')?;
    Some(start..start + last)
}

/// `password=…`, `password = "…"`, `"password":"…"`, `password: …`.
fn named(text: &str, at: usize) -> Option<std::ops::Range<usize>> {
    let word = NAMES.into_iter().find(|word| begins(text, at, word))?;
    let bytes = text.as_bytes();
    let skip = |from: usize| from + bytes[from..].iter().take_while(|byte| **byte == b' ').count();
    let after = at + word.len();
    let quoted =
        bytes.get(after).is_some_and(|byte| b"\"'".contains(byte)) || text[after..].starts_with("\\\"");
    let sign = skip(after + if text[after..].starts_with("\\\"") { 2 } else { usize::from(quoted) });
    match bytes.get(sign)? {
        b'=' => {}
        b':' if quoted || word.starts_with("pass") || word == "authorization" => {}
        _ => return None,
    }
    let mut start = skip(sign + 1);
    if text[start..].starts_with('\\') {
        start += 1;
    }
    let quote = bytes.get(start).copied().filter(|byte| b"\"'`".contains(byte));
    let range = match quote {
        Some(quote) => {
            let start = start + 1;
            start..until(text, start, |byte| byte == quote)
        }
        None if word == "authorization" => start..until(text, start, |byte| b"\r\n\"',;".contains(&byte)),
        None => start..until(text, start, |byte| byte.is_ascii_whitespace() || b",;&)]}\"'".contains(&byte)),
    };
    Some(range)
}

fn scheme(text: &str, at: usize) -> Option<std::ops::Range<usize>> {
    let word = SCHEMES.into_iter().find(|word| begins(text, at, word))?;
    let start = at + word.len();
    let end = until(text, start, |byte| byte.is_ascii_whitespace() || b",;\"'`)]}\\".contains(&byte));
    // A word of plain English after `basic` is none of ours; credentials are longer.
    (word == "bearer " || end - start >= 12).then_some(start..end)
}

fn token(text: &str, at: usize) -> Option<std::ops::Range<usize>> {
    let word = TOKENS.into_iter().find(|word| begins(text, at, word))?;
    let start = at + word.len();
    Some(start..until(text, start, |byte| !(byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-')))
}

/// Where the first byte of this kind stands, from `start` on; the end where none does. Only ASCII bytes are looked
/// for, so the place is always a boundary of characters.
fn until(text: &str, start: usize, stop: impl Fn(u8) -> bool) -> usize {
    let rest = text.as_bytes().get(start..).unwrap_or_default();
    let found = rest.iter().position(|byte| byte.is_ascii() && stop(*byte));
    found.map_or(text.len(), |offset| start + offset)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn f294_secrets_are_masked_and_addresses_kept() {
        for (text, masked) in [
            ("redis://user:hunter2@host:6379/0", "redis://***@host:6379/0"),
            ("redis://:p@ss/w@h1:1,h2:2", "redis://***@h1:1,h2:2"),
            ("host:6379,password=hunter2,ssl=true", "host:6379,password=***,ssl=true"),
            ("REDIS_PASSWORD=hunter2", "REDIS_PASSWORD=***"),
            ("password = \"hunter 2\" end", "password = \"***\" end"),
            (r#"{"password":"hunter2","a":1}"#, r#"{"password":"***","a":1}"#),
            (r#"{\"password\":\"hunter2\"}"#, r#"{\"password\":\"***"}"#),
            ("Authorization: Bearer abc.def-ghi", "Authorization: ***"),
            ("sent bearer abc.def, then", "sent bearer ***, then"),
            ("key shk_01abc_Zm9v-_x was", "key shk_*** was"),
            ("token shs1_abcDEF", "token shs1_***"),
            ("secrets.token_key = 0011", "secrets.token_key = ***"),
            ("é password=ü end", "é password=*** end"),
        ] {
            assert_eq!(mask(text), masked, "{text}");
        }
    }

    #[test]
    fn plain_text_is_not_copied() {
        for text in [
            "connected to redis://host:6379",
            "secrets.token_key: is not set",
            "a basic rule",
            "the password is required",
            "shk_",
            "",
        ] {
            assert!(matches!(mask(text), Cow::Borrowed(same) if same == text), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics_and_masking_twice_changes_nothing(text in "[ -~é\\n]{0,60}") {
            let once = mask(&text).into_owned();
            prop_assert_eq!(mask(&once).into_owned(), once.clone());
        }

        #[test]
        fn planted_secrets_are_gone(before in "[a-z ]{0,10}", secret in "[A-Za-z0-9]{20,40}") {
            for text in [
                format!("{before}shk_id_{secret} x"),
                format!("{before} Bearer {secret}"),
                format!("{before}rediss://u:{secret}@h"),
                format!("{before}&password={secret}&x=1"),
            ] {
                prop_assert!(!mask(&text).contains(&secret), "{}", mask(&text));
            }
        }
    }
}
