//! The repository as files and text.

use std::fs;
use std::path::{Path, PathBuf};

/// A source file: its path below the repository and its text.
pub(crate) struct Source {
    pub(crate) path: String,
    pub(crate) text: String,
}

impl Source {
    /// The lines before the file's own unit tests.
    pub(crate) fn lines_without_tests(&self) -> usize {
        let end = self.text.find("\n#[cfg(test)]\nmod tests {").unwrap_or(self.text.len());
        self.text[..end].lines().count()
    }

    /// Whether the whole file is test code.
    pub(crate) fn is_test(&self) -> bool {
        self.path.contains("/tests/") || self.path.ends_with("/tests.rs") || self.path.ends_with("_tests.rs")
    }
}

/// The repository's root.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the repository").to_path_buf()
}

/// Every file below the given folders of the repository with one of the endings, in path order.
pub(crate) fn sources(folders: &[&str], endings: &[&str]) -> Result<Vec<Source>, String> {
    let root = root();
    let mut found = Vec::new();
    for folder in folders {
        collect(&root.join(folder), endings, &mut found)?;
    }
    found.sort();
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        let path = path.strip_prefix(&root).expect("found below the root").to_string_lossy().into_owned();
        Ok(Source { path, text })
    };
    found.into_iter().map(read).collect()
}

fn collect(folder: &Path, endings: &[&str], found: &mut Vec<PathBuf>) -> Result<(), String> {
    if !folder.exists() {
        return Ok(());
    }
    if folder.is_file() {
        found.push(folder.to_path_buf());
        return Ok(());
    }
    for entry in fs::read_dir(folder).map_err(|error| format!("{}: {error}", folder.display()))? {
        let path = entry.map_err(|error| error.to_string())?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() {
            if name != "target" && !name.starts_with('.') && name != "snapshots" {
                collect(&path, endings, found)?;
            }
        } else if endings.iter().any(|ending| name.ends_with(ending)) {
            found.push(path);
        }
    }
    Ok(())
}
