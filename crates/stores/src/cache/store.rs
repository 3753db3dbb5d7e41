//! The store's operations on one entry, and group commits.

use std::collections::HashSet;
use std::sync::OnceLock;
use std::time::Duration;

use metrics::{Counter, counter};
use parking_lot::RwLock;
use statehold_core::{
    Address, Commit, Cx, Deadline, Durability, EngineExt, Error, Item, Mutation, MutationOutcome, Needs,
    Revision, Traits,
};

use super::change::{Change, Changed, Must, Step, Stop, refused};
use super::{
    BATCH_BYTES_MAX, CacheError, CachePolicy, Condition, Entry, GROUP_COMMIT_MAX, Incr, Key, Mode, Remaining,
    Set, Stored, Sum, Touched, Value, Write, Written, codec,
};
use crate::Home;
use crate::contend::Queue;
use crate::observe::{Meter, Outcome};
use crate::value::{Dur, Id};

/// The cache of one namespace.
#[derive(Debug)]
pub struct Cache {
    pub(super) home: Home,
    pub(super) queue: Queue,
    rules: RwLock<CachePolicy>,
    pub(super) meters: Meters,
    requests: Requests,
}

#[derive(Debug)]
pub(super) struct Meters {
    get: Meter,
    set: Meter,
    delete: Meter,
    delete_if_value: Meter,
    exists: Meter,
    ttl: Meter,
    expire: Meter,
    persist: Meter,
    incr: Meter,
    commit: Meter,
    pub(super) get_many: Meter,
    pub(super) write_many: Meter,
}

/// `statehold_cache_requests_total{result}`.
#[derive(Debug, Default)]
struct Requests {
    hit: OnceLock<Counter>,
    miss: OnceLock<Counter>,
}

impl Cache {
    /// The store's name.
    pub const STORE: &str = "cache";
    /// Entries may be kept anywhere.
    pub const NEEDS: Needs = Needs { durability: Durability::Volatile, tolerates_eviction: true };
    /// Entries may be evicted by a full engine.
    pub const TRAITS: Traits = Traits {
        ordered: false,
        observes_expiry: false,
        announces: false,
        unsynced: false,
        disposable: true,
    };

    /// The cache kept at `home`.
    pub fn new(home: Home, rules: CachePolicy) -> Self {
        let meter = |operation| Meter::new(Self::STORE, operation);
        let meters = Meters {
            get: meter("get"),
            set: meter("set"),
            delete: meter("delete"),
            delete_if_value: meter("delete_if_value"),
            exists: meter("exists"),
            ttl: meter("ttl"),
            expire: meter("expire"),
            persist: meter("persist"),
            incr: meter("incr"),
            commit: meter("commit"),
            get_many: meter("get_many"),
            write_many: meter("write_many"),
        };
        Self { home, queue: Queue::new(), rules: RwLock::new(rules), meters, requests: Requests::default() }
    }

    /// Puts other rules in force; entries keep the deadlines they have.
    pub fn reload(&self, rules: CachePolicy) {
        *self.rules.write() = rules;
    }

    /// The rules in force; no value may be larger than the engine takes.
    pub fn rules(&self) -> CachePolicy {
        let rules = *self.rules.read();
        let engine_max = self.home.engine.description().value_bytes_max.saturating_sub(codec::HEADER_BYTES);
        CachePolicy { value_bytes_max: rules.value_bytes_max.min(engine_max), ..rules }
    }

    /// Reads an entry; none when absent.
    ///
    /// # Errors
    /// `Engine`; of kind `Corrupt` where the stored bytes mean nothing.
    pub async fn get(&self, cx: &Cx, key: &Key) -> Result<Option<Entry>, CacheError> {
        let work = async {
            let found = self.fetch(cx, key).await?;
            self.count_requests(u64::from(found.is_some()), u64::from(found.is_none()));
            found.map(|item| self.entry(key, &item)).transpose()
        };
        self.meters.get.watch_as(work, |entry| present(entry.is_some())).await
    }

    /// Puts a value, where `mode` allows it.
    ///
    /// # Errors
    /// `ValueTooLarge`, `TtlRequired`, `RevisionMismatch` (modes by revision and by value), `Contention` (keep_ttl),
    /// `Engine`.
    pub async fn set(&self, cx: &Cx, key: &Key, set: Set, mode: Mode) -> Result<Stored, CacheError> {
        let work = async {
            match self.write(cx, key, &Write::Set(set), mode).await? {
                Written::Set(stored) => Ok(stored),
                Written::Deleted(_) | Written::Sum(_) => Err(mixed_up().into()),
            }
        };
        let outcome = |stored: &Stored| match stored {
            Stored::Yes { .. } => Outcome::Ok,
            Stored::No { .. } => Outcome::Conflict,
        };
        self.meters.set.watch_as(work, outcome).await
    }

    /// Removes an entry; says whether it was there.
    ///
    /// # Errors
    /// `RevisionMismatch` where a revision was asked for, `Engine`.
    pub async fn delete(
        &self,
        cx: &Cx,
        key: &Key,
        if_revision: Option<Revision>,
    ) -> Result<bool, CacheError> {
        let mode = if_revision.map_or(Mode::Any, Mode::IfRevision);
        let work = self.delete_where(cx, key, mode);
        self.meters.delete.watch_as(work, |deleted| present(*deleted)).await
    }

    /// Removes an entry that has this value; says whether it did.
    ///
    /// # Errors
    /// `Contention`, `Engine`.
    pub async fn delete_if_value(&self, cx: &Cx, key: &Key, expected: Value) -> Result<bool, CacheError> {
        let work = async {
            match self.delete_where(cx, key, Mode::IfValue(expected)).await {
                Err(CacheError::RevisionMismatch { .. }) => Ok(false),
                other => other,
            }
        };
        self.meters.delete_if_value.watch_as(work, |deleted| present(*deleted)).await
    }

    async fn delete_where(&self, cx: &Cx, key: &Key, mode: Mode) -> Result<bool, CacheError> {
        match self.write(cx, key, &Write::Delete, mode).await? {
            Written::Deleted(deleted) => Ok(deleted),
            Written::Set(_) | Written::Sum(_) => Err(mixed_up().into()),
        }
    }

    /// Whether an entry is there.
    ///
    /// # Errors
    /// `Engine`.
    pub async fn exists(&self, cx: &Cx, key: &Key) -> Result<bool, CacheError> {
        let work = async { Ok(self.fetch(cx, key).await?.is_some()) };
        self.meters.exists.watch_as(work, |found| present(*found)).await
    }

    /// How long an entry lives yet.
    ///
    /// # Errors
    /// `Engine`.
    pub async fn ttl(&self, cx: &Cx, key: &Key) -> Result<Remaining, CacheError> {
        let work = async {
            Ok(match self.fetch(cx, key).await? {
                None => Remaining::Absent,
                Some(Item { deadline: None, .. }) => Remaining::NoExpiry,
                Some(Item { deadline: Some(deadline), .. }) => Remaining::Left(self.left(deadline)),
            })
        };
        self.meters.ttl.watch_as(work, |left| present(*left != Remaining::Absent)).await
    }

    /// The time until a deadline, at least a millisecond: what is there has not ended.
    pub fn left(&self, deadline: Deadline) -> Duration {
        deadline.left(self.home.now()).max(Duration::from_millis(1))
    }

    /// Gives an entry another deadline; none when it is absent.
    ///
    /// # Errors
    /// `Engine`.
    pub async fn expire(&self, cx: &Cx, key: &Key, ttl: Dur) -> Result<Option<Touched>, CacheError> {
        let deadline = Deadline::after(self.home.now(), ttl.get());
        let work = self.touch(cx, key, Some(deadline));
        self.meters.expire.watch_as(work, |touched| present(touched.is_some())).await
    }

    /// Takes an entry's deadline away; none when it is absent.
    ///
    /// # Errors
    /// `PersistForbidden` where every entry must expire, `Engine`.
    pub async fn persist(&self, cx: &Cx, key: &Key) -> Result<Option<Touched>, CacheError> {
        let work = async {
            if !self.rules().allow_no_expiry {
                return Err(CacheError::PersistForbidden);
            }
            self.touch(cx, key, None).await
        };
        self.meters.persist.watch_as(work, |touched| present(touched.is_some())).await
    }

    /// Adds to a counter, which begins at 0.
    ///
    /// # Errors
    /// `OutOfRange`, `TtlRequired`, `WrongType`, `CounterOverflow`, `CounterBound`, `Engine`.
    pub async fn incr(&self, cx: &Cx, key: &Key, incr: Incr) -> Result<Sum, CacheError> {
        let work = async {
            match self.write(cx, key, &Write::Incr(incr), Mode::Any).await? {
                Written::Sum(sum) => Ok(sum),
                Written::Set(_) | Written::Deleted(_) => Err(mixed_up().into()),
            }
        };
        self.meters.incr.watch(work).await
    }

    /// Changes entries of one group together: every condition holds and every write happens, or nothing does.
    ///
    /// # Errors
    /// `ConditionFailed`, `BatchTooLarge`, `OutOfRange` without a write, `KeyTwice`, `Contention`, `Engine`, and those
    /// of the writes.
    pub async fn commit(
        &self,
        cx: &Cx,
        group: &Id,
        conditions: Vec<(Id, Condition)>,
        writes: &[(Id, Write)],
    ) -> Result<Revision, CacheError> {
        let work = async {
            let change = self.group_change(group, conditions, writes)?;
            match change.make(cx, &self.home, &self.queue).await {
                Ok(Changed { revision, .. }) => Ok(revision),
                Err(Stop::Condition { index, present }) => {
                    Err(CacheError::ConditionFailed { index, current: present })
                }
                Err(Stop::Step { refusal, .. }) => Err(refused(refusal)),
                Err(Stop::Failed(error)) => Err(error),
            }
        };
        self.meters.commit.watch(work).await
    }

    fn group_change(
        &self,
        group: &Id,
        conditions: Vec<(Id, Condition)>,
        writes: &[(Id, Write)],
    ) -> Result<Change, CacheError> {
        if conditions.len() + writes.len() > GROUP_COMMIT_MAX || bytes_of(writes) > BATCH_BYTES_MAX {
            return Err(CacheError::BatchTooLarge);
        }
        if writes.is_empty() {
            return Err(CacheError::OutOfRange { field: "writes" });
        }
        let mut seen = HashSet::with_capacity(writes.len());
        if !writes.iter().all(|(key, _)| seen.insert(key)) {
            return Err(CacheError::KeyTwice);
        }
        let (rules, now) = (self.rules(), self.home.now());
        let step = |(key, write): &(Id, Write)| Ok((codec::group_item(key), Step::new(write, &rules, now)?));
        let steps = writes.iter().map(step).collect::<Result<_, CacheError>>()?;
        let must = |(key, condition): (Id, Condition)| {
            let must = match condition {
                Condition::Exists(true) => Must::Present,
                Condition::Exists(false) => Must::Absent,
                Condition::Revision(revision) => Must::At(revision),
                Condition::Value(value) => Must::Have(value),
            };
            (codec::group_item(&key), must)
        };
        let place = self.home.place(codec::group_partition(group))?;
        Ok(Change { place, conditions: conditions.into_iter().map(must).collect(), steps })
    }

    /// One write of one entry.
    async fn write(&self, cx: &Cx, key: &Key, write: &Write, mode: Mode) -> Result<Written, CacheError> {
        let step = Step::new(write, &self.rules(), self.home.now())?;
        let Address { place, item } = self.address(key)?;
        let condition = Must::of(mode.clone()).map(|must| (item.clone(), must));
        let change = Change { place, conditions: condition.into_iter().collect(), steps: vec![(item, step)] };
        match change.make(cx, &self.home, &self.queue).await {
            Ok(Changed { written, .. }) => written.into_iter().next().ok_or_else(|| mixed_up().into()),
            Err(Stop::Condition { present, .. }) => unmet(&mode, present),
            Err(Stop::Step { refusal, .. }) => Err(refused(refusal)),
            Err(Stop::Failed(error)) => Err(error),
        }
    }

    async fn touch(
        &self,
        cx: &Cx,
        key: &Key,
        deadline: Option<Deadline>,
    ) -> Result<Option<Touched>, CacheError> {
        let Address { place, item } = self.address(key)?;
        let commit = Commit::new().mutate(Mutation::Touch { item, deadline });
        let receipt = self.home.engine.commit(cx, &place, &commit).await?;
        match receipt.outcomes[..] {
            [MutationOutcome::Touched] => Ok(Some(Touched { revision: receipt.revision, deadline })),
            [MutationOutcome::Missed] => Ok(None),
            _ => Err(mixed_up().into()),
        }
    }

    async fn fetch(&self, cx: &Cx, key: &Key) -> Result<Option<Item>, CacheError> {
        Ok(self.home.engine.get(cx, &self.address(key)?).await?)
    }

    pub(super) fn address(&self, key: &Key) -> Result<Address, CacheError> {
        let (partition, item) = codec::address(key);
        Ok(Address { place: self.home.place(partition)?, item })
    }

    /// Reads what is stored. What cannot be read is logged without the value.
    pub(super) fn entry(&self, key: &Key, item: &Item) -> Result<Entry, CacheError> {
        codec::decode(item).map_err(|error| {
            let (partition, item) = codec::address(key);
            let digest = blake3::hash(&partition).to_hex();
            tracing::error!(
                store = Self::STORE,
                space = self.home.space.key(),
                partition = &digest.as_str()[..16],
                item = %item.as_bytes().escape_ascii(),
                "a stored value cannot be read"
            );
            CacheError::Engine(error)
        })
    }

    pub(super) fn count_requests(&self, hits: u64, misses: u64) {
        let count = |slot: &OnceLock<Counter>, result: &'static str, by: u64| {
            if by > 0 {
                slot.get_or_init(|| counter!("statehold_cache_requests_total", "result" => result))
                    .increment(by);
            }
        };
        count(&self.requests.hit, "hit", hits);
        count(&self.requests.miss, "miss", misses);
    }
}

/// What an unmet mode means: `if_absent` and `if_present` are answers, a revision or value is an error.
pub(super) fn unmet(mode: &Mode, present: Option<Revision>) -> Result<Written, CacheError> {
    match mode {
        Mode::IfAbsent | Mode::IfPresent => Ok(Written::Set(Stored::No { present })),
        Mode::IfRevision(_) | Mode::IfValue(_) => Err(CacheError::RevisionMismatch { current: present }),
        Mode::Any => Err(mixed_up().into()),
    }
}

/// All bytes of the values that are put.
pub(super) fn bytes_of<K>(writes: &[(K, Write)]) -> usize {
    let bytes = |write: &Write| match write {
        Write::Set(set) => set.value.bytes_len(),
        Write::Delete | Write::Incr(_) => 0,
    };
    writes.iter().map(|(_, write)| bytes(write)).sum()
}

fn present(found: bool) -> Outcome {
    if found { Outcome::Ok } else { Outcome::Absent }
}

fn mixed_up() -> Error {
    Error::internal("a commit was answered with another outcome")
}
