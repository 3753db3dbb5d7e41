//! What a user may have meant.

use std::collections::BTreeSet;

use super::key::Names;
use super::keys::{KEYS, names};
use super::origin::Origin;
use super::problem::Problem;
use super::sources::{Given, variable};

/// The mistake of a key that does not exist, with what does.
pub(crate) fn unknown(given: &Given) -> Problem {
    let path = given.path.join(".");
    let mut legal = "unknown key".to_owned();
    if let Some(near) = nearest(&given.path) {
        let near = match given.origin {
            Origin::Environment { .. } => variable(&near),
            _ => near,
        };
        legal.push_str("; did you mean `");
        legal.push_str(&near);
        legal.push_str("`?");
    }
    let (below, known) = known_below(&given.path);
    let place =
        if below.is_empty() { "known sections and keys".to_owned() } else { format!("known in `{below}`") };
    for part in ["; ", &place, ": ", &known.join(", ")] {
        legal.push_str(part);
    }
    Problem::new(path, legal).at(&given.origin)
}

/// The mistake of a plain value where a table belongs.
pub(crate) fn is_section(given: &Given) -> Problem {
    let (_, known) = known_below(&[given.path.clone(), vec![String::new()]].concat());
    Problem::new(given.path.join("."), format!("a table with {}", known.join(", "))).at(&given.origin)
}

/// The longest known part of a path, and what may follow it.
fn known_below(path: &[String]) -> (String, Vec<String>) {
    for length in (0..path.len()).rev() {
        let known: BTreeSet<String> = KEYS
            .iter()
            .filter_map(|key| {
                let segments: Vec<_> = key.segments().collect();
                let fits = segments.len() > length
                    && segments
                        .iter()
                        .zip(&path[..length])
                        .all(|(segment, written)| stands_for(segment, written));
                fits.then(|| segments[length].to_owned())
            })
            .collect();
        if !known.is_empty() {
            return (path[..length].join("."), known.into_iter().collect());
        }
    }
    (String::new(), Vec::new())
}

fn stands_for(segment: &str, written: &str) -> bool {
    if !segment.starts_with('<') {
        return segment == written;
    }
    match names(segment) {
        Names::Closed(closed) => closed.contains(&written),
        Names::Open { .. } => true,
    }
}

/// The key nearest to what was written, when it is near enough to have been meant.
fn nearest(path: &[String]) -> Option<String> {
    let written = path.join(".");
    if written.len() > 200 {
        return None;
    }
    let candidate = |segments: Vec<&'static str>| {
        let concrete: Vec<&str> = segments
            .iter()
            .enumerate()
            .map(|(index, segment)| match path.get(index) {
                Some(name) if segment.starts_with('<') && stands_for(segment, name) => name,
                _ => *segment,
            })
            .collect();
        concrete.join(".")
    };
    KEYS.iter()
        .map(|key| candidate(key.segments().collect()))
        .map(|near| (distance(&written, &near), near))
        .filter(|(distance, near)| *distance <= 1 + near.len().min(written.len()) / 5)
        .min()
        .map(|(_, near)| near)
}

/// How many letters must be put, taken, changed or swapped (optimal string alignment).
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i; b.len() + 1];
        for j in 1..=b.len() {
            let change = above[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            row[j] = change.min(above[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                row[j] = row[j].min(before[j - 2] + 1);
            }
        }
        before = std::mem::replace(&mut above, row);
    }
    above[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances() {
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("listen", "listne"), 1);
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("same", "same"), 0);
    }

    #[test]
    fn what_was_meant_is_found() {
        let near = |path: &str| nearest(&path.split('.').map(str::to_owned).collect::<Vec<_>>());
        assert_eq!(near("server.lsiten").as_deref(), Some("server.listen"));
        assert_eq!(near("engines.fast.knd").as_deref(), Some("engines.fast.kind"));
        assert_eq!(near("sessions.user.idle_tll").as_deref(), Some("sessions.user.idle_ttl"));
        assert_eq!(near("completely.different"), None);
    }
}
