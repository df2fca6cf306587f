//! How a store begins.

use core::time::Duration;

use cotter_core::{StoreError, StoreErrorKind};
use cotter_seal::{KeySource, Vault};

use crate::crash;
use crate::disk::Disk;
use crate::entropy::Os;
use crate::folder::{self, Folder, HEADER};
use crate::lock::Lock;
use crate::state::{KIND, Opener, State};
use crate::write;

/// The store in `folder`, which is made if there is none (rule 7: only under the folder's lock, and
/// only where nothing sealed lies; what was written is read back and used).
pub(crate) fn open_or_create(
    opener: Opener,
    folder: &Folder,
    disk: &dyn Disk,
    wait: Duration,
) -> Result<State, StoreError> {
    if folder.vet()? {
        if let Some(state) = State::read(opener.clone(), folder)? {
            return Ok(state);
        }
    }
    folder.make()?;
    let _lock = Lock::take(&folder.lock(), wait)?;
    if let Some(state) = State::read(opener.clone(), folder)? {
        return Ok(state);
    }
    if !folder.records()?.is_empty() {
        return Err(crate::state::no_header(folder));
    }
    crash::point("before-key");
    let vault = match &opener {
        Opener::Sealed(source) | Opener::Moving(_, source) => Vault::create(KIND, source, &Os)?,
        Opener::Unsealed => Vault::danger_create_unsealed(KIND)?,
    };
    crash::point("before-header");
    write::sweep(disk, folder, HEADER);
    write::replace(disk, folder, HEADER, &vault.header().to_bytes())?;
    State::read(opener, folder)?.ok_or_else(|| {
        StoreError::new(StoreErrorKind::Unavailable, "the store's header vanished as it was made")
    })
}

/// The store in `folder`, if there is one; nothing is made.
pub(crate) fn open_existing(opener: Opener, folder: &Folder) -> Result<Option<State>, StoreError> {
    if !folder.vet()? {
        return Ok(None);
    }
    match State::read(opener, folder)? {
        None if !folder.records()?.is_empty() => Err(crate::state::no_header(folder)),
        state => Ok(state),
    }
}

/// Has the header say where the store is on its way to, before anything is sealed with that key.
pub(crate) fn begin_move(
    state: &State,
    to: &dyn KeySource,
    folder: &Folder,
    disk: &dyn Disk,
    wait: Duration,
) -> Result<(), StoreError> {
    let _lock = Lock::take(&folder.lock(), wait)?;
    let Some(begun) = state.again(folder)?.vault.begin_move(to, &Os)? else { return Ok(()) };
    crash::point("before-move");
    write::sweep(disk, folder, HEADER);
    write::replace(disk, folder, HEADER, &begun.header().to_bytes())?;
    state.again(folder).map(|_| ())
}

/// What a store says about itself, without its key.
pub(crate) fn header(folder: &Folder) -> Result<Option<cotter_seal::Header>, StoreError> {
    if !folder.vet()? {
        return Ok(None);
    }
    match folder::read(&folder.header())? {
        Some((bytes, _)) => cotter_seal::Header::from_bytes(&bytes).map(Some),
        None if !folder.records()?.is_empty() => Err(crate::state::no_header(folder)),
        None => Ok(None),
    }
}
