//! The store.

use core::fmt;
use core::sync::atomic::{AtomicUsize, Ordering};
use core::time::Duration;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};
use std::time::Instant;

use cotter_core::{
    BlockingTokenStore, Capabilities, Entropy, Expected, LeaseAnswer, LeaseOwner, Loaded, Revision,
    SecretBytes, StoreError, StoreErrorKind, StoreKey, Swap,
};
use cotter_seal::{KeySource, RecordName, Vault};

use crate::crash;
use crate::disk;
use crate::engine::{Change, Closing, Engine, damaged};
use crate::entropy::Os;
use crate::leases::Leases;
use crate::lock::{self, FolderLock};
use crate::opening::{self, Places, Writer};

/// How a store is opened, where [`SledStore::open`] is not enough.
///
/// ```
/// use core::time::Duration;
/// use cotter_store_sled::SledOptions;
/// # use cotter_seal::{Given, SealKey};
/// # let folder = tempfile::tempdir()?; let folder = folder.path().join("sessions");
/// # let source = Given::new(SealKey::from_bytes([7; 32]));
///
/// let options = SledOptions::new().with_lock_wait(Duration::from_secs(1));
/// assert!(options.open_existing(&folder, &source)?.is_none()); // nothing is made
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct SledOptions {
    lock_wait: Duration,
    entropy: Arc<dyn Entropy>,
}

impl SledOptions {
    /// Wait five seconds for another owner; the operating system's randomness.
    #[must_use]
    pub fn new() -> Self {
        Self { lock_wait: Duration::from_secs(5), entropy: Arc::new(Os) }
    }

    /// Wait this long for another owner of the folder before giving up with `Locked`.
    #[must_use]
    pub const fn with_lock_wait(mut self, wait: Duration) -> Self {
        self.lock_wait = wait;
        self
    }

    /// Other randomness to seal with, for tests.
    #[must_use]
    pub fn with_entropy(mut self, entropy: Arc<dyn Entropy>) -> Self {
        self.entropy = entropy;
        self
    }

    /// Opens the store in `folder`, or makes one.
    ///
    /// # Errors
    /// As [`SledStore::open`].
    pub fn open(
        self,
        folder: impl AsRef<Path>,
        source: impl KeySource,
    ) -> Result<SledStore, StoreError> {
        self.open_with(folder.as_ref(), |places, entropy| opening::vault(places, &source, entropy))
    }

    /// Opens the store in `folder`, or gives `None` if there is none; nothing is made, no key either.
    ///
    /// # Errors
    /// As [`SledStore::open`].
    pub fn open_existing(
        self,
        folder: impl AsRef<Path>,
        source: impl KeySource,
    ) -> Result<Option<SledStore>, StoreError> {
        let folder = folder.as_ref();
        opening::exists(folder).then(|| self.open(folder, source)).transpose()
    }

    /// Opens the store in `folder`, on its way from the key source `from` to `to`, which makes a key
    /// if it has none; `None` if there is no store.
    ///
    /// From now on what is written is sealed with that key, and what is there is opened with either;
    /// [`SledStore::reseal`] ends the move, which can be cut off anywhere: until it has ended, open
    /// the store by this.
    ///
    /// # Errors
    /// As [`open`](Self::open), of both sources.
    pub fn open_moving(
        self,
        folder: impl AsRef<Path>,
        from: impl KeySource,
        to: impl KeySource,
    ) -> Result<Option<SledStore>, StoreError> {
        let folder = folder.as_ref();
        let open = || {
            self.open_with(folder, |places, entropy| {
                opening::moving_vault(places, &from, &to, entropy)
            })
        };
        opening::exists(folder).then(open).transpose()
    }

    fn open_with(
        self,
        root: &Path,
        vault: impl FnOnce(&Places, &dyn Entropy) -> Result<Vault, StoreError>,
    ) -> Result<SledStore, StoreError> {
        disk::prepare(root)?;
        let begun = Instant::now();
        let deadline = opening::deadline(self.lock_wait);
        let places = Places { root: root.to_path_buf() };
        let lock = FolderLock::acquire(&places.lock(), deadline)?;
        let vault = vault(&places, self.entropy.as_ref())?;
        let (engine, writer) = opening::database(&places, deadline)?;
        Ok(SledStore {
            places,
            entropy: self.entropy,
            patience: self.lock_wait,
            vault: RwLock::new(Arc::new(vault)),
            state: RwLock::new(State::Open(engine)),
            writer: Mutex::new(Some(writer)),
            pending: Mutex::new(None),
            greatest: AtomicUsize::new(0),
            leases: Leases::default(),
            waited: Mutex::new(begun.elapsed()),
            lock: Mutex::new(Some(lock)),
        })
    }
}

impl Default for SledOptions {
    fn default() -> Self {
        Self::new()
    }
}

/// Sealed records in a sled database that this process owns; see the [crate](crate) for when to
/// use it.
///
/// Share one between threads through an [`Arc`].
pub struct SledStore {
    places: Places,
    entropy: Arc<dyn Entropy>,
    patience: Duration,
    vault: RwLock<Arc<Vault>>,
    state: RwLock<State>,
    /// Locked before `state`; `None` while there is no database.
    writer: Mutex<Option<Writer>>,
    /// What is written and not yet durable; nobody may see it.
    pending: Mutex<Option<RecordName>>,
    /// The length of the greatest record that this store has read or written since it was opened.
    greatest: AtomicUsize,
    leases: Leases,
    /// How long it was waited for, until the first lease has told it.
    waited: Mutex<Duration>,
    /// Dropped after the database.
    lock: Mutex<Option<FolderLock>>,
}

enum State {
    Open(Engine),
    /// A write failed half-way; once sled has let go, the next call opens the database again.
    Failed(StoreErrorKind, Mutex<Closing>),
    /// The disk refused a sync, and what is in the kernel's memory may not be on it: ended for good.
    Unsynced,
    Closed,
}

impl SledStore {
    /// Opens the store in `folder`, or makes one, sealed with the key that `source` gives.
    ///
    /// Waits up to five seconds for another process that has it open.
    ///
    /// # Errors
    /// `Locked` if another process keeps it open; `Full` if there is no room, which sled needs even
    /// to read; `Damaged` if sled's files are, or sled has forgotten something; `KeyMissing`,
    /// `KeyWrong` and whatever else `source` says; `Forbidden` if the folder is a symbolic link,
    /// belongs to another user or is open to others; `TooNew` if a newer cotter wrote it.
    pub fn open(folder: impl AsRef<Path>, source: impl KeySource) -> Result<Self, StoreError> {
        SledOptions::new().open(folder, source)
    }

    /// Opens the store in `folder`, or gives `None` if there is none; nothing is made, no key either.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_existing(
        folder: impl AsRef<Path>,
        source: impl KeySource,
    ) -> Result<Option<Self>, StoreError> {
        SledOptions::new().open_existing(folder, source)
    }

    /// Opens the store in `folder`, on its way from the key source `from` to `to`; `None` if there is
    /// none. See [`SledOptions::open_moving`].
    ///
    /// # Errors
    /// As [`open`](Self::open), of both sources.
    pub fn open_moving(
        folder: impl AsRef<Path>,
        from: impl KeySource,
        to: impl KeySource,
    ) -> Result<Option<Self>, StoreError> {
        SledOptions::new().open_moving(folder, from, to)
    }

    /// Ends the use of the database and waits until another process can open it.
    ///
    /// Later calls fail with `Unavailable`. Dropping the store does the same without the wait.
    ///
    /// # Errors
    /// `Timeout` if sled has not given its lock back within the time that opening would wait, or five
    /// seconds;
    /// everything that was saved is durable all the same.
    pub fn close(&self) -> Result<(), StoreError> {
        let mut writer = self.writer();
        *writer = None;
        let was = {
            let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
            core::mem::replace(&mut *state, State::Closed)
        };
        // Who opens without patience still wants to know that it is closed.
        let patience = self.patience.max(Duration::from_secs(5));
        let deadline = opening::deadline(patience);
        if let State::Open(engine) = was {
            engine.close().is_over(patience);
        }
        let free = lock::wait_until_free(&self.places.log(), deadline);
        *self.lock.lock().unwrap_or_else(PoisonError::into_inner) = None;
        if free {
            return Ok(());
        }
        Err(StoreError::new(StoreErrorKind::Timeout, "sled has not given its lock back yet")
            .with_hint("what was saved is safe; who opens the store next may have to wait"))
    }

    /// Seals every record that an older key sealed with the newest one, then the header, and says
    /// how many there were.
    ///
    /// It can be cut off anywhere and run again. What the older key sealed stays in sled's log until
    /// sled reuses the space.
    ///
    /// # Errors
    /// If a record can't be opened or written; those before it are done.
    pub fn reseal(&self) -> Result<usize, StoreError> {
        let vault = self.vault();
        let names = self.engine(|engine| engine.names().collect::<Result<Vec<_>, _>>())?;
        let mut done = 0;
        for (name, _) in names {
            let mut writer = self.writer();
            let Some(stored) = self.engine(|engine| engine.record(&name))? else { continue };
            if let Some(sealed) = vault.reseal(name, &stored, self.entropy.as_ref())? {
                let revision = vault.revision(&stored)?;
                self.write(&mut writer, name, Some(revision), Change::Put(sealed, revision))?;
                done += 1;
            }
        }
        if let Some(newer) = vault.reseal_header(self.entropy.as_ref())? {
            opening::write_header(&self.places, newer.header())?;
            *self.vault.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(newer);
        }
        Ok(done)
    }

    fn vault(&self) -> Arc<Vault> {
        Arc::clone(&self.vault.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn writer(&self) -> MutexGuard<'_, Option<Writer>> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn state(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn engine<T>(
        &self,
        call: impl FnOnce(&Engine) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        match &*self.state() {
            State::Open(engine) => call(engine),
            State::Failed(kind, _) => Err(failed(*kind)),
            State::Unsynced => Err(StoreError::new(
                StoreErrorKind::Other,
                "the disk refused to sync the database, and what is on it is not known",
            )
            .with_hint("look at the disk and the system's log, then start the program again")),
            State::Closed => {
                Err(StoreError::new(StoreErrorKind::Unavailable, "the store was closed"))
            }
        }
    }

    /// Opens the database again after a write that failed, once for whoever comes first.
    fn recover(&self) -> Result<(), StoreError> {
        if !matches!(*self.state(), State::Failed(..)) {
            return Ok(());
        }
        let mut writer = self.writer();
        if let State::Failed(kind, closing) = &*self.state() {
            let closing = closing.lock().unwrap_or_else(PoisonError::into_inner);
            if !closing.is_over(opening::GRACE) {
                return Err(failed(*kind));
            }
        } else {
            return Ok(());
        }
        let (engine, opened) = opening::database(&self.places, opening::deadline(self.patience))?;
        *writer = Some(opened);
        *self.state.write().unwrap_or_else(PoisonError::into_inner) = State::Open(engine);
        Ok(())
    }

    /// Takes the database out of use: for good, or, with the kind of a failed write, until it can be
    /// opened again.
    fn fail(&self, kind: Option<StoreErrorKind>, for_good: State) {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        if let State::Open(engine) = core::mem::replace(&mut *state, for_good) {
            let closing = engine.close();
            match kind {
                Some(kind) => *state = State::Failed(kind, Mutex::new(closing)),
                None => {
                    closing.is_over(opening::GRACE);
                }
            }
        }
    }

    /// What stands under the name: the record, and the revision that counts for it.
    fn stored(
        &self,
        vault: &Vault,
        name: &RecordName,
    ) -> Result<Option<(Revision, Option<sled::IVec>)>, StoreError> {
        self.engine(|engine| match engine.record(name)? {
            Some(stored) => Ok(Some((vault.revision(&stored)?, Some(stored)))),
            None => Ok(engine.revision(name)?.map(|revision| (revision, None))),
        })
    }

    fn swap(
        &self,
        vault: &Vault,
        name: RecordName,
        expected: Expected,
        change: Change,
    ) -> Result<Swap, StoreError> {
        self.recover()?;
        let mut writer = self.writer();
        let found = self.stored(vault, &name)?.map(|(revision, _)| revision);
        let as_expected = match expected {
            Expected::Absent => found.is_none(),
            Expected::Revision(revision) => found == Some(revision),
        };
        if !as_expected {
            return Ok(Swap::Conflict { found });
        }
        let listed = self.engine(|engine| engine.revision(&name))?;
        self.write(&mut writer, name, listed, change)?;
        Ok(Swap::Done)
    }

    /// Writes, and comes back when it is on the disk. `listed` is the revision that the mark counts.
    fn write(
        &self,
        writer: &mut Option<Writer>,
        name: RecordName,
        listed: Option<Revision>,
        change: Change,
    ) -> Result<(), StoreError> {
        let Some(ready) = writer.as_mut() else {
            return self.engine(|_| Ok(()));
        };
        let mut mark = ready.mark;
        mark.writes += 1;
        if let Some(revision) = listed {
            mark.records = mark.records.saturating_sub(1);
            mark.toggle(name.as_bytes(), &revision.to_bytes());
        }
        if let Change::Put(sealed, revision) = &change {
            mark.records += 1;
            mark.toggle(name.as_bytes(), &revision.to_bytes());
            self.greatest.fetch_max(sealed.len(), Ordering::Relaxed);
        }
        disk::leave_room(&self.places.root, self.greatest.load(Ordering::Relaxed))?;

        crash::point("before-write");
        *self.pending() = Some(name);
        let written = self.engine(|engine| {
            engine.apply(&name, change, mark)?;
            crash::point("after-apply");
            engine.flush()
        });
        crash::point("after-flush");
        let (error, again) = match written {
            Ok(()) => match ready.synced.sync().and_then(|()| ready.marks.raise(mark)) {
                Ok(()) => {
                    crash::point("after-mark");
                    ready.mark = mark;
                    *self.pending() = None;
                    return Ok(());
                }
                Err(error) => (error, None),
            },
            Err(error) => {
                let kind = error.kind();
                (error, Some(kind))
            }
        };
        *writer = None;
        self.fail(again, State::Unsynced);
        *self.pending() = None;
        Err(error)
    }

    fn pending(&self) -> MutexGuard<'_, Option<RecordName>> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What stands there durably: what is being written is waited for.
    fn durable(
        &self,
        vault: &Vault,
        name: &RecordName,
    ) -> Result<Option<(Revision, Option<sled::IVec>)>, StoreError> {
        self.recover()?;
        let stored = self.stored(vault, name);
        if *self.pending() != Some(*name) {
            return stored;
        }
        let written = self.writer();
        drop(stored);
        drop(written);
        self.recover()?;
        let _written = self.writer();
        self.stored(vault, name)
    }
}

impl BlockingTokenStore for SledStore {
    fn capabilities(&self) -> Capabilities {
        Capabilities::new().with_lease().with_compare_and_set().with_durable().with_listing()
    }

    fn load(&self, key: &StoreKey) -> Result<Option<Loaded>, StoreError> {
        let vault = self.vault();
        let name = vault.name(key);
        match self.durable(&vault, &name)? {
            None => Ok(None),
            Some((_, Some(stored))) => {
                self.greatest.fetch_max(stored.len(), Ordering::Relaxed);
                vault.load(key, &stored).map(Some)
            }
            Some((revision, None)) => {
                let record = Err(damaged("sled has lost the record and kept its revision"));
                Ok(Some(Loaded { revision, record }))
            }
        }
    }

    fn save(
        &self,
        key: &StoreKey,
        record: &SecretBytes,
        expected: Expected,
        new: Revision,
    ) -> Result<Swap, StoreError> {
        let vault = self.vault();
        let sealed = vault.seal(key, record, new, self.entropy.as_ref())?;
        self.swap(&vault, vault.name(key), expected, Change::Put(sealed, new))
    }

    fn remove(&self, key: &StoreKey, expected: Revision) -> Result<Swap, StoreError> {
        let vault = self.vault();
        self.swap(&vault, vault.name(key), Expected::Revision(expected), Change::Remove)
    }

    fn try_lease(&self, key: &StoreKey, _ttl: Duration) -> Result<LeaseAnswer, StoreError> {
        let mut waited = self.waited.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(self.leases.try_lease(self.vault().name(key), core::mem::take(&mut waited)))
    }

    fn release(&self, key: &StoreKey, owner: LeaseOwner) -> Result<(), StoreError> {
        self.leases.release(self.vault().name(key), owner);
        Ok(())
    }

    fn list(&self) -> Result<Vec<StoreKey>, StoreError> {
        let vault = self.vault();
        self.recover()?;
        let _written = self.writer();
        self.engine(|engine| {
            let keys = engine.names().map(|entry| {
                let (name, _) = entry?;
                match engine.record(&name)? {
                    Some(stored) => vault.key(name, &stored),
                    None => Err(damaged("sled has lost a record and kept its revision")),
                }
            });
            keys.collect()
        })
    }
}

impl Drop for SledStore {
    fn drop(&mut self) {
        self.fail(None, State::Closed);
    }
}

fn failed(kind: StoreErrorKind) -> StoreError {
    StoreError::new(kind, "an earlier write failed, and sled has not let go of its files since")
        .with_hint("free some space if the disk is full, then start the program again")
}

impl fmt::Debug for SledStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match *self.state() {
            State::Open(_) => "open",
            State::Failed(..) => "failed",
            State::Unsynced => "unsynced",
            State::Closed => "closed",
        };
        f.debug_struct("SledStore")
            .field("folder", &self.places.root)
            .field("state", &state)
            .finish_non_exhaustive()
    }
}
