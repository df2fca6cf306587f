//! The folder: what lies where in it, and who may touch it.

use std::fs::{File, Metadata};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use cotter_core::{StoreError, StoreErrorKind};
use cotter_seal::RecordName;

use crate::fail;
use crate::sys;

/// The longest file that is read: more than any record that is written.
const MOST: u64 = crate::MAX_RECORD as u64 + 64 * 1024;

pub(crate) const HEADER: &str = "cotter.header";
pub(crate) const LOCK: &str = "cotter.lock";
const RECORD_SUFFIX: &str = ".rec";

#[derive(Debug)]
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) const fn at(path: PathBuf) -> Self {
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn header(&self) -> PathBuf {
        self.0.join(HEADER)
    }

    pub(crate) fn lock(&self) -> PathBuf {
        self.0.join(LOCK)
    }

    pub(crate) fn record_name(name: RecordName) -> String {
        name.to_hex() + RECORD_SUFFIX
    }

    pub(crate) fn record(&self, name: RecordName) -> PathBuf {
        self.0.join(Self::record_name(name))
    }

    pub(crate) fn cas(&self, name: RecordName) -> PathBuf {
        self.0.join(name.to_hex() + ".cas")
    }

    pub(crate) fn lease(&self, name: RecordName) -> PathBuf {
        self.0.join(name.to_hex() + ".lease")
    }

    /// Where files lie until they are renamed; small, as only what crashed stays there.
    pub(crate) fn temporary(&self) -> PathBuf {
        self.0.join("tmp")
    }

    /// Whether the folder is there. It must be a folder of the user's own that nobody else can
    /// change; one that others may look into is closed to them.
    pub(crate) fn vet(&self) -> Result<bool, StoreError> {
        vet_folder(&self.0)
    }

    /// Makes the folder and what is missing above it, for the user alone.
    pub(crate) fn make(&self) -> Result<(), StoreError> {
        make_all(&self.0, "the store's folder cannot be made")?;
        match self.vet()? {
            true => self.make_temporary(),
            false => Err(gone()),
        }
    }

    pub(crate) fn make_temporary(&self) -> Result<(), StoreError> {
        match sys::make_folder(&self.temporary()) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                Err(fail::writing(error, "the store's folder for temporary files cannot be made"))
            }
            _ => vet_folder(&self.temporary()).map(|_| ()),
        }
    }

    /// The names of all records, in no order.
    pub(crate) fn records(&self) -> Result<Vec<RecordName>, StoreError> {
        self.named(RECORD_SUFFIX)
    }

    /// The names of all records that were ever written, removed ones included.
    pub(crate) fn written(&self) -> Result<Vec<RecordName>, StoreError> {
        self.named(".cas")
    }

    fn named(&self, suffix: &str) -> Result<Vec<RecordName>, StoreError> {
        let failed = |error| fail::reading(error, "the store's folder cannot be listed");
        let mut names = Vec::new();
        for entry in std::fs::read_dir(&self.0).map_err(failed)? {
            let file = entry.map_err(failed)?.file_name();
            let name = file.to_str().and_then(|file| file.strip_suffix(suffix));
            names.extend(name.and_then(RecordName::from_hex));
        }
        Ok(names)
    }
}

/// A file's bytes, what it is like, and `None` where there is no such file.
pub(crate) fn read(path: &Path) -> Result<Option<(Vec<u8>, Metadata)>, StoreError> {
    let failed = |error| fail::reading(error, "a file of the store cannot be read");
    let file = match sys::open_read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened.map_err(failed)?,
    };
    let found = vet_file(&file)?;
    let room = usize::try_from(found.len().min(MOST)).unwrap_or_default();
    let mut bytes = Vec::with_capacity(room + 1);
    // One longer than any is cut here, and damaged then as it is in any case.
    (&file).take(MOST).read_to_end(&mut bytes).map_err(failed)?;
    Ok(Some((bytes, found)))
}

/// An open file must be a plain one of the user's own that nobody else can change; one that others
/// may read is closed to them.
pub(crate) fn vet_file(file: &File) -> Result<Metadata, StoreError> {
    let failed = |error| fail::reading(error, "a file of the store cannot be looked at");
    let found = file.metadata().map_err(failed)?;
    if !found.is_file() {
        return Err(fail::forbidden(
            "a file of the store is no plain file",
            "remove what lies in its place",
        ));
    }
    vet(file, found)
}

fn vet_folder(path: &Path) -> Result<bool, StoreError> {
    let failed = |error| fail::reading(error, "the store's folder cannot be looked at");
    let found = match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        found => found.map_err(failed)?,
    };
    if found.is_symlink() || !found.is_dir() {
        return Err(fail::forbidden(
            "the store's folder is something else",
            "give the path of a real folder, not of a symbolic link or a file",
        ));
    }
    if cfg!(unix) {
        let folder = File::open(path).map_err(failed)?;
        vet(&folder, found)?;
    }
    Ok(true)
}

fn vet(file: &File, found: Metadata) -> Result<Metadata, StoreError> {
    if !sys::is_ours(&found) {
        return Err(fail::forbidden(
            "the store, or a file in it, belongs to another user",
            "run as its owner, or give it to the user who runs this",
        ));
    }
    if sys::others_write(&found) {
        return Err(fail::forbidden(
            "other users may change the store, or a file in it",
            "look at what lies there, then take their permission (chmod go-rwx)",
        ));
    }
    if sys::others_may(&found) {
        // On a read-only file system that stays as it is; the records are sealed.
        let _ = sys::keep_to_owner(file, &found);
    }
    Ok(found)
}

/// Makes a folder and what is missing above it, durably and for the user alone.
pub(crate) fn make_all(path: &Path, message: &'static str) -> Result<(), StoreError> {
    let missing: Vec<_> = path.ancestors().take_while(|path| is_missing(path)).collect();
    for path in missing.into_iter().rev() {
        match sys::make_folder(path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(fail::writing(error, message));
            }
            _ => sync_parent(path)?,
        }
    }
    Ok(())
}

fn is_missing(path: &Path) -> bool {
    let missing = |error: io::Error| error.kind() == io::ErrorKind::NotFound;
    !path.as_os_str().is_empty() && std::fs::symlink_metadata(path).is_err_and(missing)
}

fn sync_parent(path: &Path) -> Result<(), StoreError> {
    let parent = match path.parent() {
        None => return Ok(()),
        Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
        Some(parent) => parent,
    };
    sys::sync_folder(parent)
        .map_err(|error| fail::writing(error, "the folder above the store cannot be synced"))
}

pub(crate) fn gone() -> StoreError {
    StoreError::new(StoreErrorKind::Unavailable, "the store's folder is not there any more")
        .with_hint("it was moved or removed while it was open; open it again")
}
