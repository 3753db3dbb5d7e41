//! What a reload changes.

use super::{Config, ConfigErrors, Sources};

/// What differs between a running configuration and a newly read one.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// The configuration to run with from now on: reloadable keys as newly read, all others as they were.
    pub config: Config,
    /// Keys that changed and take effect.
    pub changed: Vec<String>,
    /// Keys that changed and need a restart.
    pub needs_restart: Vec<String>,
}

impl Config {
    /// Reads all sources again and says what differs. Nothing is changed here: the caller puts
    /// [`Change::config`] into effect.
    ///
    /// # Errors
    /// Every mistake at once; the running configuration stays as it is.
    pub fn reload(&self, sources: &Sources) -> Result<Change, ConfigErrors> {
        let fresh = Self::load(sources)?;
        let mut entries = self.entries.clone();
        let (mut changed, mut needs_restart) = (Vec::new(), Vec::new());
        let paths: std::collections::BTreeSet<&String> =
            self.entries.keys().chain(fresh.entries.keys()).collect();
        for path in paths {
            let (before, after) = (self.entries.get(path), fresh.entries.get(path));
            let reloadable = before.or(after).is_some_and(|entry| entry.key.reloadable);
            if before.map(|entry| &entry.value) != after.map(|entry| &entry.value) {
                if reloadable { &mut changed } else { &mut needs_restart }.push(path.clone());
            }
            if reloadable {
                match after {
                    Some(entry) => drop(entries.insert(path.clone(), entry.clone())),
                    None => drop(entries.remove(path)),
                }
            }
        }
        let mut config = Self::typed(self.profile, entries);
        // Keys that take effect were checked beside those that do not: the mixture that will run is checked too.
        let checks = super::check::Checks::run(&config, &config.entries);
        let (problems, warnings) = (checks.problems, checks.warnings);
        if let Some(errors) = ConfigErrors::from_problems(problems) {
            return Err(errors);
        }
        config.warnings = warnings;
        Ok(Change { config, changed, needs_restart })
    }
}
