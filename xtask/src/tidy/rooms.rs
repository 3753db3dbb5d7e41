//! Rooms stand in an order; each uses only what stands below it.

use super::Finding;
use crate::tree::Source;

/// Every room with the rooms of this workspace that it may use outside its tests.
const ROOMS: &[(&str, &[&str])] = &[
    ("statehold-core", &[]),
    ("statehold-sql", &["statehold-core"]),
    ("statehold-engines", &["statehold-core", "statehold-sql"]),
    ("statehold-layers", &["statehold-core"]),
    ("statehold-stores", &["statehold-core"]),
    ("statehold-journal", &["statehold-core", "statehold-sql"]),
    ("statehold-moves", &["statehold-core", "statehold-journal"]),
    (
        "statehold",
        &[
            "statehold-core",
            "statehold-sql",
            "statehold-engines",
            "statehold-layers",
            "statehold-stores",
            "statehold-journal",
            "statehold-moves",
        ],
    ),
    // Requests and configuration write durations alike: the grammar is in core.
    ("statehold-api", &["statehold-core"]),
    (
        "statehold-server",
        &["statehold", "statehold-api", "statehold-core", "statehold-stores", "statehold-journal"],
    ),
    (
        "statehold-cli",
        &[
            "statehold",
            "statehold-api",
            "statehold-bench",
            "statehold-core",
            "statehold-journal",
            "statehold-server",
            "statehold-stores",
        ],
    ),
    (
        "statehold-laws",
        &["statehold-core", "statehold-engines", "statehold-layers", "statehold-moves", "statehold-stores"],
    ),
    (
        "statehold-bench",
        &[
            "statehold",
            "statehold-core",
            "statehold-engines",
            "statehold-layers",
            "statehold-server",
            "statehold-stores",
        ],
    ),
];

/// The contract crate's dependencies, whole: everybody pays for them.
const CORE_DEPENDENCIES: &[&str] = &["async-trait", "blake3", "bytes", "futures-core"];

/// Checks every manifest's dependencies.
pub(crate) fn check(manifests: &[Source]) -> Result<Vec<Finding>, String> {
    let mut findings = Vec::new();
    for manifest in manifests {
        let table: toml::Table =
            manifest.text.parse().map_err(|error| format!("{}: {error}", manifest.path))?;
        let name = table["package"]["name"].as_str().unwrap_or_default();
        let Some((_, allowed)) = ROOMS.iter().find(|(room, _)| *room == name) else {
            findings
                .push(Finding::new(&manifest.path, format!("`{name}` is no known room: give it its place")));
            continue;
        };
        let uses = table.get("dependencies").and_then(toml::Value::as_table);
        for used in uses.into_iter().flat_map(toml::Table::keys) {
            let ours = used.starts_with("statehold");
            let wrong = (ours && !allowed.contains(&used.as_str()))
                || (name == "statehold-core" && !CORE_DEPENDENCIES.contains(&used.as_str()));
            if wrong {
                findings.push(Finding::new(&manifest.path, format!("`{name}` may not use `{used}`")));
            }
        }
        if table.get("lints").is_none() {
            findings.push(Finding::new(&manifest.path, "take the workspace's lints"));
        }
    }
    Ok(findings)
}

/// A line that only one place may hold: what, where, and where it belongs.
const LINES: &[(&str, &[&str], &str)] = &[
    (
        "std::env::var",
        &["crates/statehold/src/config/", "xtask/"],
        "the environment is read in the configuration room",
    ),
    ("SystemTime::now", &["crates/statehold/src/clock.rs"], "ask the Clock"),
    ("StatusCode::", &["crates/server/", "crates/cli/tests/"], "HTTP statuses are the server's"),
    ("rusqlite", &["crates/sql/", "proof/bench/"], "SQL goes through the sql room"),
];

/// Checks lines that have one home.
pub(crate) fn check_folders(code: &[Source]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for source in code.iter().filter(|source| !source.path.starts_with("xtask/")) {
        for (needle, homes, remedy) in LINES {
            let at_home = homes.iter().any(|home| source.path.starts_with(home));
            if !at_home && source.text.lines().any(|line| line.contains(needle) && !is_comment(line)) {
                findings.push(Finding::new(&source.path, format!("`{needle}`: {remedy}")));
            }
        }
    }
    findings
}

fn is_comment(line: &str) -> bool {
    line.trim_start().starts_with("//")
}
