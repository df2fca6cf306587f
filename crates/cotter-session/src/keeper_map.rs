//! The sessions in memory: bounded, and found without looking at the others.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError};

use cotter_core::{BootTime, Error, Fingerprint, StoreKey};

use crate::entry::{Entry, Flight};
use crate::sync::{Mutex, MutexGuard};

/// The entries of one keeper.
#[derive(Debug)]
pub(crate) struct Map<F> {
    inner: Mutex<Inner<F>>,
    most: usize,
}

#[derive(Debug)]
struct Inner<F> {
    entries: HashMap<Arc<str>, Arc<Entry<F>>>,
    /// The names in the order in which the hand passes over them.
    ring: Vec<Arc<str>>,
    hand: usize,
    /// Whether the keeper is shutting down: what is made from now on refuses flights.
    closing: bool,
    /// Which session holds which refresh token (rule 12).
    holders: HashMap<Fingerprint, Arc<str>>,
}

impl<F: Flight> Map<F> {
    pub(crate) fn new(most: usize) -> Self {
        Self {
            inner: Mutex::new(Inner {
                entries: HashMap::new(),
                ring: Vec::new(),
                hand: 0,
                closing: false,
                holders: HashMap::new(),
            }),
            most: most.max(1),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner<F>> {
        // Nothing here panics half-way; a poisoned lock holds a whole value.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The entry called `name`, made under this key if there is none.
    ///
    /// # Errors
    /// `Unavailable` when as many as may be are in use (rule 22).
    pub(crate) fn entry(
        &self,
        name: &str,
        boot: BootTime,
        key: impl FnOnce() -> Result<StoreKey, Error>,
    ) -> Result<Arc<Entry<F>>, Error> {
        let mut inner = self.lock();
        if let Some(entry) = inner.entries.get(name) {
            return Ok(Arc::clone(entry));
        }
        if inner.entries.len() >= self.most && !inner.evict_one(boot) {
            return Err(Error::unavailable(
                "as many sessions as this keeper may hold are in use",
                None,
                false,
            ));
        }
        let entry = Arc::new(Entry::new(key()?, inner.closing));
        let name: Arc<str> = entry.name_shared();
        inner.ring.push(Arc::clone(&name));
        inner.entries.insert(name, Arc::clone(&entry));
        Ok(entry)
    }

    /// Every entry there is now; those that are made later refuse flights.
    pub(crate) fn close(&self) -> Vec<Arc<Entry<F>>> {
        let mut inner = self.lock();
        inner.closing = true;
        inner.entries.values().cloned().collect()
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.lock().entries.len()
    }

    /// Does `work`, which may show another refresh token of this entry, and takes note of that. Nobody
    /// else of this keeper does so meanwhile: `work` must be short.
    pub(crate) fn follow<T>(&self, entry: &Entry<F>, work: impl FnOnce() -> T) -> T {
        let mut inner = self.lock();
        let old = entry.refresh_fingerprint();
        let done = work();
        inner.moves(&entry.name_shared(), old, entry.refresh_fingerprint());
        done
    }

    /// Takes this token for the session of `entry`, unless another is known to hold it. When the answer is
    /// dropped, the session holds what it shows then and nothing else.
    pub(crate) fn claim<'a>(
        &'a self,
        entry: &'a Entry<F>,
        token: Option<Fingerprint>,
    ) -> Option<Claim<'a, F>> {
        let name = entry.name_shared();
        if let Some(token) = token {
            let mut inner = self.lock();
            let holder = inner.holders.entry(token).or_insert_with(|| Arc::clone(&name));
            if *holder != name {
                return None;
            }
        }
        Some(Claim { map: self, entry, token })
    }
}

/// A refresh token that is about to be signed in.
#[derive(Debug)]
pub(crate) struct Claim<'a, F: Flight> {
    map: &'a Map<F>,
    entry: &'a Entry<F>,
    token: Option<Fingerprint>,
}

impl<F: Flight> Drop for Claim<'_, F> {
    fn drop(&mut self) {
        let (name, shown) = (self.entry.name_shared(), self.entry.refresh_fingerprint());
        self.map.lock().moves(&name, self.token, shown);
    }
}

impl<F: Flight> Inner<F> {
    /// Notes that `name` now holds the token `new` and no longer `old`.
    fn moves(&mut self, name: &Arc<str>, old: Option<Fingerprint>, new: Option<Fingerprint>) {
        if old == new {
            return;
        }
        if let Some(old) = old {
            if self.holders.get(&old).is_some_and(|holder| holder == name) {
                self.holders.remove(&old);
            }
        }
        if let Some(new) = new {
            self.holders.insert(new, Arc::clone(name));
        }
    }

    /// Forgets one entry that nobody uses; the hand goes round once at most.
    fn evict_one(&mut self, boot: BootTime) -> bool {
        for _ in 0..self.ring.len() {
            self.hand = if self.hand + 1 < self.ring.len() { self.hand + 1 } else { 0 };
            let name = &self.ring[self.hand];
            let idle = self
                .entries
                .get(name)
                .is_none_or(|entry| Arc::strong_count(entry) == 1 && entry.is_idle(boot));
            if idle {
                let name = self.ring.swap_remove(self.hand);
                if let Some(entry) = self.entries.remove(&name) {
                    if let Some(token) = entry.refresh_fingerprint() {
                        self.holders.remove(&token);
                    }
                }
                return true;
            }
        }
        false
    }
}
