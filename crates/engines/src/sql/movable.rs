//! What a live move needs.

use std::sync::Arc;

use async_trait::async_trait;
use statehold_core::{
    Bucket, Carried, CarryOutcome, Control, Cx, Epoch, Error, Incarnation, ItemKey, Kind, MUTATIONS_MAX,
    Mark, MarkKind, Marked, Movable, PAGE_MAX, Partition, PassId, Place, Result, Role, Space, carry_rule,
    control_rule,
};
use statehold_sql::{Row, Sql, Tx, Val};

use super::commit::{self, Statements};
use super::memory::Memory;
use super::open::EmbeddedEngine;
use super::rows;
use super::sweep::remove_found;

// By kind: the few that are dirty must not be looked for among the many that are unchecked.
pub(super) static MARKS: Sql = Sql::new(
    "SELECT marks.partition, marks.item, marks.revision,
        items.form, items.revision, items.base, items.deadline_ms, items.value
     FROM marks INDEXED BY marks_by_kind LEFT JOIN items ON items.space = marks.space AND items.bucket = marks.bucket
        AND items.partition = marks.partition AND items.item = marks.item
     WHERE marks.space = $1 AND marks.bucket = $2 AND marks.kind = $3 LIMIT $4",
);
pub(super) static CLEAR_DIRTY: Sql = Sql::new(
    "UPDATE marks SET kind = 2
     WHERE space = $1 AND bucket = $2 AND partition = $3 AND item = $4 AND revision = $5 AND kind = 1",
);
pub(super) static CLEAR_UNCHECKED: Sql = Sql::new(
    "DELETE FROM marks
     WHERE space = $1 AND bucket = $2 AND partition = $3 AND item = $4 AND revision = $5 AND kind = 2",
);
pub(super) static ITEMS_OF: Sql =
    Sql::new("SELECT space, bucket, partition, item FROM items WHERE space = $1 AND bucket = $2 LIMIT $3");
static REMOVE_ITEM: Sql =
    Sql::new("DELETE FROM items WHERE space = $1 AND bucket = $2 AND partition = $3 AND item = $4");
pub(super) static MARKS_OF: Sql =
    Sql::new("SELECT space, bucket, partition, item FROM marks WHERE space = $1 AND bucket = $2 LIMIT $3");
static REMOVE_MARK: Sql =
    Sql::new("DELETE FROM marks WHERE space = $1 AND bucket = $2 AND partition = $3 AND item = $4");

#[async_trait]
impl Movable for EmbeddedEngine {
    async fn incarnation(&self, cx: &Cx, space: &Space, buckets: &[Bucket]) -> Result<Vec<Incarnation>> {
        self.named("incarnation", self.ready(cx))?;
        Ok(vec![self.history.of(space); buckets.len()])
    }

    async fn control(&self, cx: &Cx, space: &Space, buckets: &[Bucket]) -> Result<Vec<Option<Control>>> {
        let (space, buckets) = (space.clone(), buckets.to_vec());
        let read = self.on_writer(cx, true, move |_, memory| {
            Ok(Ok(buckets.iter().map(|&bucket| memory.control(&space, bucket)).collect()))
        });
        self.named("control", read.await)
    }

    async fn establish(&self, cx: &Cx, space: &Space, control: &Control) -> Result<()> {
        let (space, control) = (space.clone(), *control);
        let done = self.on_writer(cx, false, move |tx, memory| establish(tx, memory, &space, &control));
        self.named("establish", done.await)
    }

    async fn set_control(
        &self,
        cx: &Cx,
        space: &Space,
        bucket: Bucket,
        expect: Option<&Control>,
        next: &Control,
    ) -> Result<()> {
        let (space, expect, next) = (space.clone(), expect.copied(), *next);
        let done = self.on_writer(cx, false, move |tx, memory| {
            set_control(tx, memory, &space, bucket, expect.as_ref(), &next)
        });
        self.named("set control", done.await)
    }

    async fn marks(
        &self,
        cx: &Cx,
        space: &Space,
        bucket: Bucket,
        kind: MarkKind,
        limit: usize,
    ) -> Result<Vec<Marked>> {
        self.named("marks", self.ready(cx))?;
        let Some(known) = self.directory.get(space) else { return Ok(Vec::new()) };
        let limit = limit.min(PAGE_MAX) as i64;
        let wanted = [
            Val::Int(known.id),
            Val::from(bucket.number()),
            Val::Int(rows::kind_number(kind)),
            Val::Int(limit),
        ];
        let read = self.scanners.snapshot(move |tx| tx.query(&MARKS, &wanted, |row| marked(row, kind)));
        self.named("marks", read.await)
    }

    async fn clear(&self, cx: &Cx, space: &Space, bucket: Bucket, done: &[Mark]) -> Result<u64> {
        let (space, done) = (space.clone(), done.to_vec());
        let cleared = self.on_writer(cx, false, move |tx, memory| {
            let Some(kept) = memory.spaces.get(space.key()) else { return Ok(Ok(0)) };
            let mut cleared = 0;
            for mark in &done {
                let [space, bucket, partition, item] = mark_address(kept.id, bucket, mark);
                let sql = match mark.kind {
                    MarkKind::Dirty => &CLEAR_DIRTY,
                    MarkKind::Unchecked => &CLEAR_UNCHECKED,
                };
                let revision = rows::revision_val(mark.revision);
                cleared += tx.execute(sql, &[space, bucket, partition, item, revision])? as u64;
            }
            Ok(Ok(cleared))
        });
        self.named("clear", cleared.await)
    }

    async fn carry(
        &self,
        cx: &Cx,
        space: &Space,
        bucket: Bucket,
        at: Epoch,
        _: PassId,
        items: &[Carried],
    ) -> Result<Vec<CarryOutcome>> {
        if items.len() > MUTATIONS_MAX {
            return self.named("carry", Err(Error::invalid("at most 4096 items are carried at once")));
        }
        let (space, items) = (space.clone(), items.to_vec());
        let done = self.on_writer(cx, false, move |tx, memory| carry(tx, memory, &space, bucket, at, &items));
        self.named("carry", done.await)
    }

    async fn forget(&self, cx: &Cx, space: &Space, buckets: &[Bucket]) -> Result<()> {
        // All are looked at before the first is forgotten; then each step looks again.
        let (space, all): (Space, Arc<[Bucket]>) = (space.clone(), buckets.into());
        loop {
            let (space, all) = (space.clone(), Arc::clone(&all));
            let step = self.on_writer(cx, false, move |tx, memory| forget(tx, memory, &space, &all));
            if self.named("forget", step.await)? == 0 {
                return Ok(());
            }
        }
    }
}

fn establish(tx: &Tx<'_>, memory: &mut Memory, space: &Space, control: &Control) -> Result<Result<()>> {
    let present = memory.history.of(space);
    if let Some(kept) = memory.spaces.get(space.key()) {
        if kept.buckets != space.buckets() {
            return Ok(Err(Error::new(Kind::Refused, "the space was made with another number of buckets")));
        }
        if kept.control == Some(*control) && kept.traits == space.traits() {
            return Ok(Ok(()));
        }
        let same = kept.control == Some(*control);
        let mut standing = kept.own.values().filter_map(|own| own.control).chain(kept.control);
        let grows = |standing: Control| control_rule(Some(&standing), control, present);
        if !same && let Err(error) = standing.try_for_each(grows) {
            return Ok(Err(error));
        }
    }
    if let Err(error) = control_rule(None, control, present) {
        return Ok(Err(error));
    }
    memory.raise_counter(control.floor);
    memory.changed = true;
    let kept = memory.space(tx, space)?;
    kept.traits = space.traits();
    kept.control = Some(*control);
    kept.write(tx)?;
    let void = |own: &super::memory::KeptBucket| own.control.is_some_and(|own| own.incarnation != present);
    let void: Vec<Bucket> = kept.own.iter().filter(|(_, own)| void(own)).map(|(&bucket, _)| bucket).collect();
    for bucket in void {
        kept.own.entry(bucket).or_default().control = None;
        kept.write_bucket(tx, bucket)?;
    }
    Ok(Ok(()))
}

fn set_control(
    tx: &Tx<'_>,
    memory: &mut Memory,
    space: &Space,
    bucket: Bucket,
    expect: Option<&Control>,
    next: &Control,
) -> Result<Result<()>> {
    if bucket.number() >= space.buckets() {
        return Ok(Err(Error::invalid("a bucket is not of this space")));
    }
    let present = memory.control(space, bucket);
    // The floor grows by itself, so that it is not compared.
    let floorless = |control: &Control| Control { floor: next.floor, ..*control };
    if present.as_ref().map(floorless) != expect.map(floorless) {
        return Ok(Err(Error::conflict("the bucket has another control")));
    }
    let kept = memory.spaces.get(space.key());
    // A void control of the space is not shown, and still binds what replaces it.
    let standing = present.or(kept.and_then(|kept| kept.control));
    if let Err(error) = control_rule(standing.as_ref(), next, memory.history.of(space)) {
        return Ok(Err(error));
    }
    memory.raise_counter(next.floor);
    memory.changed = true;
    let kept = memory.space(tx, space)?;
    kept.own.entry(bucket).or_default().control = Some(*next);
    kept.write_bucket(tx, bucket)?;
    Ok(Ok(()))
}

fn carry(
    tx: &Tx<'_>,
    memory: &mut Memory,
    space: &Space,
    bucket: Bucket,
    at: Epoch,
    items: &[Carried],
) -> Result<Result<Vec<CarryOutcome>>> {
    let standing = memory.control(space, bucket);
    let standing = standing.filter(|control| control.incarnation == memory.history.of(space));
    let epoch = standing.map(|control| control.epoch);
    if standing.is_none_or(|control| control.role != Role::Following || control.epoch != at) {
        return Ok(Err(Error::moved(epoch)));
    }
    let mut statements = Statements::prepare(tx)?;
    let mut outcomes = Vec::with_capacity(items.len());
    let mut high = memory.space(tx, space)?.own.get(&bucket).map_or_else(Default::default, |own| own.high);
    let before = high;
    let id = memory.space(tx, space)?.id;
    for item in items {
        let key = key_address(id, space, bucket, &item.partition, &item.key);
        let present = statements.state(&key)?;
        let outcome = carry_rule(present.as_ref(), &item.state);
        if outcome == CarryOutcome::Accepted {
            statements.put(key, &item.state, present.as_ref())?;
            high = high.max(item.state.revision);
            memory.raise_counter(item.state.revision);
        }
        outcomes.push(outcome);
    }
    if high > before {
        let kept = memory.space(tx, space)?;
        kept.own.entry(bucket).or_default().high = high;
        kept.write_bucket(tx, bucket)?;
    }
    Ok(Ok(outcomes))
}

/// Forgets up to a page of the first bucket that still holds something; says how many rows went.
fn forget(tx: &Tx<'_>, memory: &mut Memory, space: &Space, buckets: &[Bucket]) -> Result<Result<usize>> {
    let away =
        |&bucket: &Bucket| memory.control(space, bucket).is_some_and(|control| control.role == Role::Away);
    if !buckets.iter().all(away) {
        return Ok(Err(Error::conflict("a bucket that is not away cannot be forgotten")));
    }
    let Some(kept) = memory.spaces.get(space.key()) else { return Ok(Ok(0)) };
    for bucket in buckets {
        let rows = [Val::Int(kept.id), Val::from(bucket.number()), Val::Int(PAGE_MAX as i64)];
        let gone = remove_found(tx, &ITEMS_OF, &rows, &REMOVE_ITEM)?
            + remove_found(tx, &MARKS_OF, &rows, &REMOVE_MARK)?;
        if gone > 0 {
            return Ok(Ok(gone));
        }
    }
    Ok(Ok(0))
}

fn key_address(id: i64, space: &Space, bucket: Bucket, partition: &Partition, key: &ItemKey) -> [Val; 4] {
    let at = Place { bucket, ..Place::new(space, partition.clone()) };
    commit::address(id, &at, key)
}

fn mark_address(id: i64, bucket: Bucket, mark: &Mark) -> [Val; 4] {
    [
        Val::Int(id),
        Val::from(bucket.number()),
        Val::Blob(mark.partition.as_bytes().clone()),
        Val::Blob(mark.key.as_bytes().clone()),
    ]
}

fn marked(row: &Row<'_>, kind: MarkKind) -> Result<Marked> {
    let mark = Mark {
        partition: Partition::new(row.bytes(0)?)?,
        key: ItemKey::from_bytes(row.bytes(1)?)?,
        revision: rows::revision_of(row.int(2)?),
        kind,
    };
    let state = row.opt_int(3)?.map(|_| rows::state(row, 3, Some(7))).transpose()?;
    Ok(Marked { mark, state })
}
