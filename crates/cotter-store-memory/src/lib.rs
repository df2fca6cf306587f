//! Keeps records in memory until the process ends.
//!
//! [`Memory`] is the reference of the store contract: where another store and this one differ, the
//! other one is wrong. It compares and swaps, grants leases that lapse, and lists its keys, in both
//! worlds at once; it is neither durable nor shared with other processes.
//!
//! ```
//! use cotter_core::{BlockingTokenStore, Expected, Lineage, Revision, SecretBytes, StoreKey, Swap};
//! use cotter_store_memory::Memory;
//!
//! let store = Memory::new();
//! let key = StoreKey::new("https://auth.example", "client", "ada")?;
//! let first = Revision::first(Lineage::from_bytes([7; 16]));
//!
//! let record = SecretBytes::from(b"tokens".as_slice());
//! assert_eq!(store.save(&key, &record, Expected::Absent, first)?, Swap::Done);
//!
//! let loaded = store.load(&key)?.expect("just saved");
//! assert_eq!(loaded.revision, first);
//! assert_eq!(loaded.record?, record);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use core::fmt;
use core::time::Duration;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use async_trait::async_trait;
use cotter_core::{
    BlockingTokenStore, BootTime, Capabilities, Clock, Expected, Holder, Lease, LeaseAnswer,
    LeaseOwner, Loaded, Revision, SecretBytes, StoreError, StoreKey, Swap, Timestamp, TokenStore,
};

/// A store in memory; a clone is another handle to the same records.
///
/// Every call takes one short lock and costs the same however many sessions there are, listing
/// excepted. Replaced and removed records are wiped.
#[derive(Clone)]
pub struct Memory(Arc<Inner>);

struct Inner {
    capabilities: Capabilities,
    clock: LeaseClock,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    records: HashMap<StoreKey, Record>,
    leases: HashMap<StoreKey, Held>,
    owners: u128,
}

struct Record {
    revision: Revision,
    bytes: SecretBytes,
}

struct Held {
    owner: LeaseOwner,
    until: BootTime,
    since: Option<Timestamp>,
}

impl Memory {
    /// An empty store, whose leases end by the process's own clock.
    #[must_use]
    pub fn new() -> Self {
        Self::build(capabilities(), LeaseClock::Process(Instant::now()))
    }

    /// An empty store, whose leases end by `clock`.
    #[must_use]
    pub fn with_clock(clock: Arc<dyn Clock>) -> Self {
        Self::build(capabilities(), LeaseClock::Given(clock))
    }

    /// An empty store that declares itself shared, so that the sessions on its handles look again
    /// as if each were another process.
    ///
    /// For tests: nothing leaves this process.
    #[must_use]
    pub fn shared() -> Self {
        Self::build(capabilities().with_shared(), LeaseClock::Process(Instant::now()))
    }

    /// [`shared`](Self::shared), with leases that end by `clock`.
    #[must_use]
    pub fn shared_with_clock(clock: Arc<dyn Clock>) -> Self {
        Self::build(capabilities().with_shared(), LeaseClock::Given(clock))
    }

    fn build(capabilities: Capabilities, clock: LeaseClock) -> Self {
        Self(Arc::new(Inner { capabilities, clock, state: Mutex::default() }))
    }

    /// No change here is left half done by a panic, so a poisoned lock is as good as any.
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Memory {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memory").field("capabilities", &self.0.capabilities).finish_non_exhaustive()
    }
}

impl BlockingTokenStore for Memory {
    fn capabilities(&self) -> Capabilities {
        self.0.capabilities
    }

    fn load(&self, key: &StoreKey) -> Result<Option<Loaded>, StoreError> {
        Ok(self.state().records.get(key).map(|record| Loaded {
            revision: record.revision,
            record: Ok(record.bytes.duplicate()),
        }))
    }

    fn save(
        &self,
        key: &StoreKey,
        record: &SecretBytes,
        expected: Expected,
        new: Revision,
    ) -> Result<Swap, StoreError> {
        // Copied before the lock is taken, as what is replaced is wiped after it is given back.
        let mut record = Record { revision: new, bytes: record.duplicate() };
        let mut state = self.state();
        let swap = match (state.records.get_mut(key), expected) {
            (None, Expected::Absent) => {
                state.records.insert(key.clone(), record);
                return Ok(Swap::Done);
            }
            (Some(there), Expected::Revision(revision)) if there.revision == revision => {
                core::mem::swap(there, &mut record);
                Swap::Done
            }
            (there, _) => Swap::Conflict { found: there.map(|there| there.revision) },
        };
        drop(state);
        Ok(swap)
    }

    fn remove(&self, key: &StoreKey, expected: Revision) -> Result<Swap, StoreError> {
        let now = self.0.clock.boot();
        let mut state = self.state();
        let found = state.records.get(key).map(|record| record.revision);
        if found != Some(expected) {
            return Ok(Swap::Conflict { found });
        }
        let removed = state.records.remove(key);
        if state.leases.get(key).is_some_and(|held| held.until <= now) {
            state.leases.remove(key);
        }
        drop(state);
        drop(removed);
        Ok(Swap::Done)
    }

    fn try_lease(&self, key: &StoreKey, ttl: Duration) -> Result<LeaseAnswer, StoreError> {
        let now = self.0.clock.boot();
        let since = self.0.clock.wall();
        let mut state = self.state();
        let lapsed = match state.leases.get(key) {
            Some(held) if now < held.until => {
                let holder = Holder::process(std::process::id(), held.since);
                return Ok(LeaseAnswer::Held(holder));
            }
            there => there.is_some(),
        };
        state.owners += 1;
        let owner = LeaseOwner::from_bytes(state.owners.to_be_bytes());
        let held = Held { owner, until: now.saturating_add(ttl), since };
        state.leases.insert(key.clone(), held);
        Ok(LeaseAnswer::Granted(Lease {
            owner,
            ends_in: Some(ttl),
            lapsed,
            waited: Duration::ZERO,
        }))
    }

    fn release(&self, key: &StoreKey, owner: LeaseOwner) -> Result<(), StoreError> {
        let mut state = self.state();
        if state.leases.get(key).is_some_and(|held| held.owner == owner) {
            state.leases.remove(key);
        }
        Ok(())
    }

    fn list(&self) -> Result<Vec<StoreKey>, StoreError> {
        Ok(self.state().records.keys().cloned().collect())
    }
}

#[async_trait]
impl TokenStore for Memory {
    fn capabilities(&self) -> Capabilities {
        BlockingTokenStore::capabilities(self)
    }

    async fn load(&self, key: &StoreKey) -> Result<Option<Loaded>, StoreError> {
        BlockingTokenStore::load(self, key)
    }

    async fn save(
        &self,
        key: &StoreKey,
        record: &SecretBytes,
        expected: Expected,
        new: Revision,
    ) -> Result<Swap, StoreError> {
        BlockingTokenStore::save(self, key, record, expected, new)
    }

    async fn remove(&self, key: &StoreKey, expected: Revision) -> Result<Swap, StoreError> {
        BlockingTokenStore::remove(self, key, expected)
    }

    async fn try_lease(&self, key: &StoreKey, ttl: Duration) -> Result<LeaseAnswer, StoreError> {
        BlockingTokenStore::try_lease(self, key, ttl)
    }

    async fn release(&self, key: &StoreKey, owner: LeaseOwner) -> Result<(), StoreError> {
        BlockingTokenStore::release(self, key, owner)
    }

    async fn list(&self) -> Result<Vec<StoreKey>, StoreError> {
        BlockingTokenStore::list(self)
    }
}

const fn capabilities() -> Capabilities {
    Capabilities::new().with_lease().with_compare_and_set().with_listing()
}

/// By what leases end.
enum LeaseClock {
    /// Since the store was made; no other process ever sees these leases.
    Process(Instant),
    Given(Arc<dyn Clock>),
}

impl LeaseClock {
    fn boot(&self) -> BootTime {
        match self {
            Self::Process(start) => BootTime::PAST.saturating_add(start.elapsed()),
            Self::Given(clock) => clock.boot(),
        }
    }

    /// For the holder's description only, so the system's clock is not asked for it.
    fn wall(&self) -> Option<Timestamp> {
        match self {
            Self::Process(_) => None,
            Self::Given(clock) => Some(clock.now().wall),
        }
    }
}
