//! Brings a store whose calls block into async code: one thread and one queue per store, so that no
//! later write overtakes a stuck one (rule 21).

use core::time::Duration;
use std::sync::Arc;
use std::sync::mpsc;

use async_trait::async_trait;
use cotter_core::flow::choose::{NoStore, Report};
use cotter_core::{
    BlockingTokenStore, Capabilities, Expected, LeaseAnswer, LeaseOwner, Loaded, Revision,
    SecretBytes, StoreError, StoreErrorKind, StoreKey, Swap, TokenStore,
};
use tokio::sync::oneshot;

use crate::choose::{Candidate, choose};

type Job = Box<dyn FnOnce() + Send>;

/// A blocking store behind a thread of its own, for async sessions.
///
/// A caller that goes away does not stop a call that has begun. The thread ends with the last
/// handle.
///
/// ```
/// use cotter_core::Provider;
/// use cotter_session::{Offload, Session};
/// use cotter_store_memory::Memory; // or a file store, a sled store, a keyring
/// # use cotter_testkit::ScriptedTransport;
/// # let transport = ScriptedTransport::new();
///
/// let session = Session::builder(Provider::oauth2("https://auth.example/token", "my-app")?)
///     .store(Offload::new(Memory::new()))
///     .transport(transport)
///     .build()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Offload<S> {
    store: Arc<S>,
    queue: mpsc::Sender<Job>,
}

impl<S> Clone for Offload<S> {
    fn clone(&self) -> Self {
        Self { store: Arc::clone(&self.store), queue: self.queue.clone() }
    }
}

impl<S: BlockingTokenStore + 'static> Offload<S> {
    /// Puts `store` behind a thread.
    #[must_use]
    pub fn new(store: S) -> Self {
        let (queue, jobs) = mpsc::channel::<Job>();
        let thread = std::thread::Builder::new().name(String::from("cotter-store"));
        // Where no thread can be had, calls answer that the store is gone.
        let _ = thread.spawn(move || {
            while let Ok(job) = jobs.recv() {
                // A store that panics answers its one caller so, and serves the next.
                let _ = std::panic::catch_unwind(core::panic::AssertUnwindSafe(job));
            }
        });
        Self { store: Arc::new(store), queue }
    }

    async fn call<T: Send + 'static>(
        &self,
        work: impl FnOnce(&S) -> Result<T, StoreError> + Send + 'static,
        unwanted: impl FnOnce(&S, T) + Send + 'static,
    ) -> Result<T, StoreError> {
        let (store, later) = (Arc::clone(&self.store), Arc::clone(&self.store));
        let (answer, answered) = oneshot::channel();
        let queue = self.queue.clone();
        let unread = move |unread| {
            // On the store's thread: whoever drops an answer may not be held up.
            let _ = queue.send(Box::new(move || unwanted(&later, unread)) as Job);
        };
        let job = move || {
            let said = Some(work(&store));
            // Dropped on either side of the channel, it comes back.
            let _ = answer.send(Answer { said, unread: Some(unread) });
        };
        let gone = || StoreError::new(StoreErrorKind::Other, "the store's thread is gone");
        self.queue.send(Box::new(job)).map_err(|_| gone())?;
        let answer = answered.await;
        answer
            .ok()
            .and_then(|mut answer| answer.said.take())
            .unwrap_or_else(|| Err(StoreError::new(StoreErrorKind::Other, "the store panicked")))
    }
}

/// What a store answered, on its way to whoever asked.
struct Answer<T, F: FnOnce(T)> {
    said: Option<Result<T, StoreError>>,
    unread: Option<F>,
}

impl<T, F: FnOnce(T)> Drop for Answer<T, F> {
    fn drop(&mut self) {
        if let (Some(Ok(said)), Some(unread)) = (self.said.take(), self.unread.take()) {
            unread(said);
        }
    }
}

impl<S: BlockingTokenStore + ?Sized + 'static> Offload<Arc<S>> {
    /// Uses the first of these stores that keeps things, as [`choose`](crate::choose()) does, without
    /// holding up the executor.
    ///
    /// # Errors
    /// [`NoStore`] with the report, if none will do.
    pub async fn choose(candidates: Vec<Candidate<S>>) -> Result<(Self, Report), NoStore> {
        let (tell, told) = oneshot::channel();
        let thread = std::thread::Builder::new().name(String::from("cotter-choose"));
        // Where no thread can be had, nobody tells.
        let _ = thread.spawn(move || tell.send(choose(candidates)));
        let chosen = told.await.unwrap_or_else(|_| Err(NoStore(Report::default())))?;
        Ok((Self::new(chosen.store), chosen.report))
    }
}

#[async_trait]
impl<S: BlockingTokenStore + 'static> TokenStore for Offload<S> {
    fn capabilities(&self) -> Capabilities {
        self.store.capabilities()
    }

    async fn load(&self, key: &StoreKey) -> Result<Option<Loaded>, StoreError> {
        let key = key.clone();
        self.call(move |store| store.load(&key), |_, _| ()).await
    }

    async fn save(
        &self,
        key: &StoreKey,
        record: &SecretBytes,
        expected: Expected,
        new: Revision,
    ) -> Result<Swap, StoreError> {
        let (key, record) = (key.clone(), record.duplicate());
        self.call(move |store| store.save(&key, &record, expected, new), |_, _| ()).await
    }

    async fn remove(&self, key: &StoreKey, expected: Revision) -> Result<Swap, StoreError> {
        let key = key.clone();
        self.call(move |store| store.remove(&key, expected), |_, _| ()).await
    }

    async fn try_lease(&self, key: &StoreKey, ttl: Duration) -> Result<LeaseAnswer, StoreError> {
        let (asked, unread) = (key.clone(), key.clone());
        self.call(
            move |store| store.try_lease(&asked, ttl),
            move |store, answer| {
                // Granted to somebody who no longer waits for it.
                if let LeaseAnswer::Granted(lease) = answer {
                    let _ = store.release(&unread, lease.owner);
                }
            },
        )
        .await
    }

    async fn release(&self, key: &StoreKey, owner: LeaseOwner) -> Result<(), StoreError> {
        let key = key.clone();
        self.call(move |store| store.release(&key, owner), |_, ()| ()).await
    }

    async fn list(&self) -> Result<Vec<StoreKey>, StoreError> {
        self.call(BlockingTokenStore::list, |_, _| ()).await
    }
}
