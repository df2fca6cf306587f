//! Leases that this store was granted.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use cotter_core::{Lease, LeaseAnswer, LeaseOwner, StoreError};
use cotter_seal::RecordName;

use crate::entropy;
use crate::lock::Lock;

#[derive(Debug, Default)]
pub(crate) struct Leases(Mutex<HashMap<LeaseOwner, (RecordName, Lock)>>);

impl Leases {
    pub(crate) fn try_take(
        &self,
        name: RecordName,
        path: &Path,
    ) -> Result<LeaseAnswer, StoreError> {
        let owner = LeaseOwner::from_bytes(entropy::random()?);
        Ok(match Lock::try_take(path)? {
            Err(holder) => LeaseAnswer::Held(holder),
            Ok(lock) => {
                self.held().insert(owner, (name, lock));
                LeaseAnswer::Granted(Lease { owner, ends_in: None, lapsed: false })
            }
        })
    }

    pub(crate) fn release(&self, name: RecordName, owner: LeaseOwner) {
        let mut held = self.held();
        if held.get(&owner).is_some_and(|(of, _)| *of == name) {
            held.remove(&owner);
        }
    }

    /// Nothing here is left half done by a panic.
    fn held(&self) -> MutexGuard<'_, HashMap<LeaseOwner, (RecordName, Lock)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
