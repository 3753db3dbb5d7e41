//! The rules that a program can check. Every finding names a file and what to do.

mod files;
mod laws;
mod rooms;
mod words;

use crate::tree::{self, Source};

/// What a rule found: where, and what to do about it.
pub(crate) struct Finding {
    pub(crate) place: String,
    pub(crate) remedy: String,
}

impl Finding {
    pub(crate) fn new(place: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { place: place.into(), remedy: remedy.into() }
    }
}

/// `cargo xtask tidy`.
pub(crate) fn run() -> Result<(), String> {
    let code = tree::sources(&["crates", "proof", "xtask"], &[".rs"])?;
    let prose =
        tree::sources(&["docs", "README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "STYLE.md"], &[".md"])?;
    let manifests = tree::sources(&["crates", "proof"], &["Cargo.toml"])?;
    let mut findings = rooms::check(&manifests)?;
    findings.extend(rooms::check_folders(&code));
    findings.extend(files::check(&code));
    findings.extend(words::check(&code, &prose));
    findings.extend(laws::check(&code));
    findings.extend(crate::matrix::check()?);
    for Finding { place, remedy } in &findings {
        println!("{place}: {remedy}");
    }
    let lines: usize = code.iter().map(Source::lines_without_tests).sum();
    println!("tidy: {} files, {lines} lines of code, {} findings", code.len(), findings.len());
    if findings.is_empty() { Ok(()) } else { Err(format!("{} findings", findings.len())) }
}
