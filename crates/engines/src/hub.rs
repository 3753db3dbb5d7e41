//! Announcements inside one process: a bounded ring per subscriber, and publishers that never wait.

use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use futures_core::Stream;
use parking_lot::{Mutex, RwLock};
use statehold_core::{Announcement, Error, Kind, Result, Revision, Signal, SignalStream, Topic};

/// Messages kept for one subscriber; beyond it the oldest go and the subscriber hears how many.
pub const RING_MESSAGES_MAX: usize = 1_024;
/// Most subscribers of one engine.
pub const SUBSCRIBERS_MAX: usize = 4_096;

/// Where an engine tells what its commits announce.
///
/// The engine calls [`Hub::publish`] only after a commit has happened and, for commits on one partition, in the
/// order of their revisions; the hub keeps that order for every subscriber. Dropping the hub ends every stream.
pub struct Hub {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    subscribers: RwLock<Vec<Arc<Subscriber>>>,
    /// The length of the list, so that a commit nobody listens to takes no lock.
    count: AtomicUsize,
}

struct Subscriber {
    prefix: Bytes,
    ring: Mutex<Ring>,
}

#[derive(Default)]
struct Ring {
    messages: VecDeque<Signal>,
    dropped: u64,
    closed: bool,
    waker: Option<Waker>,
}

impl Hub {
    /// A hub that nobody listens to yet.
    pub fn new() -> Self {
        Self { shared: Arc::default() }
    }

    /// Hears every announcement from now on whose topic begins with `prefix`.
    ///
    /// # Errors
    /// `Overloaded` beyond [`SUBSCRIBERS_MAX`].
    pub fn subscribe(&self, prefix: &Topic) -> Result<SignalStream> {
        let subscriber = Arc::new(Subscriber { prefix: prefix.as_bytes().clone(), ring: Mutex::default() });
        let mut subscribers = self.shared.subscribers.write();
        if subscribers.len() >= SUBSCRIBERS_MAX {
            return Err(Error::new(Kind::Overloaded, "an engine has at most 4096 subscribers"));
        }
        subscribers.push(Arc::clone(&subscriber));
        self.shared.count.store(subscribers.len(), Ordering::SeqCst);
        Ok(Box::pin(Subscription { subscriber, shared: Arc::downgrade(&self.shared) }))
    }

    /// Tells what a commit announced. Never waits for a subscriber.
    pub fn publish(&self, announcements: &[Announcement], revision: Revision) {
        if announcements.is_empty() || self.subscribers() == 0 {
            return;
        }
        for subscriber in self.shared.subscribers.read().iter() {
            let heard = |told: &&Announcement| told.topic.as_bytes().starts_with(&subscriber.prefix);
            let mut wanted = announcements.iter().filter(heard).peekable();
            if wanted.peek().is_some() {
                subscriber.tell(wanted, revision);
            }
        }
    }

    /// How many listen now.
    pub fn subscribers(&self) -> usize {
        self.shared.count.load(Ordering::SeqCst)
    }
}

impl Default for Hub {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hub").field("subscribers", &self.subscribers()).finish()
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        for subscriber in self.shared.subscribers.write().drain(..) {
            let mut ring = subscriber.ring.lock();
            ring.closed = true;
            let waker = ring.waker.take();
            drop(ring);
            waker.into_iter().for_each(Waker::wake);
        }
        self.shared.count.store(0, Ordering::SeqCst);
    }
}

impl Subscriber {
    fn tell<'a>(&self, told: impl Iterator<Item = &'a Announcement>, revision: Revision) {
        let mut ring = self.ring.lock();
        for Announcement { topic, payload } in told {
            if ring.messages.len() == RING_MESSAGES_MAX {
                ring.messages.pop_front();
                ring.dropped += 1;
            }
            ring.messages.push_back(Signal::Message {
                topic: topic.clone(),
                payload: payload.clone(),
                revision,
            });
        }
        let waker = ring.waker.take();
        drop(ring);
        waker.into_iter().for_each(Waker::wake);
    }
}

/// One subscriber's end. What was dropped was older than all that is kept, so it is told first.
struct Subscription {
    subscriber: Arc<Subscriber>,
    shared: Weak<Shared>,
}

impl Stream for Subscription {
    type Item = Signal;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Signal>> {
        let mut ring = self.subscriber.ring.lock();
        if ring.dropped > 0 {
            return Poll::Ready(Some(Signal::Lagged(std::mem::take(&mut ring.dropped))));
        }
        if let Some(signal) = ring.messages.pop_front() {
            return Poll::Ready(Some(signal));
        }
        if ring.closed {
            return Poll::Ready(None);
        }
        ring.waker = Some(cx.waker().clone());
        Poll::Pending
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let Some(shared) = self.shared.upgrade() else { return };
        let mut subscribers = shared.subscribers.write();
        subscribers.retain(|other| !Arc::ptr_eq(other, &self.subscriber));
        shared.count.store(subscribers.len(), Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    fn topic(name: &'static str) -> Topic {
        Topic::new(name).unwrap()
    }

    fn told(name: &'static str, n: u64) -> Announcement {
        Announcement { topic: topic(name), payload: Bytes::from(n.to_string()) }
    }

    /// Everything that is ready now, without waiting.
    fn ready(stream: &mut SignalStream) -> Vec<Signal> {
        let mut cx = Context::from_waker(Waker::noop());
        let mut found = Vec::new();
        while let Poll::Ready(Some(signal)) = stream.as_mut().poll_next(&mut cx) {
            found.push(signal);
        }
        found
    }

    #[test]
    fn a_subscriber_hears_its_prefix_in_order_and_from_now_on() {
        let hub = Hub::new();
        hub.publish(&[told("sessions", 0)], Revision::from_u64(1));
        let mut stream = hub.subscribe(&topic("sess")).unwrap();
        hub.publish(&[told("sessions", 1), told("cache", 2), told("sessions", 3)], Revision::from_u64(2));
        let payloads: Vec<Bytes> = ready(&mut stream)
            .into_iter()
            .map(|signal| match signal {
                Signal::Message { payload, revision, .. } => {
                    assert_eq!(revision, Revision::from_u64(2));
                    payload
                }
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(payloads, ["1", "3"]);
    }

    #[test]
    fn a_slow_subscriber_hears_how_many_it_missed_before_what_is_left() {
        let hub = Hub::new();
        let mut stream = hub.subscribe(&topic("a")).unwrap();
        for n in 0..RING_MESSAGES_MAX as u64 + 7 {
            hub.publish(&[told("a", n)], Revision::from_u64(n));
        }
        let signals = ready(&mut stream);
        assert_eq!(signals[0], Signal::Lagged(7));
        assert!(matches!(&signals[1], Signal::Message { payload, .. } if payload == "7"));
        assert_eq!(signals.len(), RING_MESSAGES_MAX + 1);
    }

    #[tokio::test]
    async fn a_waiting_subscriber_is_woken_by_news_and_by_the_end() {
        let hub = Hub::new();
        let mut stream = hub.subscribe(&topic("a")).unwrap();
        let waiting = tokio::spawn(async move {
            let first = poll_fn(|cx| stream.as_mut().poll_next(cx)).await;
            let end = poll_fn(|cx| stream.as_mut().poll_next(cx)).await;
            (first, end)
        });
        tokio::task::yield_now().await;
        hub.publish(&[told("a", 1)], Revision::from_u64(1));
        tokio::task::yield_now().await;
        drop(hub);
        let (first, end) = waiting.await.unwrap();
        assert!(matches!(first, Some(Signal::Message { .. })));
        assert_eq!(end, None);
    }

    #[test]
    fn a_dropped_subscription_is_forgotten_and_there_is_a_bound() {
        let hub = Hub::new();
        let streams: Vec<_> = (0..SUBSCRIBERS_MAX).map(|_| hub.subscribe(&topic("a")).unwrap()).collect();
        assert_eq!(hub.subscribe(&topic("a")).err().map(|e| e.kind()), Some(Kind::Overloaded));
        drop(streams);
        assert_eq!(hub.subscribers(), 0);
    }
}
