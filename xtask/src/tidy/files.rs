//! Sizes, dead files, and what no file may hold.

use std::collections::BTreeSet;

use super::Finding;
use crate::tree::Source;

/// Most lines of a file, its tests aside.
const LINES_MAX: usize = 700;

/// What no source line may hold, spelled in two halves so that this file does not hold it either.
const BANNED: &[(&str, &str, &str)] = &[
    ("todo", "!(", "finish it, or leave it out"),
    ("unimplemented", "!(", "finish it, or leave it out"),
    ("dbg", "!(", "log, or leave it out"),
    ("#[ign", "ore", "a test that does not run is no test"),
    ("FIX", "ME", "mend it, or write an issue"),
    ("```ign", "ore", "examples compile"),
];

/// Checks every source file.
pub(crate) fn check(code: &[Source]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for source in code {
        let lines = source.lines_without_tests();
        if lines > LINES_MAX && !source.is_test() {
            findings.push(Finding::new(
                &source.path,
                format!("{lines} lines; split it by idea ({LINES_MAX} at most)"),
            ));
        }
        for (number, line) in source.text.lines().enumerate() {
            for (head, tail, remedy) in BANNED {
                let hit = line.find(head).is_some_and(|at| line[at + head.len()..].starts_with(tail));
                if hit {
                    findings.push(Finding::new(format!("{}:{}", source.path, number + 1), *remedy));
                }
            }
        }
        if !source.text.starts_with("//!") && !source.text.starts_with("#!") && !source.is_test() {
            findings.push(Finding::new(&source.path, "begin with what this file is about (`//!`)"));
        }
    }
    findings.extend(dead(code));
    findings
}

/// Files that no `mod` line names: they are not compiled, so they are not true.
fn dead(code: &[Source]) -> Vec<Finding> {
    let paths: BTreeSet<&str> = code.iter().map(|source| source.path.as_str()).collect();
    let mut findings = Vec::new();
    for source in code {
        let Some((folder, file)) = source.path.rsplit_once('/') else { continue };
        if matches!(file, "lib.rs" | "main.rs" | "build.rs") || folder.ends_with("/examples") {
            continue;
        }
        let (name, folder) = if file == "mod.rs" {
            match folder.rsplit_once('/') {
                Some((above, name)) => (name, above),
                None => continue,
            }
        } else {
            (file.trim_end_matches(".rs"), folder)
        };
        let parents = ["mod.rs", "lib.rs", "main.rs"].map(|parent| format!("{folder}/{parent}"));
        let named = code.iter().filter(|parent| parents.contains(&parent.path)).any(|parent| {
            parent.text.lines().any(|line| {
                let line = line.trim();
                line.ends_with(&format!("mod {name};")) || line.contains(&format!("\"{name}.rs\""))
            })
        });
        if !named {
            findings.push(Finding::new(&source.path, "no `mod` names this file: use it or remove it"));
        }
        if file != "mod.rs" && paths.contains(format!("{folder}/{name}/mod.rs").as_str()) {
            findings.push(Finding::new(&source.path, "a folder of the same name exists: use its mod.rs"));
        }
    }
    findings
}
