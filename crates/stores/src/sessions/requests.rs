//! What the commit of a request is named by.

use statehold_core::{CommitId, Result, Time};

use super::token::random;

/// The limit policy that a request is counted against unless another is named.
pub const SESSION_POLICY: &str = "session";

/// A version 7 UUID (RFC 9562): a request whose answer was lost can be sent again and is counted once.
pub(super) fn commit_id(now: Time) -> Result<CommitId> {
    let mut bits = [0; 10];
    random(&mut bits)?;
    let id = uuid::Builder::from_unix_timestamp_millis(now.millis(), &bits).into_uuid();
    Ok(CommitId::from_bytes(id.into_bytes()))
}
