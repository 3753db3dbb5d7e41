//! Telling subscribers what a commit says, in the same atomic step.

use std::fmt;
use std::pin::Pin;

use async_trait::async_trait;
use bytes::Bytes;
use futures_core::Stream;

use crate::engine::{Cx, Engine};
use crate::error::{Error, Result};
use crate::item::Revision;

/// Most bytes of an announcement's payload.
pub const PAYLOAD_BYTES_MAX: usize = 64 << 10;

/// What an announcement is about: 1..=200 bytes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Topic(Bytes);

impl Topic {
    /// Checks and takes a name.
    ///
    /// # Errors
    /// `Invalid` when empty or longer than 200 bytes.
    pub fn new(name: impl Into<Bytes>) -> Result<Self> {
        let name = name.into();
        if name.is_empty() || name.len() > 200 {
            return Err(Error::invalid("a topic has 1 to 200 bytes"));
        }
        Ok(Self(name))
    }

    /// The name.
    pub fn as_bytes(&self) -> &Bytes {
        &self.0
    }
}

impl fmt::Debug for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Topic({})", self.0.escape_ascii())
    }
}

/// What a commit tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announcement {
    /// About what.
    pub topic: Topic,
    /// The news, at most [`PAYLOAD_BYTES_MAX`] bytes.
    pub payload: Bytes,
}

/// What a subscriber hears.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Signal {
    /// A commit's announcement.
    Message {
        /// About what.
        topic: Topic,
        /// The news.
        payload: Bytes,
        /// The commit's revision.
        revision: Revision,
    },
    /// The engine was away: anything may have been missed.
    Gap,
    /// This subscriber was too slow: so many messages were dropped.
    Lagged(u64),
}

/// A subscription; dropping it ends it.
pub type SignalStream = Pin<Box<dyn Stream<Item = Signal> + Send>>;

/// An engine whose commits can be heard, in spaces that announce.
#[async_trait]
pub trait Signals: Engine {
    /// Hears every announcement of one installation whose topic begins with `prefix`, from now on.
    ///
    /// - `announce.with-the-commit`: a message arrives for every commit that happened, and for no other.
    /// - `announce.prefix`: exactly the topics that begin with the prefix are heard.
    /// - `announce.order`: messages of one partition arrive in the order of their revisions.
    /// - `announce.lagged`: a subscriber too slow for its bounded buffer hears how many it missed; commits never wait.
    async fn subscribe(&self, cx: &Cx, prefix: &Topic) -> Result<SignalStream>;
}
