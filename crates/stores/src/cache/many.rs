//! Batches: one fetch for many reads; for writes one commit per entry or per group, several at a time.

use std::collections::{HashMap, HashSet};

use futures_util::stream::{self, StreamExt};
use statehold_core::{Cx, Error, Revision};

use super::change::{Change, Must, Step, Stop, refused};
use super::store::unmet;
use super::{
    BATCH_BYTES_MAX, BATCH_MAX, Cache, CacheError, CachePolicy, Entry, Key, Mode, Set, Stored, Write, Written,
};
use crate::value::Id;

/// Commits of one batch that are under way at once.
const PARALLEL_MAX: usize = 64;

/// One write of a batch.
#[derive(Clone, Debug, PartialEq)]
pub struct BatchWrite {
    /// The entry.
    pub key: Key,
    /// The change.
    pub write: Write,
    /// When it may happen.
    pub mode: Mode,
}

impl BatchWrite {
    /// A write whatever is there.
    pub const fn new(key: Key, write: Write) -> Self {
        Self { key, write, mode: Mode::Any }
    }

    fn bytes(&self) -> usize {
        match &self.write {
            Write::Set(set) => set.value.bytes_len(),
            Write::Delete | Write::Incr(_) => 0,
        }
    }
}

/// One operation of a mixed batch.
#[derive(Clone, Debug, PartialEq)]
pub enum BatchOp {
    /// Reads an entry.
    Get(Key),
    /// Changes one.
    Write(BatchWrite),
}

/// What one operation of a mixed batch came to.
#[derive(Clone, Debug, PartialEq)]
pub enum BatchAnswer {
    /// Of a read; none where nothing is.
    Entry(Option<Entry>),
    /// Of a write.
    Written(Written),
}

/// What became of one entry of a batch.
pub type BatchResult<T> = Result<T, CacheError>;

/// Entries that change in one commit, by their index in the batch.
struct Unit<'a> {
    entries: Vec<(usize, &'a BatchWrite)>,
}

impl Cache {
    /// Reads up to [`BATCH_MAX`] entries in one fetch: one answer per key, in order, a key named twice answered alike.
    ///
    /// # Errors
    /// `BatchTooLarge`, `Engine`; an entry that cannot be read fails alone.
    pub async fn get_many(
        &self,
        cx: &Cx,
        keys: &[Key],
    ) -> Result<Vec<BatchResult<Option<Entry>>>, CacheError> {
        let work = async {
            if keys.len() > BATCH_MAX {
                return Err(CacheError::BatchTooLarge);
            }
            if keys.is_empty() {
                return Ok(Vec::new());
            }
            let wanted = keys.iter().map(|key| self.address(key)).collect::<Result<Vec<_>, _>>()?;
            let found = self.home.engine.fetch(cx, &wanted).await?;
            let hits = found.iter().flatten().count() as u64;
            self.count_requests(hits, found.len() as u64 - hits);
            let read = keys.iter().zip(&found);
            Ok(read.map(|(key, item)| item.as_ref().map(|item| self.entry(key, item)).transpose()).collect())
        };
        self.meters.get_many.watch(work).await
    }

    /// Puts up to [`BATCH_MAX`] values. Those of one group are one commit; every other is one of its own.
    ///
    /// # Errors
    /// `BatchTooLarge`; everything else is an answer of its entry.
    pub async fn set_many(
        &self,
        cx: &Cx,
        entries: Vec<(Key, Set, Mode)>,
    ) -> Result<Vec<BatchResult<Stored>>, CacheError> {
        let write = |(key, set, mode)| BatchWrite { key, write: Write::Set(set), mode };
        let written = self.write_many(cx, &entries.into_iter().map(write).collect::<Vec<_>>()).await?;
        let stored = |written| match written {
            Written::Set(stored) => Ok(stored),
            Written::Deleted(_) | Written::Sum(_) => Err(mixed_up()),
        };
        Ok(written.into_iter().map(|result| result.and_then(stored)).collect())
    }

    /// Removes up to [`BATCH_MAX`] entries, as [`Self::set_many`] puts them; each answer says whether it was there.
    ///
    /// # Errors
    /// `BatchTooLarge`; everything else is an answer of its entry.
    pub async fn delete_many(
        &self,
        cx: &Cx,
        entries: Vec<(Key, Option<Revision>)>,
    ) -> Result<Vec<BatchResult<bool>>, CacheError> {
        let write = |(key, revision): (Key, Option<Revision>)| {
            let mode = revision.map_or(Mode::Any, Mode::IfRevision);
            BatchWrite { key, write: Write::Delete, mode }
        };
        let written = self.write_many(cx, &entries.into_iter().map(write).collect::<Vec<_>>()).await?;
        let deleted = |written| match written {
            Written::Deleted(deleted) => Ok(deleted),
            Written::Set(_) | Written::Sum(_) => Err(mixed_up()),
        };
        Ok(written.into_iter().map(|result| result.and_then(deleted)).collect())
    }

    /// Makes up to [`BATCH_MAX`] writes of any kind. Those of one group are one commit, which happens whole or not at
    /// all; every other is a commit of its own. A key named again begins a new round, after everything before it.
    ///
    /// # Errors
    /// `BatchTooLarge`; everything else is an answer of its entry.
    pub async fn write_many(
        &self,
        cx: &Cx,
        writes: &[BatchWrite],
    ) -> Result<Vec<BatchResult<Written>>, CacheError> {
        let work = async {
            let bytes: usize = writes.iter().map(BatchWrite::bytes).sum();
            if writes.len() > BATCH_MAX || bytes > BATCH_BYTES_MAX {
                return Err(CacheError::BatchTooLarge);
            }
            let rules = self.rules();
            let mut results: Vec<Option<BatchResult<Written>>> = Vec::new();
            results.resize_with(writes.len(), || None);
            for round in rounds(writes) {
                let work: Vec<_> =
                    units(writes, round).into_iter().map(|unit| self.write_unit(cx, unit, &rules)).collect();
                let mut answers = stream::iter(work).buffer_unordered(PARALLEL_MAX);
                while let Some(answers) = answers.next().await {
                    for (index, result) in answers {
                        results[index] = Some(result);
                    }
                }
            }
            Ok(results.into_iter().map(|result| result.unwrap_or_else(|| Err(mixed_up()))).collect())
        };
        self.meters.write_many.watch(work).await
    }

    /// Makes up to [`BATCH_MAX`] operations in order: neighbouring reads are one fetch, neighbouring writes are made as
    /// [`Self::write_many`] makes them.
    ///
    /// # Errors
    /// `BatchTooLarge`; everything else is an answer of its operation.
    pub async fn batch(
        &self,
        cx: &Cx,
        ops: Vec<BatchOp>,
    ) -> Result<Vec<BatchResult<BatchAnswer>>, CacheError> {
        let bytes = |op: &BatchOp| match op {
            BatchOp::Get(_) => 0,
            BatchOp::Write(write) => write.bytes(),
        };
        if ops.len() > BATCH_MAX || ops.iter().map(bytes).sum::<usize>() > BATCH_BYTES_MAX {
            return Err(CacheError::BatchTooLarge);
        }
        let mut answers = Vec::with_capacity(ops.len());
        let (mut reads, mut writes) = (Vec::new(), Vec::new());
        for op in ops {
            match op {
                BatchOp::Get(key) => {
                    self.flush_writes(cx, &mut writes, &mut answers).await?;
                    reads.push(key);
                }
                BatchOp::Write(write) => {
                    self.flush_reads(cx, &mut reads, &mut answers).await;
                    writes.push(write);
                }
            }
        }
        self.flush_reads(cx, &mut reads, &mut answers).await;
        self.flush_writes(cx, &mut writes, &mut answers).await?;
        Ok(answers)
    }

    /// A fetch that fails is the answer of each of its reads: what was written before it stays written and is told.
    async fn flush_reads(&self, cx: &Cx, keys: &mut Vec<Key>, answers: &mut Vec<BatchResult<BatchAnswer>>) {
        if keys.is_empty() {
            return;
        }
        let keys = std::mem::take(keys);
        match self.get_many(cx, &keys).await {
            Ok(read) => answers.extend(read.into_iter().map(|entry| entry.map(BatchAnswer::Entry))),
            Err(error) => answers.extend(each(error, keys.len()).map(Err)),
        }
    }

    async fn flush_writes(
        &self,
        cx: &Cx,
        writes: &mut Vec<BatchWrite>,
        answers: &mut Vec<BatchResult<BatchAnswer>>,
    ) -> Result<(), CacheError> {
        if !writes.is_empty() {
            let (writes, before) = (std::mem::take(writes), answers.len());
            let written = self.write_many(cx, &writes).await?;
            // Positions inside this run become positions inside the batch.
            answers.extend(written.into_iter().map(|result| match result {
                Err(CacheError::GroupRefused { index }) => {
                    Err(CacheError::GroupRefused { index: before + index })
                }
                other => other.map(BatchAnswer::Written),
            }));
        }
        Ok(())
    }

    async fn write_unit(
        &self,
        cx: &Cx,
        unit: Unit<'_>,
        rules: &CachePolicy,
    ) -> Vec<(usize, BatchResult<Written>)> {
        let (change, owners) = match self.unit_change(&unit, rules) {
            Ok(built) => built,
            Err((culprit, error)) => return unit.refused(culprit, Err(error)),
        };
        match change.make(cx, &self.home, &self.queue).await {
            Ok(changed) => unit
                .entries
                .iter()
                .map(|(index, _)| *index)
                .zip(changed.written.into_iter().map(Ok))
                .collect(),
            Err(Stop::Condition { index, present }) => {
                let culprit = owners[index];
                unit.refused(culprit, unmet(&unit.entries[culprit].1.mode, present))
            }
            Err(Stop::Step { index, refusal }) => unit.refused(index, Err(refused(refusal))),
            Err(Stop::Failed(error)) => unit.failed(error),
        }
    }

    /// The change of a unit, and for each of its conditions the position of the entry that asks for it. The error names
    /// the entry that breaks a rule.
    fn unit_change(
        &self,
        unit: &Unit<'_>,
        rules: &CachePolicy,
    ) -> Result<(Change, Vec<usize>), (usize, CacheError)> {
        let now = self.home.now();
        let (mut conditions, mut owners) = (Vec::new(), Vec::new());
        let mut steps = Vec::with_capacity(unit.entries.len());
        let mut place = None;
        for (position, (_, entry)) in unit.entries.iter().enumerate() {
            let address = self.address(&entry.key).map_err(|error| (position, error))?;
            let step = Step::new(&entry.write, rules, now).map_err(|error| (position, error))?;
            if let Some(must) = Must::of(entry.mode.clone()) {
                conditions.push((address.item.clone(), must));
                owners.push(position);
            }
            steps.push((address.item, step));
            place = Some(address.place);
        }
        let place = place.ok_or_else(|| (0, mixed_up()))?;
        Ok((Change { place, conditions, steps }, owners))
    }
}

impl Unit<'_> {
    /// One entry was refused, so none of the unit was written.
    fn refused(&self, culprit: usize, answer: BatchResult<Written>) -> Vec<(usize, BatchResult<Written>)> {
        let culprit_index = self.entries[culprit].0;
        let mut answer = Some(answer);
        let mut answers = Vec::with_capacity(self.entries.len());
        for (position, (index, _)) in self.entries.iter().enumerate() {
            let own = if position == culprit { answer.take() } else { None };
            answers.push((*index, own.unwrap_or(Err(CacheError::GroupRefused { index: culprit_index }))));
        }
        answers
    }

    /// The whole unit failed: every entry of it did, in the same way.
    fn failed(&self, error: CacheError) -> Vec<(usize, BatchResult<Written>)> {
        let indices = self.entries.iter().map(|(index, _)| *index);
        indices.zip(each(error, self.entries.len()).map(Err)).collect()
    }
}

/// One failure of several entries, told to each: the first gets the error itself, the others one of the same kind.
fn each(error: CacheError, entries: usize) -> impl Iterator<Item = CacheError> {
    let again = match &error {
        CacheError::Engine(error) => Some((error.kind(), error.outcome())),
        _ => None,
    };
    let others = (1..entries).map(move |_| match again {
        Some((kind, outcome)) => {
            CacheError::Engine(Error::new(kind, "the call of several entries failed").with_outcome(outcome))
        }
        None => CacheError::Contention,
    });
    std::iter::once(error).chain(others)
}

/// Cuts a batch where a key comes again.
fn rounds(writes: &[BatchWrite]) -> Vec<std::ops::Range<usize>> {
    let mut rounds = Vec::new();
    let (mut begin, mut seen) = (0, HashSet::with_capacity(writes.len()));
    for (index, write) in writes.iter().enumerate() {
        if !seen.insert(&write.key) {
            rounds.push(begin..index);
            begin = index;
            seen.clear();
            seen.insert(&write.key);
        }
    }
    rounds.push(begin..writes.len());
    rounds
}

/// The commits of a round: one per group, one per entry without.
fn units(writes: &[BatchWrite], round: std::ops::Range<usize>) -> Vec<Unit<'_>> {
    let mut units: Vec<Unit<'_>> = Vec::new();
    let mut groups: HashMap<&Id, usize> = HashMap::new();
    for index in round {
        let entry = (index, &writes[index]);
        match &writes[index].key.group {
            None => units.push(Unit { entries: vec![entry] }),
            Some(group) => {
                let unit = *groups.entry(group).or_insert_with(|| {
                    units.push(Unit { entries: Vec::new() });
                    units.len() - 1
                });
                units[unit].entries.push(entry);
            }
        }
    }
    units
}

fn mixed_up() -> CacheError {
    CacheError::Engine(Error::internal("a batch was answered with another outcome"))
}
