//! One run: the same operations on an engine and on the reference.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;
use statehold_core::{
    Check, Commit, CommitId, Control, Cx, Deadline, Epoch, ItemId, ItemKey, Kind, ManualClock, MarkKind,
    Movable, Mutation, Namespace, Outcome, Owner, PAGE_MAX, Page, Partition, Place, Range, Receipt, Revision,
    Role, Scan, Scanned, Space, StoreName, Term, Time, Traits, View,
};

use crate::operations::{
    CROWD, CheckSpec, ITEMS, MutationSpec, Named, Operation, PARTITIONS, RangeSpec, Setting, policy,
};
use crate::reference::{Expected, Name, Reference};

type Checked<T = ()> = Result<T, TestCaseError>;

/// An engine under test.
pub(crate) trait Subject {
    fn engine(&self) -> Arc<dyn Movable>;
    /// What the engine does beside its verbs; nothing of it may be visible.
    fn tidy(&mut self);
}

/// Runs the operations on a fresh engine and on the reference; the first difference is the error.
pub(crate) fn run<S: Subject>(
    make: impl FnOnce(Arc<ManualClock>) -> S,
    setting: &Setting,
    operations: &[Operation],
) -> Checked {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(async {
        let mut run = Run::new(make, setting).await;
        for operation in operations {
            run.step(operation).await?;
        }
        run.everything_agrees().await
    })
}

struct Run<S> {
    subject: S,
    clock: Arc<ManualClock>,
    space: Space,
    setting: Setting,
    reference: Reference,
    sent: Vec<(Place, Commit)>,
    issued: BTreeMap<u16, BTreeSet<Revision>>,
    last: BTreeMap<Name, Revision>,
}

impl<S: Subject> Run<S> {
    async fn new(make: impl FnOnce(Arc<ManualClock>) -> S, setting: &Setting) -> Self {
        let clock = Arc::new(ManualClock::default());
        let subject = make(Arc::clone(&clock));
        let traits = Traits { ordered: true, observes_expiry: setting.observes_expiry, ..Traits::default() };
        let space = Space::new(Namespace::new("n").unwrap(), StoreName::new("s").unwrap())
            .with_traits(traits)
            .with_buckets(2)
            .unwrap();
        let engine = subject.engine();
        let cx = Cx::new();
        let first = space.all_buckets().next().unwrap();
        let incarnation = engine.incarnation(&cx, &space, &[first]).await.unwrap()[0];
        let control = Control {
            role: Role::Open,
            epoch: Epoch(3),
            term: Term(2),
            marking: setting.marking,
            floor: Revision::ZERO,
            time_floor: Time::default(),
            incarnation,
            owner: Owner([1; 16]),
            move_id: None,
        };
        engine.establish(&cx, &space, &control).await.unwrap();
        let reference = Reference::at(now_of(&clock));
        Self {
            subject,
            clock,
            space,
            setting: setting.clone(),
            reference,
            sent: Vec::new(),
            issued: BTreeMap::new(),
            last: BTreeMap::new(),
        }
    }

    fn place(&self, partition: u8) -> Place {
        let name = Bytes::from_static(PARTITIONS[usize::from(partition)]);
        Place::new(&self.space, Partition::new(name).unwrap()).at(Epoch(3))
    }

    async fn step(&mut self, operation: &Operation) -> Checked {
        match operation {
            Operation::Commit { partition, id, checks, mutations } => {
                let place = self.place(*partition);
                let commit = self.commit_of(&place, *id, checks, mutations);
                self.commit(place, commit).await
            }
            Operation::Resend { nth } => {
                let Some(at) = usize::from(*nth).checked_rem(self.sent.len()) else { return Ok(()) };
                let (place, commit) = self.sent[at].clone();
                self.commit(place, commit).await
            }
            Operation::Crowd { partition, delete } => {
                let names = (0..CROWD).map(|n| ItemId::new(vec![b'c', n]));
                let each = |commit: Commit, name: ItemId| {
                    if *delete { commit.delete(name) } else { commit.put(name, "", None) }
                };
                self.commit(self.place(*partition), names.fold(Commit::new(), each)).await
            }
            Operation::Fetch => self.fetch().await,
            Operation::List { partition, ranges } => self.list(self.place(*partition), ranges).await,
            Operation::ScanLive { limit } => self.scan_live(*limit).await,
            Operation::ScanExpired { limit, back_ms } => self.scan_expired(*limit, *back_ms).await,
            Operation::ScanRaw { limit } => self.scan_raw(*limit).await,
            Operation::Advance { micros } => {
                self.clock.advance(Duration::from_micros(u64::from(*micros)));
                self.reference.now_us += u64::from(*micros);
                Ok(())
            }
            Operation::Tidy => {
                self.subject.tidy();
                Ok(())
            }
        }
    }

    fn commit_of(
        &self,
        place: &Place,
        id: Option<u8>,
        checks: &[(u8, CheckSpec)],
        mutations: &[(u8, MutationSpec)],
    ) -> Commit {
        let mut commit = Commit { id: id.map(|id| CommitId::from_bytes([id; 16])), ..Commit::new() };
        for (item, check) in checks {
            let item = item_of(*item);
            commit.checks.push(match check {
                CheckSpec::Absent => Check::Absent(item),
                CheckSpec::Present => Check::Present(item),
                CheckSpec::At(named) => {
                    let revision = self.revision_of(place, &item, *named);
                    Check::At(item, revision)
                }
            });
        }
        let mut seen = BTreeSet::new();
        for (item, mutation) in mutations {
            // A reap of what another engine may have swept by itself can end both ways.
            let undecided = matches!(mutation, MutationSpec::Reap { .. }) && !self.setting.observes_expiry;
            if seen.insert(*item) && !undecided {
                commit.mutations.push(self.mutation_of(place, item_of(*item), mutation));
            }
        }
        commit
    }

    fn mutation_of(&self, place: &Place, item: ItemId, mutation: &MutationSpec) -> Mutation {
        let now = Time::from_micros(self.reference.now_us);
        let deadline =
            |ttl: Option<u16>| ttl.map(|ms| Deadline::after(now, Duration::from_millis(ms.into())));
        match *mutation {
            MutationSpec::Put { value, ttl_ms } => {
                let value = Bytes::from(vec![value; usize::from(value) % 7]);
                Mutation::Put { item, value, deadline: deadline(ttl_ms) }
            }
            MutationSpec::Delete => Mutation::Delete { item },
            MutationSpec::Touch { ttl_ms } => Mutation::Touch { item, deadline: deadline(ttl_ms) },
            MutationSpec::Add { delta, low, high, ttl_ms } => {
                Mutation::Add { item, delta, range: low..=high, deadline_if_new: deadline(ttl_ms) }
            }
            MutationSpec::Take { cost } => {
                let policy = policy(item.as_bytes());
                Mutation::Take { item, policy, cost }
            }
            MutationSpec::Reap { named } => {
                let revision = self.revision_of(place, &item, named);
                Mutation::Reap { item, revision }
            }
        }
    }

    fn revision_of(&self, place: &Place, item: &ItemId, named: Named) -> Revision {
        let at = (place.partition.as_bytes().to_vec(), item.as_bytes().to_vec());
        let present = self.reference.things.get(&at).map_or(Revision::ZERO, |thing| thing.revision);
        match named {
            Named::Present => present,
            Named::Older => Revision::from_u64(present.get().saturating_sub(1)),
        }
    }

    async fn commit(&mut self, place: Place, commit: Commit) -> Checked {
        let partition = place.partition.as_bytes().clone();
        let expected = self.reference.expect(&partition, &commit);
        let answer = self.subject.engine().commit(&Cx::new(), &place, &commit).await;
        match (expected, answer) {
            (Expected::Happens(outcomes), Ok(receipt)) => {
                prop_assert!(!receipt.replayed);
                prop_assert_eq!(&receipt.outcomes, &outcomes);
                self.is_new(&place, &receipt)?;
                self.reference.happened(&partition, &commit, &receipt);
            }
            (Expected::Replayed(first), Ok(again)) => {
                prop_assert_eq!(again, Receipt { replayed: true, ..first });
            }
            (Expected::Refused(conflict), Err(error)) => {
                prop_assert_eq!((error.kind(), error.outcome()), (Kind::Conflict, Outcome::NoEffect));
                prop_assert_eq!(error.conflict_detail(), Some(&conflict));
            }
            (Expected::IdTaken, Err(error)) => {
                prop_assert_eq!((error.kind(), error.outcome()), (Kind::Invalid, Outcome::NoEffect));
            }
            (expected, answer) => prop_assert!(false, "expected {expected:?}, answered {answer:?}"),
        }
        self.sent.push((place.clone(), commit));
        self.partition_agrees(&place).await
    }

    /// Revisions are unique in a bucket and grow in a partition.
    fn is_new(&mut self, place: &Place, receipt: &Receipt) -> Checked {
        let of_bucket = self.issued.entry(place.bucket.number()).or_default();
        prop_assert!(of_bucket.insert(receipt.revision), "{:?} was issued twice", receipt.revision);
        prop_assert_eq!(receipt.revision.term(), Term(2));
        let last = self.last.entry(place.partition.as_bytes().to_vec()).or_default();
        prop_assert!(receipt.revision > *last);
        *last = receipt.revision;
        Ok(())
    }

    async fn partition_agrees(&self, place: &Place) -> Checked {
        let range = Range { count: true, ..Range::all() };
        let pages = self.subject.engine().list(&Cx::new(), place, &[range]).await.unwrap();
        let expected = self.reference.live_of(place.partition.as_bytes()).collect::<Vec<_>>();
        prop_assert_eq!(pages[0].count, Some(expected.len() as u64));
        prop_assert!(!pages[0].more);
        same_items(&pages[0], &expected, true)
    }

    async fn fetch(&self) -> Checked {
        let mut wanted = Vec::new();
        for partition in 0..PARTITIONS.len() as u8 {
            for item in 0..ITEMS.len() as u8 {
                wanted.push(self.place(partition).item(item_of(item)));
            }
        }
        let found = self.subject.engine().fetch(&Cx::new().fenced(), &wanted).await.unwrap();
        prop_assert_eq!(found.len(), wanted.len());
        for (address, found) in wanted.iter().zip(&found) {
            let expected = self.reference.live(address.place.partition.as_bytes(), address.item.as_bytes());
            match (expected, found) {
                (None, None) => {}
                (Some(expected), Some(found)) if found.id == address.item => {
                    prop_assert!(expected.looks_like(found, true), "{expected:?} {found:?}");
                }
                _ => prop_assert!(false, "{address:?}: expected {expected:?}, found {found:?}"),
            }
        }
        Ok(())
    }

    async fn list(&self, place: Place, specs: &[RangeSpec]) -> Checked {
        let bound = |end: Option<(u8, bool)>| match end {
            None => Bound::Unbounded,
            Some((item, true)) => Bound::Included(item_of(item)),
            Some((item, false)) => Bound::Excluded(item_of(item)),
        };
        let range = |spec: &RangeSpec| {
            let &RangeSpec { reverse, skip, limit, values, count, .. } = spec;
            Range { from: bound(spec.from), to: bound(spec.to), reverse, skip, limit, values, count }
        };
        let ranges: Vec<Range> = specs.iter().map(range).collect();
        let pages = self.subject.engine().list(&Cx::new(), &place, &ranges).await.unwrap();
        prop_assert_eq!(pages.len(), ranges.len());
        for (range, page) in ranges.iter().zip(&pages) {
            let within = |name: &[u8]| {
                let from = match &range.from {
                    Bound::Included(from) => name >= &from.as_bytes()[..],
                    Bound::Excluded(from) => name > &from.as_bytes()[..],
                    Bound::Unbounded => true,
                };
                let to = match &range.to {
                    Bound::Included(to) => name <= &to.as_bytes()[..],
                    Bound::Excluded(to) => name < &to.as_bytes()[..],
                    Bound::Unbounded => true,
                };
                from && to
            };
            let live = self.reference.live_of(place.partition.as_bytes());
            let mut all: Vec<_> = live.filter(|(name, _)| within(name)).collect();
            if range.reverse {
                all.reverse();
            }
            prop_assert_eq!(page.count, range.count.then_some(all.len() as u64), "{:?}", range);
            let rest: Vec<_> = all.into_iter().skip(range.skip).collect();
            prop_assert!(range.limit == 0 || page.more == (rest.len() > range.limit), "{range:?} {page:?}");
            let expected: Vec<_> = rest.into_iter().take(range.limit).collect();
            same_items(page, &expected, range.values)?;
        }
        Ok(())
    }

    /// Every page of a scan.
    async fn scanned(&self, view: View, limit: usize) -> Checked<Vec<Scanned>> {
        let mut scan = Scan { limit, ..Scan::new(&self.space, view) };
        let mut found = Vec::new();
        for _ in 0..PAGE_MAX {
            let page = self.subject.engine().scan(&Cx::new(), &scan).await.unwrap();
            prop_assert!(page.items.len() <= limit);
            found.extend(page.items);
            scan.cursor = page.cursor;
            if scan.cursor.is_none() {
                return Ok(found);
            }
        }
        Err(TestCaseError::fail("a scan does not end"))
    }

    async fn scan_live(&self, limit: usize) -> Checked {
        let found = self.scanned(View::Live, limit).await?;
        let mut names: Vec<(Name, Name, Revision)> = found.iter().map(named).collect();
        names.sort();
        let expected =
            self.reference.all_live().map(|((p, i), thing)| (p.clone(), i.clone(), thing.revision));
        prop_assert_eq!(names, expected.collect::<Vec<_>>());
        Ok(())
    }

    async fn scan_expired(&self, limit: usize, back_ms: u16) -> Checked {
        let now = Time::from_micros(self.reference.now_us);
        let before = now.minus(Duration::from_millis(back_ms.into()));
        let found = self.scanned(View::Expired(before), limit).await?;
        let names: BTreeSet<(Name, Name, Revision)> = found.iter().map(named).collect();
        prop_assert_eq!(names.len(), found.len(), "an expired item was seen twice in a still space");
        let expired = self.reference.expired(before.millis());
        let expected: BTreeSet<_> =
            expired.map(|((p, i), thing)| (p.clone(), i.clone(), thing.revision)).collect();
        if self.setting.observes_expiry || self.setting.marking {
            prop_assert_eq!(names, expected);
        } else {
            prop_assert!(names.is_subset(&expected), "{names:?} {expected:?}");
        }
        Ok(())
    }

    async fn scan_raw(&self, limit: usize) -> Checked {
        let found = self.scanned(View::Raw, limit).await?;
        let keys: BTreeSet<(Name, Name)> = found.iter().map(raw_key).collect();
        prop_assert_eq!(keys.len(), found.len());
        for ((partition, item), thing) in self.reference.all_live() {
            let key = ItemKey::item(&ItemId::new(item.clone())).as_bytes().to_vec();
            let kept = found.iter().find(|kept| raw_key(kept) == (partition.clone(), key.clone()));
            prop_assert!(kept.is_some_and(|kept| kept.state.revision == thing.revision));
        }
        for (partition, id) in self.reference.remembered() {
            let key = ItemKey::receipt(&CommitId::from_bytes(*id)).as_bytes().to_vec();
            prop_assert!(keys.contains(&(partition.clone(), key)), "the receipt {id:?} is gone");
        }
        Ok(())
    }

    /// A mark for every item that changed while the bucket marked, at its last revision, and for no other.
    async fn marks_agree(&self) -> Checked {
        let mut marked = BTreeMap::new();
        for bucket in self.space.all_buckets() {
            let engine = self.subject.engine();
            let marks =
                engine.marks(&Cx::new(), &self.space, bucket, MarkKind::Dirty, PAGE_MAX).await.unwrap();
            for found in marks {
                let Some(id) = found.mark.key.id() else { continue };
                let state = found.state.expect("a marked item leaves a state or a marker");
                prop_assert_eq!(state.revision, found.mark.revision);
                let at = (found.mark.partition.as_bytes().to_vec(), id.as_bytes().to_vec());
                prop_assert_eq!(state.body.is_some(), self.reference.things.contains_key(&at));
                marked.insert(at, found.mark.revision);
            }
        }
        let expected = if self.setting.marking { self.reference.changed.clone() } else { BTreeMap::new() };
        prop_assert_eq!(marked, expected);
        Ok(())
    }

    async fn everything_agrees(&self) -> Checked {
        for partition in 0..PARTITIONS.len() as u8 {
            self.partition_agrees(&self.place(partition)).await?;
        }
        self.fetch().await?;
        self.scan_live(3).await?;
        self.scan_expired(3, 0).await?;
        self.scan_raw(3).await?;
        self.marks_agree().await
    }
}

fn now_of(clock: &ManualClock) -> u64 {
    statehold_core::Clock::now(clock).micros()
}

fn item_of(item: u8) -> ItemId {
    ItemId::new(Bytes::from_static(ITEMS[usize::from(item)]))
}

fn same_items(page: &Page, expected: &[(&Name, &crate::reference::Thing)], values: bool) -> Checked {
    let names: Vec<Name> = page.items.iter().map(|item| item.id.as_bytes().to_vec()).collect();
    let wanted: Vec<Name> = expected.iter().map(|(name, _)| (*name).clone()).collect();
    prop_assert_eq!(names, wanted);
    for (item, (_, thing)) in page.items.iter().zip(expected) {
        prop_assert!(thing.looks_like(item, values), "{thing:?} {item:?}");
    }
    Ok(())
}

fn raw_key(kept: &Scanned) -> (Name, Name) {
    (kept.partition.as_bytes().to_vec(), kept.key.as_bytes().to_vec())
}

fn named(kept: &Scanned) -> (Name, Name, Revision) {
    let id = kept.key.id().expect("these views hold the store's items alone");
    (kept.partition.as_bytes().to_vec(), id.as_bytes().to_vec(), kept.state.revision)
}
