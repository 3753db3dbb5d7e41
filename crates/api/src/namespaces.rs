//! Namespaces: `/v1/namespaces`.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::values::Ts;

/// Makes a namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateNamespace {
    /// Its name: `[a-z0-9][a-z0-9_-]{0,62}`.
    #[schema(pattern = "^[a-z0-9][a-z0-9_-]{0,62}$")]
    pub name: String,
}

/// A namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NamespaceView {
    /// Its name.
    pub name: String,
    /// When it was made.
    pub created_at: Ts,
    /// When its deletion was asked for; its data is removed after a grace of seven days.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deleted_at: Option<Ts>,
}

/// Confirms a deletion.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct DeleteNamespaceQuery {
    /// The name once more, against slips.
    pub confirm: String,
}
