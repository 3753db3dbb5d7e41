//! One word per idea: synonyms are named with the word to use instead.

use super::Finding;
use crate::tree::Source;

/// A synonym, in two halves so that this table does not meet itself, and the word to use.
const SYNONYMS: &[(&str, &str, &str)] = &[
    ("back", "end", "engine"),
    ("mana", "ger", "the thing it keeps"),
    ("middle", "ware", "layer"),
    ("help", "er", "what it does"),
    ("uti", "ls", "what it does"),
    ("adap", "ter", "what it turns into what"),
];

/// Checks file names, type and function names, and prose.
pub(crate) fn check(code: &[Source], prose: &[Source]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for source in code {
        for (number, line) in source.text.lines().enumerate() {
            let Some(name) = declared(line) else { continue };
            for (synonym, word) in synonyms_in(name) {
                let place = format!("{}:{}", source.path, number + 1);
                findings.push(Finding::new(place, format!("`{name}` says “{synonym}”: say {word}")));
            }
        }
        for (synonym, word) in synonyms_in(&source.path) {
            findings.push(Finding::new(&source.path, format!("the path says “{synonym}”: say {word}")));
        }
    }
    for source in prose.iter().filter(|source| !source.path.ends_with("STYLE.md")) {
        for (number, line) in source.text.lines().enumerate() {
            for (synonym, word) in synonyms_in(line) {
                let place = format!("{}:{}", source.path, number + 1);
                findings.push(Finding::new(place, format!("“{synonym}”: say {word}")));
            }
        }
    }
    findings
}

/// What our users call themselves, in two halves: not a synonym of ours.
const USERS: (&str, &str) = ("back", "end services");

fn synonyms_in(text: &str) -> impl Iterator<Item = (String, &'static str)> {
    let text = text.to_lowercase().replace(&format!("{}{}", USERS.0, USERS.1), "");
    SYNONYMS.iter().filter_map(move |(head, tail, word)| {
        let synonym = format!("{head}{tail}");
        text.contains(&synonym).then_some((synonym, *word))
    })
}

/// The name that a line declares.
fn declared(line: &str) -> Option<&str> {
    let line = line.trim_start().trim_start_matches("pub(crate) ").trim_start_matches("pub(super) ");
    let line = line.trim_start_matches("pub ").trim_start_matches("async ").trim_start_matches("const ");
    let rest = ["fn ", "struct ", "enum ", "trait ", "mod ", "type "]
        .iter()
        .find_map(|word| line.strip_prefix(word))?;
    let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
    Some(&rest[..end])
}
