//! The open stores of one kind, by namespace.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::RwLock;
use statehold_core::{Namespace, Result};
use tokio::sync::OnceCell;

type Cell<T> = Arc<OnceCell<Arc<T>>>;

/// One store per namespace, opened by the first who asks; others who ask meanwhile wait for that one.
#[derive(Debug)]
pub(super) struct Shelf<T>(RwLock<HashMap<Namespace, Cell<T>>>);

impl<T> Default for Shelf<T> {
    fn default() -> Self {
        Self(RwLock::default())
    }
}

impl<T> Shelf<T> {
    /// The store of a namespace, if it is open.
    pub(super) fn get(&self, namespace: &Namespace) -> Option<Arc<T>> {
        self.0.read().get(namespace)?.get().map(Arc::clone)
    }

    /// The store of a namespace, opened where it is not. A failure is not kept: the next caller tries again.
    pub(super) async fn open(
        &self,
        namespace: &Namespace,
        open: impl Future<Output = Result<T>> + Send,
    ) -> Result<Arc<T>> {
        let cell = Arc::clone(self.0.write().entry(namespace.clone()).or_default());
        cell.get_or_try_init(|| async { open.await.map(Arc::new) }).await.map(Arc::clone)
    }

    /// Every open store.
    pub(super) fn each(&self) -> Vec<Arc<T>> {
        self.0.read().values().filter_map(|cell| cell.get().map(Arc::clone)).collect()
    }

    /// Lets a namespace's store go.
    pub(super) fn forget(&self, namespace: &Namespace) {
        self.0.write().remove(namespace);
    }
}
