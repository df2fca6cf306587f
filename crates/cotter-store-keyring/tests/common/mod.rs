//! A keyring that limits, hangs, locks and crashes when the test wants it to.
#![allow(unreachable_pub, dead_code, reason = "each test file takes what it needs")]

use core::time::Duration;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex};

use cotter_core::{Entropy, Lineage, Revision, SecretBytes, StoreError, StoreErrorKind, StoreKey};
use cotter_store_keyring::{Backend, KeyringStore};
use cotter_testkit::{Kept, SeededEntropy};
use tempfile::TempDir;

/// A clone is another process at the same keyring.
#[derive(Clone, Debug, Default)]
pub struct Fake(Arc<(Mutex<State>, Condvar)>);

#[derive(Debug, Default)]
pub struct State {
    pub entries: BTreeMap<String, Vec<u8>>,
    pub max: Option<usize>,
    /// Every call fails so.
    pub fails: Option<StoreErrorKind>,
    /// How many more changes happen before the process "dies": all later calls fail.
    pub changes_left: Option<usize>,
    /// Every read takes so long, and what it gives is from its beginning.
    pub slow: Duration,
    /// Changes wait, then happen.
    pub held: bool,
    pub waiting: usize,
    /// Names of entries that were written or removed, in order.
    pub log: Vec<String>,
}

impl Fake {
    pub fn limited(max: usize) -> Self {
        let fake = Self::default();
        fake.state().max = Some(max);
        fake
    }

    pub fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.0.lock().unwrap()
    }

    /// From now on, changes wait for [`let_go`](Self::let_go), then happen.
    pub fn hold(&self) {
        self.state().held = true;
    }

    pub fn let_go(&self) {
        self.state().held = false;
        self.0.1.notify_all();
    }

    pub fn wait_for_a_held_change(&self) {
        let mut state = self.state();
        while state.waiting == 0 {
            state = self.0.1.wait(state).unwrap();
        }
    }

    pub fn names(&self, start: &str) -> Vec<String> {
        self.state().entries.keys().filter(|name| name.starts_with(start)).cloned().collect()
    }

    fn change(&self, name: &str, secret: Option<&[u8]>) -> Result<(), StoreError> {
        let mut state = self.state();
        state.check()?;
        state.waiting += 1;
        self.0.1.notify_all();
        while state.held {
            state = self.0.1.wait(state).unwrap();
        }
        state.waiting -= 1;
        match state.changes_left.as_mut() {
            Some(0) => return Err(StoreError::new(StoreErrorKind::Other, "dead")),
            Some(left) => *left -= 1,
            None => {}
        }
        state.log.push(name.to_owned());
        match secret {
            Some(secret) => {
                if state.max.is_some_and(|max| secret.len() > max) {
                    return Err(StoreError::new(StoreErrorKind::TooLarge, "over the limit"));
                }
                state.entries.insert(name.to_owned(), secret.to_vec());
            }
            None => {
                state.entries.remove(name);
            }
        }
        Ok(())
    }
}

impl State {
    fn check(&self) -> Result<(), StoreError> {
        if self.changes_left == Some(0) {
            return Err(StoreError::new(StoreErrorKind::Other, "dead"));
        }
        match self.fails {
            Some(kind) => Err(StoreError::new(kind, "as the test asked")),
            None => Ok(()),
        }
    }
}

impl Backend for Fake {
    fn max_secret(&self) -> Option<usize> {
        self.state().max
    }

    fn get(&mut self, name: &str) -> Result<Option<SecretBytes>, StoreError> {
        let state = self.state();
        state.check()?;
        let found = state.entries.get(name).map(|secret| SecretBytes::from(secret.as_slice()));
        let slow = state.slow;
        drop(state);
        std::thread::sleep(slow);
        Ok(found)
    }

    fn set(&mut self, name: &str, secret: &SecretBytes) -> Result<(), StoreError> {
        self.change(name, Some(secret.expose()))
    }

    fn delete(&mut self, name: &str) -> Result<(), StoreError> {
        self.change(name, None)
    }
}

pub const PATIENCE: Duration = Duration::from_secs(30);

pub fn entropy() -> Arc<dyn Entropy> {
    use core::sync::atomic::{AtomicU64, Ordering};
    static SEED: AtomicU64 = AtomicU64::new(1);
    Arc::new(SeededEntropy::new(SEED.fetch_add(1, Ordering::Relaxed)))
}

pub fn store_at(fake: &Fake, locks: &Path, deadline: Duration) -> KeyringStore {
    KeyringStore::with_backend(fake.clone(), locks, entropy(), deadline).unwrap()
}

pub fn store(fake: &Fake) -> Kept<KeyringStore, TempDir> {
    let folder = tempfile::tempdir().unwrap();
    Kept::new(store_at(fake, folder.path(), PATIENCE), folder)
}

pub fn key(session: &str) -> StoreKey {
    StoreKey::new("https://auth.example", "client", session).unwrap()
}

pub fn first(lineage: u8) -> Revision {
    Revision::first(Lineage::from_bytes([lineage; 16]))
}

pub fn record(length: usize, fill: u8) -> SecretBytes {
    SecretBytes::from(vec![fill; length])
}
