//! What a move needs, each call first past its habit.

use async_trait::async_trait;
use statehold_core::{
    Bucket, Carried, CarryOutcome, Control, Cx, Epoch, Error, Incarnation, Mark, MarkKind, Marked, Movable,
    PassId, Result, Role, Space, control_rule,
};

use super::Plain;

#[async_trait]
impl Movable for Plain {
    async fn incarnation(&self, _: &Cx, _: &Space, buckets: &[Bucket]) -> Result<Vec<Incarnation>> {
        let incarnation = self.world().incarnation;
        Ok(vec![incarnation; buckets.len()])
    }

    async fn control(&self, _: &Cx, space: &Space, buckets: &[Bucket]) -> Result<Vec<Option<Control>>> {
        let mut world = self.world();
        Ok(buckets.iter().map(|&bucket| world.control(space, bucket)).collect())
    }

    async fn establish(&self, _: &Cx, space: &Space, control: &Control) -> Result<()> {
        self.habits.establish(self, space, control)
    }

    async fn set_control(
        &self,
        _: &Cx,
        space: &Space,
        bucket: Bucket,
        expect: Option<&Control>,
        next: &Control,
    ) -> Result<()> {
        self.habits.set_control(self, space, bucket, expect, next)
    }

    async fn marks(
        &self,
        _: &Cx,
        space: &Space,
        bucket: Bucket,
        kind: MarkKind,
        limit: usize,
    ) -> Result<Vec<Marked>> {
        let mut world = self.world();
        let kept = world.bucket(space, bucket);
        let of_kind = kept.marks.iter().filter(|(_, (_, is))| *is == kind).take(limit);
        let marked = of_kind.map(|((partition, key), &(revision, kind))| Marked {
            mark: Mark { partition: partition.clone(), key: key.clone(), revision, kind },
            state: kept.items.get(&(partition.clone(), key.clone())).cloned(),
        });
        Ok(marked.collect())
    }

    async fn clear(&self, _: &Cx, space: &Space, bucket: Bucket, done: &[Mark]) -> Result<u64> {
        let mut world = self.world();
        let kept = world.bucket(space, bucket);
        let mut cleared = 0;
        for mark in done {
            let key = (mark.partition.clone(), mark.key.clone());
            let Some(&present) = kept.marks.get(&key) else { continue };
            if !self.habits.may_clear(present, mark) {
                continue;
            }
            match present.1 {
                MarkKind::Dirty => drop(kept.marks.insert(key, (present.0, MarkKind::Unchecked))),
                MarkKind::Unchecked => drop(kept.marks.remove(&key)),
            }
            cleared += 1;
        }
        Ok(cleared)
    }

    async fn carry(
        &self,
        _: &Cx,
        space: &Space,
        bucket: Bucket,
        at: Epoch,
        _: PassId,
        items: &[Carried],
    ) -> Result<Vec<CarryOutcome>> {
        let mut world = self.world();
        let (control, present) = (world.control(space, bucket), world.incarnation);
        self.habits.may_carry(control.as_ref(), present, at)?;
        let kept = world.bucket(space, bucket);
        let mut outcomes = Vec::with_capacity(items.len());
        for item in items {
            let key = (item.partition.clone(), item.key.clone());
            let outcome = self.habits.carry_rule(kept.items.get(&key), &item.state);
            if outcome == CarryOutcome::Accepted {
                kept.floor = kept.floor.max(item.state.revision);
                match self.habits.carried(&item.state) {
                    Some(state) => drop(kept.items.insert(key, state)),
                    None => drop(kept.items.remove(&key)),
                }
            }
            outcomes.push(outcome);
        }
        Ok(outcomes)
    }

    async fn forget(&self, _: &Cx, space: &Space, buckets: &[Bucket]) -> Result<()> {
        let mut world = self.world();
        for &bucket in buckets {
            let role = world.control(space, bucket).map(|control| control.role);
            if !self.habits.may_forget(role) {
                return Err(Error::conflict("a bucket that is not away cannot be forgotten"));
            }
        }
        for &bucket in buckets {
            let kept = world.bucket(space, bucket);
            kept.items.clear();
            kept.marks.clear();
        }
        Ok(())
    }
}

impl Plain {
    /// Installs a space's control.
    pub(crate) fn establish_soundly(&self, space: &Space, control: &Control) -> Result<()> {
        let mut world = self.world();
        let present = world.incarnation;
        control_rule(None, control, present)?;
        let kept = world.space(space);
        if kept.control == Some(*control) {
            return Ok(());
        }
        let standing = kept.buckets.values().filter_map(|bucket| bucket.control);
        for standing in standing.chain(kept.control) {
            control_rule(Some(&standing), control, present)?;
        }
        kept.control = Some(*control);
        for bucket in kept.buckets.values_mut() {
            bucket.control = bucket.control.filter(|own| own.incarnation == present);
        }
        Ok(())
    }

    /// Replaces a bucket's control by compare-and-set.
    pub(crate) fn set_control_soundly(
        &self,
        space: &Space,
        bucket: Bucket,
        expect: Option<&Control>,
        next: &Control,
    ) -> Result<()> {
        let mut world = self.world();
        let present = world.control(space, bucket);
        let floorless = |control: &Control| Control { floor: next.floor, ..*control };
        if present.as_ref().map(floorless) != expect.map(floorless) {
            return Err(Error::conflict("the bucket has another control"));
        }
        control_rule(present.as_ref(), next, world.incarnation)?;
        world.bucket(space, bucket).control = Some(*next);
        Ok(())
    }

    /// Whether a carry may be taken: the bucket follows at this epoch, in this history.
    pub(crate) fn may_carry_soundly(
        control: Option<&Control>,
        present: Incarnation,
        at: Epoch,
    ) -> Result<()> {
        match control {
            Some(control) if control.incarnation != present => Err(Error::moved(None)),
            Some(control) if control.role == Role::Following && control.epoch == at => Ok(()),
            other => Err(Error::moved(other.map(|control| control.epoch))),
        }
    }
}
