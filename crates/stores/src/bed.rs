//! Where stores are tested: every engine of the laws, its clock turned by hand, with a switch and a counter before it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use statehold_core::{
    Address, Clock, Commit, Cx, Description, Engine, Epoch, Error, Item, Kind, Page, Place, Probe, Range,
    Receipt, Result, Scan, ScanPage, Time, Traits,
};
use statehold_laws::{Rig, plain, stacks};

use crate::Home;

/// One engine with a space on it.
#[derive(Debug)]
pub(crate) struct Bed {
    pub(crate) name: &'static str,
    pub(crate) home: Home,
    pub(crate) seat: Arc<Seat>,
    clock: Arc<RigClock>,
}

impl Bed {
    /// A bed on every engine, the plain one first.
    pub(crate) async fn on_every_engine(traits: Traits) -> Vec<Self> {
        let mut beds = Vec::new();
        for stack in std::iter::once(plain()).chain(stacks()) {
            let rig = Rig::new(stack.maker()).await.unwrap();
            let ground = rig.ground_of(traits, 8).await.unwrap();
            let clock = Arc::new(RigClock(rig));
            let seat = Arc::new(Seat {
                engine: Arc::clone(clock.0.engine()),
                epoch: ground.epoch,
                down: Mutex::new(None),
                race: Mutex::new(None),
                racing: AtomicBool::new(false),
                fetches: AtomicUsize::new(0),
                commits: AtomicUsize::new(0),
            });
            let home = Home::new(Arc::clone(&seat) as Arc<dyn Engine>, ground.space, Arc::clone(&clock) as _);
            beds.push(Self { name: stack.name, home, seat, clock });
        }
        beds
    }

    pub(crate) fn advance(&self, by: Duration) {
        self.clock.0.advance(by);
    }

    pub(crate) fn now(&self) -> Time {
        self.clock.now()
    }
}

/// The clock of a rig, which keeps the rig alive.
struct RigClock(Rig);

impl Clock for RigClock {
    fn now(&self) -> Time {
        self.0.now()
    }
}

impl std::fmt::Debug for RigClock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}", self.now())
    }
}

/// What stands in for placement: it fills in the epoch. It also fails, counts, and lets another writer in.
#[derive(Debug)]
pub(crate) struct Seat {
    engine: Arc<dyn Engine>,
    epoch: Epoch,
    down: Mutex<Option<Kind>>,
    race: Mutex<Option<(Place, Commit)>>,
    racing: AtomicBool,
    fetches: AtomicUsize,
    commits: AtomicUsize,
}

impl Seat {
    /// From now on every verb fails in this way; none to work again.
    pub(crate) fn fail(&self, kind: Option<Kind>) {
        *self.down.lock() = kind;
    }

    /// Another writer commits this right before the next commit, or before every one.
    pub(crate) fn race(&self, at: Place, commit: Commit, every: bool) {
        self.racing.store(every, Ordering::SeqCst);
        *self.race.lock() = Some((at, commit));
    }

    pub(crate) fn end_race(&self) {
        *self.race.lock() = None;
    }

    /// Fetches and commits since this was asked last.
    pub(crate) fn calls(&self) -> (usize, usize) {
        (self.fetches.swap(0, Ordering::SeqCst), self.commits.swap(0, Ordering::SeqCst))
    }

    fn up(&self) -> Result<()> {
        match *self.down.lock() {
            None => Ok(()),
            Some(kind) => Err(Error::new(kind, "switched off by the test")),
        }
    }

    fn racer(&self) -> Option<(Place, Commit)> {
        let mut race = self.race.lock();
        if self.racing.load(Ordering::SeqCst) { race.clone() } else { race.take() }
    }
}

#[async_trait]
impl Engine for Seat {
    fn description(&self) -> &Description {
        self.engine.description()
    }

    async fn fetch(&self, cx: &Cx, wanted: &[Address]) -> Result<Vec<Option<Item>>> {
        self.up()?;
        self.fetches.fetch_add(1, Ordering::SeqCst);
        let at = |address: &Address| address.place.clone().at(self.epoch).item(address.item.clone());
        self.engine.fetch(cx, &wanted.iter().map(at).collect::<Vec<_>>()).await
    }

    async fn list(&self, cx: &Cx, at: &Place, ranges: &[Range]) -> Result<Vec<Page>> {
        self.up()?;
        self.engine.list(cx, &at.clone().at(self.epoch), ranges).await
    }

    async fn commit(&self, cx: &Cx, at: &Place, commit: &Commit) -> Result<Receipt> {
        self.up()?;
        self.commits.fetch_add(1, Ordering::SeqCst);
        if let Some((place, other)) = self.racer() {
            self.engine.commit(cx, &place.at(self.epoch), &other).await?;
        }
        self.engine.commit(cx, &at.clone().at(self.epoch), commit).await
    }

    async fn scan(&self, cx: &Cx, scan: &Scan) -> Result<ScanPage> {
        self.up()?;
        self.engine.scan(cx, scan).await
    }

    async fn probe(&self, cx: &Cx) -> Result<Probe> {
        self.up()?;
        self.engine.probe(cx).await
    }
}
