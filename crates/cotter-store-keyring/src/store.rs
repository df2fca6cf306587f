//! Records in the keyring.

use core::time::Duration;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use cotter_core::{
    BlockingTokenStore, Capabilities, Entropy, Expected, LeaseAnswer, LeaseOwner, Loaded, Revision,
    SecretBytes, StoreError, StoreErrorKind, StoreKey, Swap,
};
use cotter_seal::{RecordName, Vault};

use crate::backend::Backend;
use crate::locks::{Lock, Locks};
use crate::worker::Worker;
use crate::{index, records};

const KIND: &str = "keyring";
const INDEX_LOCK: &str = "index";
/// The most that is split over entries; what is longer belongs in the file store.
const MAX_RECORD: usize = 4 * 1024 * 1024;

/// Whole records in a keyring; see the [crate](crate) for why the file store with its key in the
/// keyring ([`KeyringKey`](crate::KeyringKey)) is the better arrangement.
#[derive(Debug)]
pub struct KeyringStore {
    shared: Arc<Shared>,
    worker: Worker,
    max_record: usize,
}

#[derive(Debug)]
struct Shared {
    vault: Vault,
    locks: Locks,
    entropy: Arc<dyn Entropy>,
}

/// How long the keyring may take for one call, where nobody says otherwise.
#[cfg(all(feature = "native", any(target_os = "linux", target_os = "macos", windows)))]
pub(crate) const DEADLINE: Duration = Duration::from_secs(5);

impl Shared {
    /// What stands under `name`, held in place where it takes more than one look to read it.
    fn settled(
        &self,
        backend: &mut dyn Backend,
        name: &RecordName,
        end: Instant,
    ) -> Result<Option<(records::Found, Option<Lock>)>, StoreError> {
        let Some(found) = records::find(backend, &self.vault, name)? else { return Ok(None) };
        if found.manifest.as_ref().is_ok_and(|manifest| manifest.pieces().is_none()) {
            return Ok(Some((found, None)));
        }
        // Pieces of a record that is being replaced go away while they are read.
        let held = self.locks.cas(&name.to_hex(), end)?;
        Ok(records::find(backend, &self.vault, name)?.map(|found| (found, Some(held))))
    }
}

impl KeyringStore {
    /// Records in the operating system's own keyring, with lock files in the
    /// [`runtime_folder`](crate::runtime_folder); each call is given five seconds.
    ///
    /// Asks nothing of the keyring yet. The program `cotter` does the same, so they share records.
    ///
    /// # Errors
    /// As [`with_backend`](Self::with_backend).
    #[cfg(all(feature = "native", any(target_os = "linux", target_os = "macos", windows)))]
    pub fn native() -> Result<Self, StoreError> {
        let (backend, locks) = (crate::OsKeyring::native(), crate::runtime_folder());
        Self::with_backend(backend, locks, Arc::new(crate::entropy::Os), DEADLINE)
    }

    /// Records in `backend`, with lock files in `locks`, which every process that shares the
    /// keyring must name alike ([`runtime_folder`](crate::runtime_folder)).
    ///
    /// Asks nothing of the keyring yet; a call that has no answer within `deadline` fails.
    ///
    /// # Errors
    /// If the folder can't be used, or no thread can be started.
    pub fn with_backend(
        backend: impl Backend + 'static,
        locks: impl Into<PathBuf>,
        entropy: Arc<dyn Entropy>,
        deadline: Duration,
    ) -> Result<Self, StoreError> {
        // Every keyring encrypts at rest by itself; what this adds is names, keys and revisions.
        let vault = Vault::danger_create_unsealed(KIND)?;
        let locks = Locks::open(locks.into())?;
        let max_record = match backend.max_secret() {
            // An entry's worth of room for the session's key and the frame.
            Some(max) => max.saturating_mul(512).min(MAX_RECORD),
            None => MAX_RECORD,
        };
        Ok(Self {
            shared: Arc::new(Shared { vault, locks, entropy }),
            worker: Worker::start(Box::new(backend), deadline)?,
            max_record,
        })
    }

    /// Writes, reads back and removes an entry of no meaning: whether the keyring can be used.
    ///
    /// # Errors
    /// What keeps it from being used.
    pub fn probe(&self) -> Result<(), StoreError> {
        let shared = Arc::clone(&self.shared);
        self.worker.run(move |backend, end| {
            let _held = shared.locks.cas(INDEX_LOCK, end)?;
            probe(backend)
        })
    }

    /// Removes the pieces that writes which were cut off have left behind.
    ///
    /// Each write and removal does so for its own record; this does for all that are listed.
    ///
    /// # Errors
    /// If the keyring can't be used.
    pub fn sweep(&self) -> Result<(), StoreError> {
        let shared = Arc::clone(&self.shared);
        self.worker.run(move |backend, end| {
            for name in index::names(backend)? {
                let _held = shared.locks.cas(&name.to_hex(), end)?;
                let found = records::find(backend, &shared.vault, &name)?;
                let gone = found.is_none();
                let current = match found {
                    // It can't be said which pieces it needs.
                    Some(found) if found.manifest.is_err() => continue,
                    Some(found) => found.manifest.ok().and_then(|manifest| manifest.pieces()),
                    None => None,
                };
                records::sweep(backend, &name, current)?;
                if gone {
                    let _held = shared.locks.cas(INDEX_LOCK, end)?;
                    index::remove(backend, name)?;
                }
            }
            Ok(())
        })
    }

    fn swap(
        &self,
        key: &StoreKey,
        expected: Expected,
        change: Option<(SecretBytes, Revision)>,
    ) -> Result<Swap, StoreError> {
        let shared = Arc::clone(&self.shared);
        let name = shared.vault.name(key);
        self.worker.run(move |backend, end| {
            // Held by this thread, however long the keyring takes: nobody else overtakes it.
            let _held = shared.locks.cas(&name.to_hex(), end)?;
            let found = records::find(backend, &shared.vault, &name)?;
            let there = found.as_ref().map(|found| found.revision);
            let as_expected = match expected {
                Expected::Absent => there.is_none(),
                Expected::Revision(revision) => there == Some(revision),
            };
            if !as_expected {
                return Ok(Swap::Conflict { found: there });
            }
            match (change, found) {
                (Some((payload, revision)), found) => {
                    if found.is_none() {
                        let _held = shared.locks.cas(INDEX_LOCK, end)?;
                        index::add(backend, name)?;
                    }
                    let entropy = shared.entropy.as_ref();
                    records::write(backend, &name, revision, payload, found.as_ref(), entropy)?;
                }
                (None, Some(found)) => {
                    records::remove(backend, &name, &found)?;
                    let _held = shared.locks.cas(INDEX_LOCK, end)?;
                    // The record is gone; a name without one is not listed.
                    let _ = index::remove(backend, name);
                }
                (None, None) => {}
            }
            Ok(Swap::Done)
        })
    }
}

pub(crate) fn probe(backend: &mut dyn Backend) -> Result<(), StoreError> {
    const ENTRY: &str = "probe";
    let sent = SecretBytes::from(b"cotter was here".as_slice());
    backend.set(ENTRY, &sent)?;
    let back = backend.get(ENTRY)?;
    backend.delete(ENTRY)?;
    if back.as_ref() == Some(&sent) && backend.get(ENTRY)?.is_none() {
        return Ok(());
    }
    Err(StoreError::new(StoreErrorKind::Other, "the keyring gives back something else than it got"))
}

impl BlockingTokenStore for KeyringStore {
    fn capabilities(&self) -> Capabilities {
        Capabilities::new()
            .with_shared()
            .with_lease()
            .with_compare_and_set()
            .with_listing()
            .with_max_record(self.max_record)
    }

    fn load(&self, key: &StoreKey) -> Result<Option<Loaded>, StoreError> {
        let shared = Arc::clone(&self.shared);
        let key = key.clone();
        self.worker.run(move |backend, end| {
            match shared.settled(backend, &shared.vault.name(&key), end)? {
                Some((found, _held)) => read(&shared.vault, &key, backend, found).map(Some),
                None => Ok(None),
            }
        })
    }

    fn save(
        &self,
        key: &StoreKey,
        record: &SecretBytes,
        expected: Expected,
        new: Revision,
    ) -> Result<Swap, StoreError> {
        if record.len() > self.max_record {
            let message = "the record is longer than this keyring takes";
            return Err(StoreError::new(StoreErrorKind::TooLarge, message)
                .with_hint("use the file store, with its key in the keyring"));
        }
        let shared = &self.shared;
        let payload = shared.vault.seal(key, record, new, shared.entropy.as_ref())?;
        self.swap(key, expected, Some((SecretBytes::from(payload), new)))
    }

    fn remove(&self, key: &StoreKey, expected: Revision) -> Result<Swap, StoreError> {
        self.swap(key, Expected::Revision(expected), None)
    }

    fn try_lease(&self, key: &StoreKey, _ttl: Duration) -> Result<LeaseAnswer, StoreError> {
        self.shared.locks.try_lease(&self.shared.vault.name(key).to_hex())
    }

    fn release(&self, key: &StoreKey, owner: LeaseOwner) -> Result<(), StoreError> {
        self.shared.locks.release(&self.shared.vault.name(key).to_hex(), owner);
        Ok(())
    }

    fn list(&self) -> Result<Vec<StoreKey>, StoreError> {
        let shared = Arc::clone(&self.shared);
        self.worker.run(move |backend, end| {
            let mut keys = Vec::new();
            for name in index::names(backend)? {
                if let Some((found, _held)) = shared.settled(backend, &name, end)? {
                    let payload = records::payload(backend, found.manifest?)?;
                    keys.push(shared.vault.key(name, payload.expose())?);
                }
            }
            Ok(keys)
        })
    }
}

fn read(
    vault: &Vault,
    key: &StoreKey,
    backend: &mut dyn Backend,
    found: records::Found,
) -> Result<Loaded, StoreError> {
    let revision = found.revision;
    let payload = match found.manifest.and_then(|manifest| records::payload(backend, manifest)) {
        Ok(payload) => payload,
        Err(error) if error.kind() == StoreErrorKind::Damaged => {
            return Ok(Loaded { revision, record: Err(error) });
        }
        Err(error) => return Err(error),
    };
    let loaded = vault.load(key, payload.expose())?;
    if loaded.revision != revision {
        let error = crate::manifest::damaged("the record and its entry differ in their revision");
        return Ok(Loaded { revision, record: Err(error) });
    }
    Ok(loaded)
}
