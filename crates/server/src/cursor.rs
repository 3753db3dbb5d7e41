//! Cursors: opaque, and bound to the query that made them.
//!
//! A cursor is base64url of a digest of the query (what is listed, with its filters, not the page size) and a place in
//! the list's total order. One of another query is refused before it is looked at.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use statehold_api::common::{PAGE_LIMIT_DEFAULT, PAGE_LIMIT_MAX};
use statehold_api::{Code, Page, PageQuery};

use crate::problem::Problem;

const DIGEST_BYTES: usize = 8;
/// Most bytes of a cursor as it travels.
const CURSOR_BYTES_MAX: usize = 4_096;

/// A cursor for a place in a list.
pub(crate) fn seal(query: &str, place: &[u8]) -> String {
    let mut bytes = digest(query).to_vec();
    bytes.extend_from_slice(place);
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The place in a cursor of this query.
///
/// # Errors
/// 422 `invalid_cursor` for one of another query, and for anything else.
pub(crate) fn open(query: &str, cursor: &str) -> Result<Vec<u8>, Problem> {
    Some(cursor)
        .filter(|cursor| cursor.len() <= CURSOR_BYTES_MAX)
        .and_then(|cursor| URL_SAFE_NO_PAD.decode(cursor).ok())
        .and_then(|bytes| bytes.strip_prefix(&digest(query)).map(<[u8]>::to_vec))
        .ok_or_else(invalid)
}

fn invalid() -> Problem {
    Problem::field(Code::InvalidCursor, "cursor", "send a next_cursor of the same query, as it is")
}

/// The page size that is asked for.
///
/// # Errors
/// 422 `out_of_range` unless 1 to 100.
pub(crate) fn limit(query: &PageQuery) -> Result<usize, Problem> {
    match query.limit.unwrap_or(PAGE_LIMIT_DEFAULT) {
        limit @ 1..=PAGE_LIMIT_MAX => Ok(limit as usize),
        _ => Err(Problem::field(Code::OutOfRange, "limit", "a page has 1 to 100 entries")),
    }
}

fn digest(query: &str) -> [u8; DIGEST_BYTES] {
    let hash = blake3::hash(query.as_bytes());
    *hash.as_bytes().first_chunk().expect("a BLAKE3 hash has 32 bytes")
}

/// A page of a list that is in memory, sorted by a number and a text that together are unique.
pub(crate) fn page<T, V>(
    query: &PageQuery,
    name: &str,
    mut rows: Vec<T>,
    place: impl Fn(&T) -> (u64, String),
    show: impl Fn(&T) -> V,
) -> Result<Page<V>, Problem> {
    let limit = limit(query)?;
    let after = query.cursor.as_deref().map(|cursor| read_place(&open(name, cursor)?)).transpose()?;
    rows.sort_by_key(&place);
    let start = after.map_or(0, |after| rows.partition_point(|row| place(row) <= after));
    let rest = rows.get(start..).unwrap_or_default();
    let shown = &rest[..rest.len().min(limit)];
    let next_cursor = shown.last().filter(|_| rest.len() > limit).map(|last| {
        let (number, text) = place(last);
        seal(name, &[&number.to_be_bytes(), text.as_bytes()].concat())
    });
    Ok(Page { items: shown.iter().map(show).collect(), next_cursor })
}

fn read_place(bytes: &[u8]) -> Result<(u64, String), Problem> {
    let (number, text) = bytes.split_first_chunk().ok_or_else(invalid)?;
    let text = std::str::from_utf8(text).map_err(|_| invalid())?;
    Ok((u64::from_be_bytes(*number), text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(query: &PageQuery) -> Result<Page<u64>, Problem> {
        page(query, "numbers", vec![3_u64, 1, 2, 5, 4], |n| (*n, String::new()), |n| *n)
    }

    #[test]
    fn pages_join_to_the_whole_list_in_order() {
        let mut query = PageQuery { limit: Some(2), cursor: None };
        let mut seen = Vec::new();
        loop {
            let page = numbers(&query).expect("legal");
            seen.extend(page.items);
            query.cursor = page.next_cursor;
            if query.cursor.is_none() {
                break;
            }
        }
        assert_eq!(seen, [1, 2, 3, 4, 5]);
    }

    #[test]
    fn broken_and_foreign_cursors_are_refused() {
        let place = [0; 9];
        for cursor in ["", "%%", "AAAA", &seal("others", &place), &seal("numbers", &[1]), &"A".repeat(5_000)]
        {
            let query = PageQuery { limit: None, cursor: Some(cursor.to_owned()) };
            assert_eq!(numbers(&query).expect_err(cursor).code(), Code::InvalidCursor, "{cursor}");
        }
        assert_eq!(open("numbers", &seal("numbers", &place)).expect("own"), place);
        for limit in [0, 101] {
            let query = PageQuery { limit: Some(limit), cursor: None };
            assert_eq!(numbers(&query).expect_err("out of range").code(), Code::OutOfRange);
        }
    }
}
