//! Leases that this store was granted.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use cotter_core::{Lease, LeaseAnswer, LeaseOwner, StoreError, StoreKey};

use crate::entropy;
use crate::lock::Lock;

#[derive(Debug, Default)]
pub(crate) struct Leases(Mutex<HashMap<LeaseOwner, (StoreKey, Lock)>>);

impl Leases {
    pub(crate) fn try_take(&self, key: &StoreKey, path: &Path) -> Result<LeaseAnswer, StoreError> {
        let owner = LeaseOwner::from_bytes(entropy::random()?);
        Ok(match Lock::try_take(path)? {
            Err(holder) => LeaseAnswer::Held(holder),
            Ok(lock) => {
                self.held().insert(owner, (key.clone(), lock));
                LeaseAnswer::Granted(Lease::until_given_back(owner))
            }
        })
    }

    pub(crate) fn release(&self, key: &StoreKey, owner: LeaseOwner) {
        let mut held = self.held();
        if held.get(&owner).is_some_and(|(of, _)| of == key) {
            held.remove(&owner);
        }
    }

    /// Nothing here is left half done by a panic.
    fn held(&self) -> MutexGuard<'_, HashMap<LeaseOwner, (StoreKey, Lock)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
