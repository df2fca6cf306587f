//! The header as it stands now: another process may have resealed the store, or removed it.

use std::sync::{Arc, PoisonError, RwLock};

use cotter_core::{StoreError, StoreErrorKind};
use cotter_seal::{KeySource, Vault};

use crate::fail;
use crate::folder::{self, Folder};
use crate::sys::{self, Stamp};

pub(crate) const KIND: &str = "file";

/// How the header is opened.
#[derive(Clone, Debug)]
pub(crate) enum Opener {
    Sealed(Arc<dyn KeySource>),
    /// From the first to the second.
    Moving(Arc<dyn KeySource>, Arc<dyn KeySource>),
    Unsealed,
}

impl Opener {
    pub(crate) fn open(&self, header: &[u8]) -> Result<Vault, StoreError> {
        match self {
            Self::Sealed(source) => Vault::open(KIND, header, source),
            Self::Moving(from, to) => Vault::open_moving(KIND, header, from, to),
            Self::Unsealed => Vault::danger_open_unsealed(KIND, header),
        }
    }
}

/// One header, and the file that it was read from.
#[derive(Clone, Debug)]
pub(crate) struct Current {
    pub(crate) vault: Arc<Vault>,
    pub(crate) stamp: Stamp,
}

#[derive(Debug)]
pub(crate) struct State {
    opener: Opener,
    current: RwLock<Current>,
}

impl State {
    pub(crate) fn read(opener: Opener, folder: &Folder) -> Result<Option<Self>, StoreError> {
        let Some(current) = read(&opener, folder)? else { return Ok(None) };
        Ok(Some(Self { opener, current: RwLock::new(current) }))
    }

    /// The vault of the header that stands there now.
    pub(crate) fn current(&self, folder: &Folder) -> Result<Current, StoreError> {
        let known = self.current.read().unwrap_or_else(PoisonError::into_inner).clone();
        let found = std::fs::symlink_metadata(folder.header())
            .map_err(|error| cannot_look(folder, error))?;
        if sys::stamp(&found) == known.stamp { Ok(known) } else { self.again(folder) }
    }

    /// Reads header and keys once more.
    pub(crate) fn again(&self, folder: &Folder) -> Result<Current, StoreError> {
        let current = read(&self.opener, folder)?.ok_or_else(|| no_header(folder))?;
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = current.clone();
        Ok(current)
    }
}

fn read(opener: &Opener, folder: &Folder) -> Result<Option<Current>, StoreError> {
    let Some((bytes, found)) = folder::read(&folder.header())? else { return Ok(None) };
    let vault = Arc::new(opener.open(&bytes)?);
    Ok(Some(Current { vault, stamp: sys::stamp(&found) }))
}

/// Why the header cannot be looked at.
pub(crate) fn cannot_look(folder: &Folder, error: std::io::Error) -> StoreError {
    match error.kind() {
        std::io::ErrorKind::NotFound => no_header(folder),
        _ => fail::reading(error, "the store's header cannot be looked at"),
    }
}

/// The folder is gone, or only the header in it.
pub(crate) fn no_header(folder: &Folder) -> StoreError {
    match folder.vet() {
        Err(error) => error,
        Ok(false) => folder::gone(),
        Ok(true) => StoreError::new(StoreErrorKind::Damaged, "the store's header is gone")
            .with_hint("bring `cotter.header` back from a backup, or remove the folder"),
    }
}
