//! From one key source to another, in steps of which each leaves a store that opens.
//!
//! 1. The header names the other source and keeps its parameters, still under the old key.
//! 2. Every record is sealed anew with the other source's key.
//! 3. The header is sealed with that key, and names that source alone.

use cotter_core::{Entropy, StoreError};

use crate::header::{Header, Origin};
use crate::key::{KeyId, Keys};
use crate::name::Names;
use crate::sealer::Sealer;
use crate::source::KeySource;
use crate::vault::Vault;

impl Vault {
    /// Opens a store that moves from the key source `from` to `to`, whether that was begun, was cut
    /// off or has ended.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_moving(
        kind: &str,
        header: &[u8],
        from: &dyn KeySource,
        to: &dyn KeySource,
    ) -> Result<Self, StoreError> {
        let stored = Header::from_bytes(header)?;
        let Some(id) = stored.key() else { return Self::open(kind, header, from) };
        if let Some(next) = stored.next() {
            let keys = to.keys(&next.parameters)?.with_old_keys(from.keys(stored.parameters())?);
            crate::vault::check_kind(&stored, kind)?;
            return Self::with_keys(stored, keys, from);
        }
        if has_arrived(&stored, id, to) {
            return Self::open(kind, header, to);
        }
        Self::open(kind, header, from)
    }

    /// The same vault under a header that names `to` as the source that the store is on its way to,
    /// to be stored before anything is sealed with its key; `None` where one does so already, or
    /// the store has arrived.
    ///
    /// A key is made in `to` if it has none, so call it only under the store's own lock.
    ///
    /// # Errors
    /// What `to` says; `Unavailable` if there is no randomness.
    pub fn begin_move(
        &self,
        to: &dyn KeySource,
        entropy: &dyn Entropy,
    ) -> Result<Option<Self>, StoreError> {
        let (Some(sealer), Names::Keyed(names)) = (&self.sealer, &self.names) else {
            return Err(crate::vault::not_sealed());
        };
        let id = self.header.key();
        let key = id.and_then(|id| sealer.keys().find(id));
        let (Some(id), Some(key)) = (id, key) else { return Ok(None) };
        if self.header.next().is_some() || has_arrived(&self.header, id, to) {
            return Ok(None);
        }
        let parameters = to.create_if_absent(entropy)?;
        let keys = to.keys(&parameters)?.with_old_keys(sealer.keys().duplicate());
        let (source, next) = (self.header.origin().clone(), Origin::new(to.kind(), parameters));
        let header = Header::sealed(self.header.kind(), source, Some(next), key, names, entropy)?;
        let names = Names::Keyed(names.clone());
        Ok(Some(Self { header, names, sealer: Some(Sealer::new(keys)) }))
    }
}

/// Whether the header is `to`'s own: it says so, and `to` has its key.
fn has_arrived(header: &Header, id: KeyId, to: &dyn KeySource) -> bool {
    let has = |keys: Keys| keys.find(id).is_some();
    header.source() == to.kind() && to.keys(header.parameters()).is_ok_and(has)
}
