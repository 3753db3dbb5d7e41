//! Telling subscribers.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream;
use statehold_core::{Commit, Cx, Result, Revision, Signal, SignalStream, Signals, Topic};
use tokio::sync::broadcast::{Receiver, error::RecvError};

use super::Plain;
use crate::broken::Habits;

/// One announcement on its way.
#[derive(Clone, Debug)]
pub(crate) struct Heard {
    pub(crate) topic: Topic,
    pub(crate) payload: Bytes,
    pub(crate) revision: Revision,
}

#[async_trait]
impl Signals for Plain {
    async fn subscribe(&self, _: &Cx, prefix: &Topic) -> Result<SignalStream> {
        let start = (self.heard.subscribe(), prefix.clone(), Arc::clone(&self.habits));
        Ok(Box::pin(stream::unfold(start, |(mut heard, prefix, habits)| async move {
            let signal = next(&mut heard, &prefix, &*habits).await?;
            Some((signal, (heard, prefix, habits)))
        })))
    }
}

async fn next(heard: &mut Receiver<Heard>, prefix: &Topic, habits: &dyn Habits) -> Option<Signal> {
    loop {
        match heard.recv().await {
            Ok(Heard { topic, payload, revision }) if habits.hears(&topic, prefix) => {
                return Some(Signal::Message { topic, payload, revision });
            }
            Err(RecvError::Lagged(missed)) if habits.says_what_was_missed() => {
                return Some(Signal::Lagged(missed));
            }
            Ok(_) | Err(RecvError::Lagged(_)) => {}
            Err(RecvError::Closed) => return None,
        }
    }
}

impl Plain {
    /// Tells what a commit announces.
    pub(crate) fn tell(&self, commit: &Commit, revision: Revision) {
        for announcement in &commit.announce {
            let (topic, payload) = (announcement.topic.clone(), announcement.payload.clone());
            // Nobody listening is no trouble.
            let _ = self.heard.send(Heard { topic, payload, revision });
        }
    }
}
