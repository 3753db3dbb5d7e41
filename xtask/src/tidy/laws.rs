//! Every behaviour bullet of the contract has a law of the same id, and every law a bullet.

use std::collections::BTreeSet;

use super::Finding;
use crate::tree::Source;

const CONTRACT: &[&str] =
    &["crates/core/src/engine.rs", "crates/core/src/movable.rs", "crates/core/src/signals.rs"];

/// Checks bullets against laws.
pub(crate) fn check(code: &[Source]) -> Vec<Finding> {
    let bullets: BTreeSet<String> = code
        .iter()
        .filter(|source| CONTRACT.contains(&source.path.as_str()))
        .flat_map(|s| bullets(&s.text))
        .collect();
    let laws: BTreeSet<String> = code
        .iter()
        .filter(|source| source.path.starts_with("proof/laws/src/"))
        .flat_map(|s| laws(&s.text))
        .collect();
    let mut findings = Vec::new();
    for missing in bullets.difference(&laws) {
        findings
            .push(Finding::new("crates/core", format!("the bullet `{missing}` has no law in proof/laws")));
    }
    for missing in laws.difference(&bullets) {
        findings.push(Finding::new(
            "proof/laws",
            format!("the law `{missing}` has no bullet on the contract's traits"),
        ));
    }
    findings
}

/// The ids of lines such as ``/// - `checks.each`: …``.
fn bullets(text: &str) -> Vec<String> {
    let rows = text.lines().filter_map(|line| line.trim().strip_prefix("/// - `"));
    rows.filter_map(|row| row.split_once("`:")).map(|(id, _)| id.to_owned()).collect()
}

/// The ids of lines such as `id: "checks.each",`.
fn laws(text: &str) -> Vec<String> {
    let rows = text.lines().filter_map(|line| line.trim().strip_prefix("id: \""));
    rows.filter_map(|row| row.split_once('"')).map(|(id, _)| id.to_owned()).collect()
}
