//! A store that fails when the test wants it to.

use core::fmt;
use core::time::Duration;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

#[cfg(feature = "async")]
use async_trait::async_trait;
#[cfg(feature = "async")]
use cotter_core::TokenStore;
use cotter_core::{
    BlockingTokenStore, Capabilities, Expected, LeaseAnswer, LeaseOwner, Loaded, Revision,
    SecretBytes, StoreError, StoreErrorKind, StoreKey, Swap,
};

use crate::gate::Gate;

/// What can be asked of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Op {
    /// `list`.
    List,
    /// `load`.
    Load,
    /// `release`.
    Release,
    /// `remove`.
    Remove,
    /// `save`.
    Save,
    /// `try_lease`.
    TryLease,
}

/// What goes wrong with one call.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Fault {
    /// The call is late by this much.
    Delay(Duration),
    /// The call happens, and is answered with a time-out.
    DoneButTimeout,
    /// The call does not happen; with [`StoreErrorKind::Timeout`], nobody can tell.
    Fail(StoreErrorKind),
    /// The call happens when the gate opens, and not before.
    HangBefore(Gate),
    /// The call happens, and is answered when the gate opens.
    HangAfter(Gate),
}

/// One call, as it came in.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Call {
    /// What was asked.
    pub op: Op,
    /// Of which record; `None` for a listing.
    pub key: Option<StoreKey>,
    /// For a save the new revision, for a removal the expected one.
    pub revision: Option<Revision>,
}

/// A store around another, in the worlds of that other: it counts and records the calls, and fails
/// as scripted. A clone is another handle to the same script.
///
/// ```
/// use cotter_core::{BlockingTokenStore, StoreErrorKind, StoreKey};
/// use cotter_testkit::{Fault, FaultStore, Op};
/// # fn demo(store: impl BlockingTokenStore) -> Result<(), cotter_core::Error> {
///
/// let store = FaultStore::new(store);
/// store.on(Op::Load, 2, Fault::Fail(StoreErrorKind::Locked));
///
/// let key = StoreKey::new("https://auth.example", "client", "ada")?;
/// assert!(store.load(&key).is_ok());
/// assert_eq!(store.load(&key).unwrap_err().kind(), StoreErrorKind::Locked);
/// assert!(store.load(&key).is_ok());
/// assert_eq!(store.count(Op::Load), 3);
/// # Ok(())
/// # }
/// ```
pub struct FaultStore<S> {
    store: Arc<S>,
    script: Arc<Mutex<Script>>,
}

#[derive(Default)]
struct Script {
    calls: Vec<Call>,
    counts: HashMap<Op, usize>,
    at: HashMap<(Op, usize), Fault>,
    next: HashMap<Op, VecDeque<Fault>>,
    always: HashMap<Op, Fault>,
}

impl<S> FaultStore<S> {
    /// `store`, with nothing wrong yet.
    pub fn new(store: S) -> Self {
        Self { store: Arc::new(store), script: Arc::default() }
    }

    /// The store beneath, which does not fail.
    #[must_use]
    pub fn inner(&self) -> &S {
        &self.store
    }

    /// Plans `fault` for the `nth` call of `op`, counted from 1 since the beginning.
    pub fn on(&self, op: Op, nth: usize, fault: Fault) {
        self.script().at.insert((op, nth), fault);
    }

    /// Plans `fault` for the next call of `op` for which none is planned yet.
    pub fn on_next(&self, op: Op, fault: Fault) {
        self.script().next.entry(op).or_default().push_back(fault);
    }

    /// Plans `fault` for every call of `op` that has no fault of its own.
    pub fn always(&self, op: Op, fault: Fault) {
        self.script().always.insert(op, fault);
    }

    /// Drops every plan; what was recorded stays.
    pub fn heal(&self) {
        let mut script = self.script();
        script.at.clear();
        script.next.clear();
        script.always.clear();
    }

    /// How often `op` was called.
    #[must_use]
    pub fn count(&self, op: Op) -> usize {
        self.script().counts.get(&op).copied().unwrap_or(0)
    }

    /// All calls, in order.
    #[must_use]
    pub fn calls(&self) -> Vec<Call> {
        self.script().calls.clone()
    }

    /// The kinds of all calls, in order.
    #[must_use]
    pub fn ops(&self) -> Vec<Op> {
        self.script().calls.iter().map(|call| call.op).collect()
    }

    fn script(&self) -> MutexGuard<'_, Script> {
        self.script.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn record(&self, op: Op, key: Option<&StoreKey>, revision: Option<Revision>) -> Option<Fault> {
        let mut script = self.script();
        script.calls.push(Call { op, key: key.cloned(), revision });
        let count = script.counts.entry(op).or_default();
        *count += 1;
        let nth = *count;
        script
            .at
            .remove(&(op, nth))
            .or_else(|| script.next.get_mut(&op).and_then(VecDeque::pop_front))
            .or_else(|| script.always.get(&op).cloned())
    }
}

impl<S> Clone for FaultStore<S> {
    fn clone(&self) -> Self {
        Self { store: Arc::clone(&self.store), script: Arc::clone(&self.script) }
    }
}

impl<S: fmt::Debug> fmt::Debug for FaultStore<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("FaultStore").field(&self.store).finish()
    }
}

fn timeout() -> StoreError {
    StoreError::new(StoreErrorKind::Timeout, "the store did not answer in time, as planned")
}

fn failed(kind: StoreErrorKind) -> StoreError {
    StoreError::new(kind, "the store failed, as planned")
}

impl<S> FaultStore<S> {
    fn run<T>(
        fault: Option<Fault>,
        call: impl FnOnce() -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        match fault {
            None => call(),
            Some(Fault::Delay(span)) => {
                std::thread::sleep(span);
                call()
            }
            Some(Fault::DoneButTimeout) => call().and_then(|_| Err(timeout())),
            Some(Fault::Fail(kind)) => Err(failed(kind)),
            Some(Fault::HangBefore(gate)) => {
                gate.pass();
                call()
            }
            Some(Fault::HangAfter(gate)) => {
                let answer = call();
                gate.pass();
                answer
            }
        }
    }

    #[cfg(feature = "async")]
    async fn run_async<T>(
        fault: Option<Fault>,
        call: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        match fault {
            None => call.await,
            Some(Fault::Delay(span)) => {
                tokio::time::sleep(span).await;
                call.await
            }
            Some(Fault::DoneButTimeout) => call.await.and_then(|_| Err(timeout())),
            Some(Fault::Fail(kind)) => Err(failed(kind)),
            Some(Fault::HangBefore(gate)) => {
                gate.pass_async().await;
                call.await
            }
            Some(Fault::HangAfter(gate)) => {
                let answer = call.await;
                gate.pass_async().await;
                answer
            }
        }
    }
}

impl<S: BlockingTokenStore> BlockingTokenStore for FaultStore<S> {
    fn capabilities(&self) -> Capabilities {
        self.store.capabilities()
    }

    fn load(&self, key: &StoreKey) -> Result<Option<Loaded>, StoreError> {
        Self::run(self.record(Op::Load, Some(key), None), || self.store.load(key))
    }

    fn save(
        &self,
        key: &StoreKey,
        record: &SecretBytes,
        expected: Expected,
        new: Revision,
    ) -> Result<Swap, StoreError> {
        let fault = self.record(Op::Save, Some(key), Some(new));
        Self::run(fault, || self.store.save(key, record, expected, new))
    }

    fn remove(&self, key: &StoreKey, expected: Revision) -> Result<Swap, StoreError> {
        let fault = self.record(Op::Remove, Some(key), Some(expected));
        Self::run(fault, || self.store.remove(key, expected))
    }

    fn try_lease(&self, key: &StoreKey, ttl: Duration) -> Result<LeaseAnswer, StoreError> {
        let fault = self.record(Op::TryLease, Some(key), None);
        Self::run(fault, || self.store.try_lease(key, ttl))
    }

    fn release(&self, key: &StoreKey, owner: LeaseOwner) -> Result<(), StoreError> {
        let fault = self.record(Op::Release, Some(key), None);
        Self::run(fault, || self.store.release(key, owner))
    }

    fn list(&self) -> Result<Vec<StoreKey>, StoreError> {
        Self::run(self.record(Op::List, None, None), || self.store.list())
    }
}

#[cfg(feature = "async")]
#[async_trait]
impl<S: TokenStore> TokenStore for FaultStore<S> {
    fn capabilities(&self) -> Capabilities {
        self.store.capabilities()
    }

    async fn load(&self, key: &StoreKey) -> Result<Option<Loaded>, StoreError> {
        Self::run_async(self.record(Op::Load, Some(key), None), self.store.load(key)).await
    }

    async fn save(
        &self,
        key: &StoreKey,
        record: &SecretBytes,
        expected: Expected,
        new: Revision,
    ) -> Result<Swap, StoreError> {
        let fault = self.record(Op::Save, Some(key), Some(new));
        Self::run_async(fault, self.store.save(key, record, expected, new)).await
    }

    async fn remove(&self, key: &StoreKey, expected: Revision) -> Result<Swap, StoreError> {
        let fault = self.record(Op::Remove, Some(key), Some(expected));
        Self::run_async(fault, self.store.remove(key, expected)).await
    }

    async fn try_lease(&self, key: &StoreKey, ttl: Duration) -> Result<LeaseAnswer, StoreError> {
        let fault = self.record(Op::TryLease, Some(key), None);
        Self::run_async(fault, self.store.try_lease(key, ttl)).await
    }

    async fn release(&self, key: &StoreKey, owner: LeaseOwner) -> Result<(), StoreError> {
        let fault = self.record(Op::Release, Some(key), None);
        Self::run_async(fault, self.store.release(key, owner)).await
    }

    async fn list(&self) -> Result<Vec<StoreKey>, StoreError> {
        Self::run_async(self.record(Op::List, None, None), self.store.list()).await
    }
}
