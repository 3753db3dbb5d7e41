//! Shapes that several routes share.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// Most entries of a page.
pub const PAGE_LIMIT_MAX: u32 = 100;
/// Entries of a page unless the caller says otherwise.
pub const PAGE_LIMIT_DEFAULT: u32 = 50;

/// A page of a list, in the list's total order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Page<T> {
    /// The entries.
    pub items: Vec<T>,
    /// Asks for the page after this one; absent on the last page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
}

/// Which page of a list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct PageQuery {
    /// Entries of the page, 1 to 100; 50 unless said.
    #[param(minimum = 1, maximum = 100)]
    pub limit: Option<u32>,
    /// `next_cursor` of the page before, from the same query.
    pub cursor: Option<String>,
}
