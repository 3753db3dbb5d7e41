//! One commit inside the writer's transaction: decided on what is there, then written.

use foldhash::fast::RandomState;
use hashbrown::HashMap;
use statehold_core::{
    Commit, CommitView, Deadline, Decided, Error, ItemKey, MarkKind, Mutation, Place, Receipt, Result,
    Revision, State, commit_rule, evaluate,
};
use statehold_sql::{Prepared, Sql, Tx, Val};

use super::memory::Memory;
use super::rows;
use super::writer::Rules;

pub(super) static SELECT: Sql = Sql::new(
    "SELECT form, revision, base, deadline_ms, value FROM items
     WHERE space = $1 AND bucket = $2 AND partition = $3 AND item = $4",
);
pub(super) static SELECT_LEAN: Sql = Sql::new(
    "SELECT form, revision, base, deadline_ms FROM items
     WHERE space = $1 AND bucket = $2 AND partition = $3 AND item = $4",
);
static INSERT: Sql = Sql::new(
    "INSERT INTO items (space, bucket, partition, item, form, revision, base, deadline_ms, value)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
);
/// Leaves the deadline alone, and with it the index over deadlines.
pub(super) static REPLACE: Sql = Sql::new(
    "UPDATE items SET form = $5, revision = $6, base = $7, value = $8
     WHERE space = $1 AND bucket = $2 AND partition = $3 AND item = $4",
);
pub(super) static PUT: Sql = Sql::new(
    "UPDATE items SET form = $5, revision = $6, base = $7, deadline_ms = $8, value = $9
     WHERE space = $1 AND bucket = $2 AND partition = $3 AND item = $4",
);
pub(super) static REMOVE: Sql =
    Sql::new("DELETE FROM items WHERE space = $1 AND bucket = $2 AND partition = $3 AND item = $4");
static MARK: Sql = Sql::new(
    "INSERT INTO marks (space, bucket, partition, item, revision, kind) VALUES ($1, $2, $3, $4, $5, $6)
     ON CONFLICT (space, bucket, partition, item) DO UPDATE SET revision = excluded.revision, kind = excluded.kind",
);
pub(super) static IS_MARKED: Sql = Sql::new(
    "SELECT 1 FROM marks WHERE space = $1 AND bucket = $2 AND partition = $3 AND item = $4 AND kind = 1",
);
pub(super) static RECEIPTS: Sql = Sql::new(
    "SELECT item, deadline_ms FROM items
     WHERE space = $1 AND bucket = $2 AND partition = $3 AND item >= $4 AND item < $5 AND form <> 0
     ORDER BY item LIMIT $6",
);

/// The statements of commits, prepared once per transaction of the writer.
#[derive(Debug)]
pub(super) struct Statements<'a> {
    tx: &'a Tx<'a>,
    select: Prepared<'a>,
    select_lean: Prepared<'a>,
    insert: Prepared<'a>,
    replace: Prepared<'a>,
    put: Prepared<'a>,
    remove: Prepared<'a>,
    /// What the present commit has read.
    read: HashMap<ItemKey, Option<State>, RandomState>,
}

impl<'a> Statements<'a> {
    pub(super) fn prepare(tx: &'a Tx<'a>) -> Result<Self> {
        Ok(Self {
            tx,
            select: tx.prepare(&SELECT)?,
            select_lean: tx.prepare(&SELECT_LEAN)?,
            insert: tx.prepare(&INSERT)?,
            replace: tx.prepare(&REPLACE)?,
            put: tx.prepare(&PUT)?,
            remove: tx.prepare(&REMOVE)?,
            read: HashMap::default(),
        })
    }

    /// What is kept of an item.
    pub(super) fn state(&mut self, address: &[Val; 4]) -> Result<Option<State>> {
        self.select.query_row(address, |row| rows::state(row, 0, Some(4)))
    }

    /// Keeps an item's state; `before` is what is kept of it until now.
    pub(super) fn put(&mut self, address: [Val; 4], state: &State, before: Option<&State>) -> Result<()> {
        let [space, bucket, partition, item] = address;
        let [form, revision, base, deadline, value] = rows::state_vals(state);
        let of = |state: &State| state.body.as_ref().and_then(|body| body.deadline);
        let written = match before {
            Some(before) if of(before) == of(state) => {
                self.replace.execute(&[space, bucket, partition, item, form, revision, base, value])?
            }
            Some(_) => {
                self.put.execute(&[space, bucket, partition, item, form, revision, base, deadline, value])?
            }
            None => self
                .insert
                .execute(&[space, bucket, partition, item, form, revision, base, deadline, value])?,
        };
        if written == 1 { Ok(()) } else { Err(Error::internal("an item to be written was not there")) }
    }
}

/// Decides a commit and writes what was decided. The inner error is the commit's own: nothing was written.
pub(super) fn commit(
    statements: &mut Statements<'_>,
    memory: &mut Memory,
    rules: &Rules,
    at: &Place,
    commit: &Commit,
) -> Result<Result<Receipt>> {
    let decided = match decide(statements, memory, rules, at, commit) {
        Ok(decided) => decided,
        Err(error) => return Ok(Err(error)),
    };
    let Decision { id, marking, decided: Decided { receipt, writes } } = decided;
    if receipt.replayed {
        return Ok(Ok(receipt));
    }
    for write in writes {
        let address = address(id, at, &write.key);
        if marking {
            mark(statements.tx, &address, receipt.revision)?;
        }
        match write.state {
            Some(state) => {
                let before = statements.read.remove(&write.key).flatten();
                statements.put(address, &state, before.as_ref())?;
            }
            None => drop(statements.remove.execute(&address)?),
        }
    }
    issued(statements.tx, memory, at, receipt.revision)?;
    Ok(Ok(receipt))
}

struct Decision {
    id: i64,
    marking: bool,
    decided: Decided,
}

fn decide(
    statements: &mut Statements<'_>,
    memory: &Memory,
    rules: &Rules,
    at: &Place,
    commit: &Commit,
) -> Result<Decision> {
    let control = memory.control(&at.space, at.bucket);
    let fence = commit_rule(control.as_ref(), memory.history.of(&at.space), at.epoch)?;
    let kept = memory.spaces.get(at.space.key()).ok_or_else(|| Error::moved(None))?;
    if kept.buckets != at.space.buckets() {
        return Err(Error::invalid("a space keeps its number of buckets for ever"));
    }
    let revision = Revision::new(fence.term, memory.history.counter + 1)?;
    if revision <= fence.floor {
        return Err(Error::internal("a control's floor is above its term"));
    }
    let reads_values = |mutation: &Mutation| {
        matches!(mutation, Mutation::Touch { .. } | Mutation::Add { .. } | Mutation::Take { .. })
    };
    statements.read.clear();
    let mut view = View { id: kept.id, at, values: commit.mutations.iter().any(reads_values), statements };
    let decided = evaluate(commit, &mut view, &fence, rules.clock.now(), revision, rules.commit_memory)?;
    Ok(Decision { id: kept.id, marking: fence.marking, decided })
}

/// Notes that a revision was issued: in the file only where it is the bucket's first of its term.
fn issued(tx: &Tx<'_>, memory: &mut Memory, at: &Place, revision: Revision) -> Result<()> {
    memory.history.counter = revision.n();
    let kept = memory.spaces.get_mut(at.space.key()).expect("the commit was decided in this space");
    let bucket = kept.own.entry(at.bucket).or_default();
    bucket.high = bucket.high.max(revision);
    if bucket.issued_term != Some(revision.term()) {
        bucket.issued_term = Some(revision.term());
        kept.write_bucket(tx, at.bucket)?;
    }
    Ok(())
}

/// Marks an item dirty at a revision.
fn mark(tx: &Tx<'_>, address: &[Val; 4], revision: Revision) -> Result<()> {
    let [space, bucket, partition, item] = address.clone();
    let kind = Val::Int(rows::kind_number(MarkKind::Dirty));
    tx.execute(&MARK, &[space, bucket, partition, item, rows::revision_val(revision), kind]).map(drop)
}

/// The primary key of an item.
pub(super) fn address(id: i64, at: &Place, key: &ItemKey) -> [Val; 4] {
    [
        Val::Int(id),
        Val::from(at.bucket.number()),
        Val::Blob(at.partition.as_bytes().clone()),
        Val::Blob(key.as_bytes().clone()),
    ]
}

/// A partition as the commit sees it: one look-up per item.
struct View<'v, 's> {
    id: i64,
    at: &'v Place,
    /// Whether a mutation builds on an item's bytes; else they are left where they are.
    values: bool,
    statements: &'v mut Statements<'s>,
}

impl CommitView for View<'_, '_> {
    fn state(&mut self, key: &ItemKey) -> Result<Option<State>> {
        if let Some(state) = self.statements.read.get(key) {
            return Ok(state.clone());
        }
        let address = address(self.id, self.at, key);
        let state = if self.values || key.is_receipt() {
            self.statements.state(&address)?
        } else {
            self.statements.select_lean.query_row(&address, |row| rows::state(row, 0, None))?
        };
        self.statements.read.insert(key.clone(), state.clone());
        Ok(state)
    }

    fn is_marked(&mut self, key: &ItemKey) -> Result<bool> {
        let address = address(self.id, self.at, key);
        Ok(self.statements.tx.query_row(&IS_MARKED, &address, |_| Ok(()))?.is_some())
    }

    fn oldest_receipts(&mut self, limit: usize) -> Result<Vec<(ItemKey, Option<Deadline>)>> {
        let (from, to) = ItemKey::receipts();
        let wanted = [
            Val::Int(self.id),
            Val::from(self.at.bucket.number()),
            Val::Blob(self.at.partition.as_bytes().clone()),
            Val::from(from),
            Val::from(to),
            Val::Int(limit as i64),
        ];
        self.statements.tx.query(&RECEIPTS, &wanted, |row| {
            Ok((ItemKey::from_bytes(row.bytes(0)?)?, rows::deadline(row, 1)?))
        })
    }
}
