//! What the running system is: version, features, homes, warnings.

use std::collections::BTreeMap;

use statehold_core::{Result, Time};

use crate::config::{Profile, Warning};
use crate::homes::StoreHome;
use crate::open::Statehold;

/// The running system in short.
#[derive(Clone, Debug)]
pub struct Status {
    /// The product's version.
    pub version: &'static str,
    /// How strict it is.
    pub profile: Profile,
    /// When it was opened.
    pub started_at: Time,
    /// Namespaces that serve.
    pub namespace_count: usize,
    /// The feature flags.
    pub features: BTreeMap<String, bool>,
    /// Where every store is; a store whose spaces are at several engines is named once for each.
    pub stores: Vec<StoreHome>,
    /// What an operator should know.
    pub warnings: Vec<Warning>,
}

impl Statehold {
    /// What the running system is.
    ///
    /// # Errors
    /// What the control tables answer.
    pub async fn status(&self) -> Result<Status> {
        let config = self.config();
        let namespaces = self.control().namespaces();
        Ok(Status {
            version: crate::VERSION,
            profile: config.profile,
            started_at: self.started_at(),
            namespace_count: namespaces.iter().filter(|row| row.deleted_at.is_none()).count(),
            features: features(&config),
            stores: self.homes().where_they_are().await?,
            warnings: self.warnings(),
        })
    }
}

/// The feature flags by name.
pub(crate) fn features(config: &crate::Config) -> BTreeMap<String, bool> {
    config.features.each().into_iter().map(|(name, on)| (name.to_owned(), on)).collect()
}
