//! The store.

use core::fmt;
use core::time::Duration;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cotter_core::{
    BlockingTokenStore, Capabilities, Expected, LeaseAnswer, LeaseOwner, Loaded, Revision,
    SecretBytes, StoreError, StoreErrorKind, StoreKey, Swap,
};
use cotter_seal::{Header, KeySource, RecordName, Vault};

use crate::create;
use crate::disk::{Disk, Real};
use crate::entropy::Os;
use crate::folder::{self, Folder};
use crate::lease::Leases;
use crate::lock::Lock;
use crate::state::{self, Current, Opener, State};
use crate::write;
use crate::{MAX_RECORD, sys};

/// How long a lock may be waited for that others hold for milliseconds.
const WAIT: Duration = Duration::from_secs(3);

/// Sealed records in one directory; a clone is another handle to the same open store.
///
/// In async code it goes to `.blocking_store(..)` of the builders, or into an `Offload`.
#[derive(Clone)]
pub struct FileStore {
    pub(crate) inner: Arc<Inner>,
    pub(crate) wait: Duration,
}

pub(crate) struct Inner {
    pub(crate) folder: Folder,
    pub(crate) state: State,
    pub(crate) disk: Box<dyn Disk>,
    leases: Leases,
}

/// One record as [`FileStore::survey`] found it.
#[derive(Debug)]
#[non_exhaustive]
pub struct Surveyed {
    /// Where it lies.
    pub path: PathBuf,
    /// Whose it is, or why that can't be told.
    pub key: Result<StoreKey, StoreError>,
}

impl FileStore {
    /// The store in `folder`, which is made, together with its key, if nothing is there.
    ///
    /// # Errors
    /// `KeyMissing` and `KeyWrong` where there is a store and the source has no or another key,
    /// `Damaged` where records have lost their header, `Forbidden`, `Full`, `ReadOnly`, `TooNew`,
    /// `Locked` if somebody else takes over 3 s to make the same store.
    pub fn open(
        folder: impl Into<PathBuf>,
        source: impl KeySource + 'static,
    ) -> Result<Self, StoreError> {
        Self::build(folder.into(), Opener::Sealed(Arc::new(source)), Box::new(Real))
    }

    /// The store in `folder`, or `None` if there is none; nothing is made, no key either.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_existing(
        folder: impl Into<PathBuf>,
        source: impl KeySource + 'static,
    ) -> Result<Option<Self>, StoreError> {
        let folder = Folder::at(folder.into());
        let state = create::open_existing(Opener::Sealed(Arc::new(source)), &folder)?;
        Ok(state.map(|state| Self::with(folder, state, Box::new(Real))))
    }

    /// The store in `folder`, on its way from the key source `from` to `to`; `None` if there is none.
    ///
    /// `to` makes a key if it has none. From now on what is written is sealed with it, and what is
    /// there is opened with either; [`reseal`](Self::reseal) ends the move, which can be cut off
    /// anywhere: until it has ended, open the store by this. Processes that have `from` alone go on,
    /// but can't open what was written with the new key, and are refused when it has ended.
    ///
    /// ```
    /// # use cotter_store_file::{FileStore, Given, KeyFile, SealKey};
    /// # let home = tempfile::tempdir()?;
    /// # let (folder, file) = (home.path().join("store"), home.path().join("key"));
    /// # let given = || Given::new(SealKey::from_bytes([7; 32]));
    /// # FileStore::open(&folder, given())?;
    /// let store = FileStore::open_moving(&folder, given(), KeyFile::new(&file))?;
    /// store.expect("there is one").reseal()?;
    ///
    /// FileStore::open(&folder, KeyFile::new(&file))?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`open`](Self::open), of both sources.
    pub fn open_moving(
        folder: impl Into<PathBuf>,
        from: impl KeySource + 'static,
        to: impl KeySource + 'static,
    ) -> Result<Option<Self>, StoreError> {
        let (folder, to) = (Folder::at(folder.into()), Arc::new(to));
        let opener = Opener::Moving(Arc::new(from), Arc::clone(&to) as Arc<dyn KeySource>);
        let Some(state) = create::open_existing(opener, &folder)? else { return Ok(None) };
        create::begin_move(&state, &to, &folder, &Real, WAIT)?;
        Ok(Some(Self::with(folder, state, Box::new(Real))))
    }

    /// A store whose records are **not sealed**: who can read the files has the tokens.
    ///
    /// A sealed store is not opened by this, nor one of these by [`open`](Self::open).
    ///
    /// # Errors
    /// As [`open`](Self::open); `Unsupported` if the store is sealed.
    pub fn danger_open_unsealed(folder: impl Into<PathBuf>) -> Result<Self, StoreError> {
        Self::build(folder.into(), Opener::Unsealed, Box::new(Real))
    }

    /// What the store in `folder` says about itself, for which no key is needed: where its key is,
    /// and that key's name. `None` if there is no store.
    ///
    /// # Errors
    /// `Damaged`, `TooNew`, or what the file system says.
    pub fn header(folder: impl Into<PathBuf>) -> Result<Option<Header>, StoreError> {
        create::header(&Folder::at(folder.into()))
    }

    /// The same store, waiting so long for locks that others hold while they save; 3 s by default.
    #[must_use]
    pub fn with_lock_wait(self, wait: Duration) -> Self {
        Self { wait, ..self }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.inner.folder.path()
    }

    /// Every record with its file, those that can't be opened included.
    ///
    /// # Errors
    /// If the folder can't be listed.
    pub fn survey(&self) -> Result<Vec<Surveyed>, StoreError> {
        let vault = self.current()?.vault;
        let folder = &self.inner.folder;
        let mut found = Vec::new();
        for name in folder.records()? {
            let path = folder.record(name);
            let key = match folder::read(&path) {
                Ok(None) => continue, // removed meanwhile
                Ok(Some((stored, _))) => vault.key(name, &stored),
                Err(error) => Err(error),
            };
            found.push(Surveyed { path, key });
        }
        Ok(found)
    }

    pub(crate) fn build(
        folder: PathBuf,
        opener: Opener,
        disk: Box<dyn Disk>,
    ) -> Result<Self, StoreError> {
        let folder = Folder::at(folder);
        let state = create::open_or_create(opener, &folder, disk.as_ref(), WAIT)?;
        Ok(Self::with(folder, state, disk))
    }

    fn with(folder: Folder, state: State, disk: Box<dyn Disk>) -> Self {
        let inner = Inner { folder, state, disk, leases: Leases::default() };
        Self { inner: Arc::new(inner), wait: WAIT }
    }

    pub(crate) fn current(&self) -> Result<Current, StoreError> {
        self.inner.state.current(&self.inner.folder)
    }

    /// Takes the lock that changes of this record are made under, and sweeps what crashed ones left.
    pub(crate) fn lock(&self, name: RecordName) -> Result<Lock, StoreError> {
        let Inner { folder, disk, .. } = &*self.inner;
        let lock = Lock::take(&folder.cas(name), self.wait)?;
        write::sweep(disk.as_ref(), folder, &Folder::record_name(name));
        Ok(lock)
    }

    /// Takes the lock of `key`, and looks at what stands there: as long as the lock is held, nobody
    /// else changes it, and nobody who reseals the store takes it for done.
    fn begin(&self, key: &StoreKey) -> Result<Change, StoreError> {
        loop {
            let current = self.current()?;
            let name = current.vault.name(key);
            let lock = self.lock(name)?;
            // The header may have changed while others held the lock.
            if self.current()?.stamp != current.stamp {
                continue;
            }
            let found = match self.stored(&current, name)? {
                Stored::Bytes(stored) => Some(current.vault.revision(&stored)?),
                Stored::Nothing => None,
                Stored::Elsewhere => continue,
            };
            return Ok(Change { vault: current.vault, name, found, _lock: lock });
        }
    }

    /// What is stored under `name`: bytes, nothing, or that the store is another one by now.
    fn stored(&self, current: &Current, name: RecordName) -> Result<Stored, StoreError> {
        let folder = &self.inner.folder;
        loop {
            if let Some((stored, _)) = folder::read(&folder.record(name))? {
                return Ok(Stored::Bytes(stored));
            }
            // A record is absent only where the store's own header is not.
            let record = Folder::record_name(name);
            match sys::look(folder.path(), folder::HEADER, &record) {
                Ok((stamp, _)) if stamp != current.stamp => return Ok(Stored::Elsewhere),
                Ok((_, false)) => return Ok(Stored::Nothing),
                Ok((_, true)) => {}
                Err(error) => return Err(state::cannot_look(folder, error)),
            }
        }
    }
}

/// A change of one record that nobody else can get in the way of.
struct Change {
    vault: Arc<Vault>,
    name: RecordName,
    /// The revision that stands there.
    found: Option<Revision>,
    _lock: Lock,
}

enum Stored {
    Bytes(Vec<u8>),
    Nothing,
    Elsewhere,
}

impl BlockingTokenStore for FileStore {
    fn capabilities(&self) -> Capabilities {
        Capabilities::new()
            .with_shared()
            .with_lease()
            .with_compare_and_set()
            .with_durable()
            .with_listing()
            .with_max_record(MAX_RECORD)
    }

    fn load(&self, key: &StoreKey) -> Result<Option<Loaded>, StoreError> {
        let Inner { folder, state, .. } = &*self.inner;
        loop {
            let current = self.current()?;
            let stored = match self.stored(&current, current.vault.name(key))? {
                Stored::Bytes(stored) => stored,
                Stored::Nothing => return Ok(None),
                Stored::Elsewhere => continue,
            };
            let loaded = current.vault.load(key, &stored)?;
            return match &loaded.record {
                // Its source may have a newer key by now.
                Err(error) if error.kind() == StoreErrorKind::KeyWrong => {
                    state.again(folder)?.vault.load(key, &stored).map(Some)
                }
                _ => Ok(Some(loaded)),
            };
        }
    }

    fn save(
        &self,
        key: &StoreKey,
        record: &SecretBytes,
        expected: Expected,
        new: Revision,
    ) -> Result<Swap, StoreError> {
        if record.len() > MAX_RECORD {
            let message = "the record is longer than the file store takes (16 MiB)";
            return Err(StoreError::new(StoreErrorKind::TooLarge, message));
        }
        let change = self.begin(key)?;
        let found = change.found;
        let as_expected = match expected {
            Expected::Absent => found.is_none(),
            Expected::Revision(revision) => found == Some(revision),
        };
        if !as_expected {
            return Ok(Swap::Conflict { found });
        }
        let sealed = change.vault.seal(key, record, new, &Os)?;
        let Inner { folder, disk, .. } = &*self.inner;
        write::replace(disk.as_ref(), folder, &Folder::record_name(change.name), &sealed)?;
        Ok(Swap::Done)
    }

    fn remove(&self, key: &StoreKey, expected: Revision) -> Result<Swap, StoreError> {
        let change = self.begin(key)?;
        let found = change.found;
        if found != Some(expected) {
            return Ok(Swap::Conflict { found });
        }
        let Inner { folder, disk, .. } = &*self.inner;
        write::remove(disk.as_ref(), folder, &folder.record(change.name))?;
        Ok(Swap::Done)
    }

    fn try_lease(&self, key: &StoreKey, _ttl: Duration) -> Result<LeaseAnswer, StoreError> {
        let name = self.current()?.vault.name(key);
        self.inner.leases.try_take(key, &self.inner.folder.lease(name))
    }

    fn release(&self, key: &StoreKey, owner: LeaseOwner) -> Result<(), StoreError> {
        self.inner.leases.release(key, owner);
        Ok(())
    }

    fn list(&self) -> Result<Vec<StoreKey>, StoreError> {
        self.survey()?
            .into_iter()
            .map(|found| {
                found.key.map_err(|error| {
                    let file = found.path.file_name().unwrap_or_default().to_string_lossy();
                    let hint = format!("the file is {file}; all others can be listed without it");
                    error.with_hint(hint)
                })
            })
            .collect()
    }
}

impl fmt::Debug for FileStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileStore").field("path", &self.path()).finish_non_exhaustive()
    }
}
