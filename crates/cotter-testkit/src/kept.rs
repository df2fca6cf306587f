//! A store together with what must live as long.

#[cfg(feature = "async")]
use async_trait::async_trait;
use core::fmt;
use core::time::Duration;

#[cfg(feature = "async")]
use cotter_core::TokenStore;
use cotter_core::{
    BlockingTokenStore, Capabilities, Expected, LeaseAnswer, LeaseOwner, Loaded, Revision,
    SecretBytes, StoreError, StoreKey, Swap,
};

/// A store that keeps something else alive: the temporary folder it lives in, say.
///
/// ```ignore
/// cotter_testkit::store_contract!(blocking file, || {
///     let folder = tempfile::tempdir().unwrap();
///     Kept::new(File::open(folder.path()).unwrap(), folder)
/// });
/// ```
pub struct Kept<S, G> {
    // Dropped first: a store may still write when it goes.
    store: S,
    guard: G,
}

impl<S, G> Kept<S, G> {
    /// `store`, which keeps `guard` alive.
    pub const fn new(store: S, guard: G) -> Self {
        Self { store, guard }
    }

    /// What is kept alive.
    pub const fn guard(&self) -> &G {
        &self.guard
    }

    /// The store itself.
    pub const fn store(&self) -> &S {
        &self.store
    }
}

impl<S: fmt::Debug, G> fmt::Debug for Kept<S, G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.store.fmt(f)
    }
}

impl<S: BlockingTokenStore, G: Send + Sync> BlockingTokenStore for Kept<S, G> {
    fn capabilities(&self) -> Capabilities {
        self.store.capabilities()
    }

    fn load(&self, key: &StoreKey) -> Result<Option<Loaded>, StoreError> {
        self.store.load(key)
    }

    fn save(
        &self,
        key: &StoreKey,
        record: &SecretBytes,
        expected: Expected,
        new: Revision,
    ) -> Result<Swap, StoreError> {
        self.store.save(key, record, expected, new)
    }

    fn remove(&self, key: &StoreKey, expected: Revision) -> Result<Swap, StoreError> {
        self.store.remove(key, expected)
    }

    fn try_lease(&self, key: &StoreKey, ttl: Duration) -> Result<LeaseAnswer, StoreError> {
        self.store.try_lease(key, ttl)
    }

    fn release(&self, key: &StoreKey, owner: LeaseOwner) -> Result<(), StoreError> {
        self.store.release(key, owner)
    }

    fn list(&self) -> Result<Vec<StoreKey>, StoreError> {
        self.store.list()
    }
}

#[cfg(feature = "async")]
#[async_trait]
impl<S: TokenStore, G: Send + Sync> TokenStore for Kept<S, G> {
    fn capabilities(&self) -> Capabilities {
        self.store.capabilities()
    }

    async fn load(&self, key: &StoreKey) -> Result<Option<Loaded>, StoreError> {
        self.store.load(key).await
    }

    async fn save(
        &self,
        key: &StoreKey,
        record: &SecretBytes,
        expected: Expected,
        new: Revision,
    ) -> Result<Swap, StoreError> {
        self.store.save(key, record, expected, new).await
    }

    async fn remove(&self, key: &StoreKey, expected: Revision) -> Result<Swap, StoreError> {
        self.store.remove(key, expected).await
    }

    async fn try_lease(&self, key: &StoreKey, ttl: Duration) -> Result<LeaseAnswer, StoreError> {
        self.store.try_lease(key, ttl).await
    }

    async fn release(&self, key: &StoreKey, owner: LeaseOwner) -> Result<(), StoreError> {
        self.store.release(key, owner).await
    }

    async fn list(&self) -> Result<Vec<StoreKey>, StoreError> {
        self.store.list().await
    }
}
