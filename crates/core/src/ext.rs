//! Short forms over the verbs.

use async_trait::async_trait;
use bytes::Bytes;

use crate::address::{Address, Place};
use crate::clock::Deadline;
use crate::commit::{Commit, MutationOutcome, Receipt};
use crate::engine::{Cx, Engine};
use crate::error::{Error, Result};
use crate::item::{Item, Revision};

/// Short forms that every engine has, each one commit or one fetch.
#[async_trait]
pub trait EngineExt: Engine {
    /// Reads one item.
    async fn get(&self, cx: &Cx, address: &Address) -> Result<Option<Item>> {
        Ok(self.fetch(cx, std::slice::from_ref(address)).await?.pop().flatten())
    }

    /// Puts an item whatever is there.
    async fn put(
        &self,
        cx: &Cx,
        address: &Address,
        value: Bytes,
        deadline: Option<Deadline>,
    ) -> Result<Receipt> {
        self.commit(cx, &address.place, &Commit::new().put(address.item.clone(), value, deadline)).await
    }

    /// Puts an item that must be absent; `Conflict` where it is there.
    async fn create(
        &self,
        cx: &Cx,
        address: &Address,
        value: Bytes,
        deadline: Option<Deadline>,
    ) -> Result<Receipt> {
        let item = &address.item;
        let commit = Commit::new().absent(item.clone()).put(item.clone(), value, deadline);
        self.commit(cx, &address.place, &commit).await
    }

    /// Puts an item that must be at a revision; `Conflict` where it is not.
    async fn replace(
        &self,
        cx: &Cx,
        address: &Address,
        revision: Revision,
        value: Bytes,
        deadline: Option<Deadline>,
    ) -> Result<Receipt> {
        let item = &address.item;
        let commit = Commit::new().at(item.clone(), revision).put(item.clone(), value, deadline);
        self.commit(cx, &address.place, &commit).await
    }

    /// Deletes an item; says whether it was there.
    async fn remove(&self, cx: &Cx, address: &Address) -> Result<bool> {
        let receipt = self.commit(cx, &address.place, &Commit::new().delete(address.item.clone())).await?;
        Ok(matches!(receipt.outcomes[..], [MutationOutcome::Deleted { .. }]))
    }

    /// Deletes an item that must be at a revision; `Conflict` where it is not.
    async fn compare_and_delete(&self, cx: &Cx, address: &Address, revision: Revision) -> Result<Receipt> {
        let item = &address.item;
        self.commit(cx, &address.place, &Commit::new().at(item.clone(), revision).delete(item.clone())).await
    }

    /// Adds to a counter; answers the sum.
    async fn increment(
        &self,
        cx: &Cx,
        place: &Place,
        item: crate::ItemId,
        delta: i64,
        deadline_if_new: Option<Deadline>,
    ) -> Result<i64> {
        let receipt = self.commit(cx, place, &Commit::new().add(item, delta, deadline_if_new)).await?;
        match receipt.outcomes[..] {
            [MutationOutcome::Added { value, .. }] => Ok(value),
            _ => Err(Error::internal("an add was answered with another outcome")),
        }
    }
}

impl<T: Engine + ?Sized> EngineExt for T {}
