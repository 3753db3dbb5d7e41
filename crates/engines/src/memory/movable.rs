//! What a live move needs.

use async_trait::async_trait;
use statehold_core::{
    Bucket, Carried, CarryOutcome, Control, Cx, Engine, Epoch, Error, ITEM_BYTES_MAX, Incarnation, ItemKey,
    Kind, MUTATIONS_MAX, Mark, MarkKind, Marked, Movable, Partition, PassId, Result, Role, Space, Write,
    carry_rule, control_rule,
};

use super::MemoryEngine;
use super::bucket::{BucketState, Change};
use super::marks::Owned;
use super::space::SpaceControls;

/// Most marks in one answer.
const MARKS_MAX: usize = 4_096;

#[async_trait]
impl Movable for MemoryEngine {
    async fn incarnation(&self, _cx: &Cx, _space: &Space, buckets: &[Bucket]) -> Result<Vec<Incarnation>> {
        Ok(vec![self.incarnation; buckets.len()])
    }

    async fn control(&self, _cx: &Cx, space: &Space, buckets: &[Bucket]) -> Result<Vec<Option<Control>>> {
        let controls = self.spaces.find(space).and_then(|found| {
            let Some(found) = found else { return Ok(vec![None; buckets.len()]) };
            buckets.iter().map(|bucket| Ok(self.shown(&*found.bucket_made(*bucket)?))).collect()
        });
        controls.map_err(self.told("control"))
    }

    async fn establish(&self, _cx: &Cx, space: &Space, control: &Control) -> Result<()> {
        self.establish_now(space, control).map_err(self.told("establish"))
    }

    async fn set_control(
        &self,
        _cx: &Cx,
        space: &Space,
        bucket: Bucket,
        expect: Option<&Control>,
        next: &Control,
    ) -> Result<()> {
        self.set_control_now(space, bucket, expect, next).map_err(self.told("set_control"))
    }

    async fn marks(
        &self,
        _cx: &Cx,
        space: &Space,
        bucket: Bucket,
        kind: MarkKind,
        limit: usize,
    ) -> Result<Vec<Marked>> {
        self.marks_now(space, bucket, kind, limit.min(MARKS_MAX)).map_err(self.told("marks"))
    }

    async fn clear(&self, _cx: &Cx, space: &Space, bucket: Bucket, done: &[Mark]) -> Result<u64> {
        self.clear_now(space, bucket, done).map_err(self.told("clear"))
    }

    async fn carry(
        &self,
        _cx: &Cx,
        space: &Space,
        bucket: Bucket,
        at: Epoch,
        _pass: PassId,
        items: &[Carried],
    ) -> Result<Vec<CarryOutcome>> {
        self.carry_now(space, bucket, at, items).map_err(self.told("carry"))
    }

    async fn forget(&self, _cx: &Cx, space: &Space, buckets: &[Bucket]) -> Result<()> {
        self.forget_now(space, buckets).map_err(self.told("forget"))
    }
}

impl MemoryEngine {
    /// A bucket's control as commits see it: its own, else the space's, if that is not void.
    fn shown(&self, bucket: &BucketState) -> Option<Control> {
        bucket.control().filter(|control| bucket.own.is_some() || control.incarnation == self.incarnation)
    }

    fn establish_now(&self, space: &Space, control: &Control) -> Result<()> {
        control_rule(None, control, self.incarnation)?;
        let space = self.spaces.find_or_add(space)?;
        let mut controls = space.controls();
        same_owner(&controls, control)?;
        if controls.control.as_ref() == Some(control) {
            return Ok(());
        }
        let own = space.used_buckets(0).filter_map(|(_, bucket)| bucket.own);
        controls
            .control
            .into_iter()
            .chain(own)
            .try_for_each(|present| control_rule(Some(&present), control, self.incarnation))?;
        *controls = SpaceControls { owner: Some(control.owner), control: Some(*control) };
        for (number, mut bucket) in space.used_buckets(0) {
            bucket.inherit(Some(*control));
            bucket.own.take_if(|own| own.incarnation != self.incarnation);
            space.publish_stalest(number, &bucket, self.incarnation);
        }
        Ok(())
    }

    fn set_control_now(
        &self,
        space: &Space,
        number: Bucket,
        expect: Option<&Control>,
        next: &Control,
    ) -> Result<()> {
        let space = self.spaces.find_or_add(space)?;
        let mut controls = space.controls();
        let mut bucket = space.bucket_made_under(&controls, number)?;
        let same = match (self.shown(&bucket), expect) {
            (None, None) => true,
            (Some(present), Some(expect)) => present == Control { floor: present.floor, ..*expect },
            _ => false,
        };
        if !same {
            return Err(Error::conflict("the bucket's control is another one"));
        }
        same_owner(&controls, next)?;
        control_rule(bucket.control().as_ref(), next, self.incarnation)?;
        controls.owner = Some(next.owner);
        let outdated = bucket.install(*next);
        space.publish_stalest(number, &bucket, self.incarnation);
        drop(bucket);
        drop(outdated);
        Ok(())
    }

    fn marks_now(&self, space: &Space, number: Bucket, kind: MarkKind, limit: usize) -> Result<Vec<Marked>> {
        let Some(space) = self.spaces.find(space)? else { return Ok(Vec::new()) };
        let Some(bucket) = space.bucket(number)? else { return Ok(Vec::new()) };
        let marked = |(revision, item): &(_, Owned)| {
            let partition = Partition::new(item.partition.clone())?;
            let key = ItemKey::from_bytes(item.key.clone())?;
            let state = bucket.state(&item.partition, &item.key).cloned();
            Ok(Marked { mark: Mark { partition, key, revision: *revision, kind }, state })
        };
        bucket.marks.oldest(kind).take(limit).map(marked).collect()
    }

    fn clear_now(&self, space: &Space, number: Bucket, done: &[Mark]) -> Result<u64> {
        let Some(space) = self.spaces.find(space)? else { return Ok(0) };
        let Some(mut bucket) = space.bucket(number)? else { return Ok(0) };
        let cleared = done.iter().filter(|mark| {
            let item =
                Owned { partition: mark.partition.as_bytes().clone(), key: mark.key.as_bytes().clone() };
            bucket.marks.clear(&item, mark.kind, mark.revision)
        });
        Ok(cleared.count() as u64)
    }

    fn carry_now(
        &self,
        space: &Space,
        number: Bucket,
        at: Epoch,
        items: &[Carried],
    ) -> Result<Vec<CarryOutcome>> {
        self.check_carried(items)?;
        let space = self.spaces.find(space)?.ok_or_else(|| Error::moved(None))?;
        let mut bucket = space.bucket_made(number)?;
        follows(bucket.control().as_ref(), self.incarnation, at)?;
        // Room for all of it first, so that a page is carried or refused as one.
        let growth = |carried: &Carried| {
            let write = Write { key: carried.key.clone(), state: Some(carried.state.clone()) };
            let partition = carried.partition.as_bytes();
            let change = bucket.weigh(bucket.partitions.find(partition), partition, &[write]);
            change.grown.saturating_sub(change.shrunk)
        };
        let reserved = items.iter().map(growth).sum();
        if !self.room.take(space, Change { grown: reserved, shrunk: 0 }) {
            return Err(Error::new(Kind::Overloaded, "the engine is full"));
        }
        let mut unused = reserved;
        let outcomes = items.iter().map(|carried| {
            let partition = carried.partition.as_bytes();
            let present = bucket.state(partition, carried.key.as_bytes());
            let outcome = carry_rule(present, &carried.state);
            if outcome == CarryOutcome::Accepted {
                let writes = vec![Write { key: carried.key.clone(), state: Some(carried.state.clone()) }];
                let slot = bucket.partitions.find(partition);
                let change = bucket.weigh(slot, partition, &writes);
                unused = (unused + change.shrunk).saturating_sub(change.grown);
                let used = if space.is_disposable() { space.commits_at() } else { 0 };
                bucket.apply(slot, partition, writes, used);
            }
            outcome
        });
        let outcomes = outcomes.collect();
        self.room.give_back(space, unused);
        Ok(outcomes)
    }

    fn check_carried(&self, items: &[Carried]) -> Result<()> {
        if items.len() > MUTATIONS_MAX {
            return Err(Error::invalid("at most 4096 items are carried at once"));
        }
        let value_bytes_max = self.description().value_bytes_max;
        for Carried { key, state, .. } in items {
            if key.id().is_some_and(|id| id.as_bytes().len() > ITEM_BYTES_MAX) {
                return Err(Error::invalid("an item name has at most 1024 bytes"));
            }
            if state.body.as_ref().is_some_and(|body| body.value.len() > value_bytes_max) {
                return Err(Error::invalid("a value is larger than the engine takes"));
            }
        }
        Ok(())
    }

    fn forget_now(&self, space: &Space, buckets: &[Bucket]) -> Result<()> {
        let is_away = |bucket: &BucketState| {
            if bucket.control().is_some_and(|control| control.role == Role::Away) {
                Ok(())
            } else {
                Err(Error::conflict("only a bucket that is away is forgotten"))
            }
        };
        let refused = || Error::conflict("only a bucket that is away is forgotten");
        let space = self.spaces.find(space)?.ok_or_else(refused)?;
        for number in buckets {
            is_away(&*space.bucket_made(*number)?)?;
        }
        for number in buckets {
            let mut bucket = space.bucket_made(*number)?;
            is_away(&bucket)?;
            let (partitions, marks, bytes) = bucket.forget();
            self.room.give_back(space, bytes);
            space.publish_stalest(*number, &bucket, self.incarnation);
            drop(bucket);
            drop((partitions, marks));
        }
        Ok(())
    }
}

/// Whether a bucket takes what a mover carries at this epoch.
fn follows(control: Option<&Control>, present: Incarnation, at: Epoch) -> Result<()> {
    let control =
        control.filter(|control| control.incarnation == present).ok_or_else(|| Error::moved(None))?;
    if control.role == Role::Following && control.epoch == at {
        Ok(())
    } else {
        Err(Error::moved(Some(control.epoch)))
    }
}

fn same_owner(controls: &SpaceControls, next: &Control) -> Result<()> {
    if controls.owner.is_none_or(|owner| owner == next.owner) {
        Ok(())
    } else {
        Err(Error::new(Kind::Refused, "the space belongs to another deployment"))
    }
}
