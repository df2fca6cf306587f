//! Changes that either happened or did not, whatever happens meanwhile.

use std::io;
use std::path::Path;

use cotter_core::{StoreError, StoreErrorKind};

use crate::crash;
use crate::disk::Disk;
use crate::entropy;
use crate::fail;
use crate::folder::Folder;

/// How often a write begins anew after a failed sync: what a file holds after one is unknown, and a
/// second sync of the same file may say that all is well.
const ATTEMPTS: u32 = 2;

/// Puts `bytes` in the place of the file called `name`, or leaves it as it is.
///
/// The caller holds the lock that belongs to `name`.
pub(crate) fn replace(
    disk: &dyn Disk,
    folder: &Folder,
    name: &str,
    bytes: &[u8],
) -> Result<(), StoreError> {
    let target = folder.path().join(name);
    let mut renamed = false;
    let mut last = None;
    for _ in 0..ATTEMPTS {
        crash::point("before-temp");
        match put(disk, folder, name, bytes, &target) {
            Ok(()) => {
                renamed = true;
                crash::point("after-rename");
                match disk.sync_folder(folder.path()) {
                    Ok(()) => {
                        crash::point("after-folder-sync");
                        return Ok(());
                    }
                    Err(error) => last = Some(error),
                }
            }
            Err(Failed::Sync(error)) => last = Some(error),
            Err(Failed::Other(error)) if !renamed => return Err(error),
            Err(Failed::Other(_)) => break,
        }
    }
    let error = last.unwrap_or_else(|| io::Error::from(io::ErrorKind::Other));
    Err(if renamed { uncertain(error) } else { fail::writing(error, CANNOT_WRITE) })
}

const CANNOT_WRITE: &str = "the store cannot be written";

enum Failed {
    /// The bytes may not have reached the disk.
    Sync(io::Error),
    Other(StoreError),
}

fn put(
    disk: &dyn Disk,
    folder: &Folder,
    name: &str,
    bytes: &[u8],
    target: &Path,
) -> Result<(), Failed> {
    let other = |error| Failed::Other(fail::writing(error, CANNOT_WRITE));
    let random = u64::from_be_bytes(entropy::random().map_err(Failed::Other)?);
    let temporary = folder.temporary().join(format!("{name}.{random:016x}"));
    let written = match disk.write_new(&temporary, bytes) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            // Somebody tidied up; if the store itself is gone, this says so.
            folder.make_temporary().map_err(Failed::Other)?;
            disk.write_new(&temporary, bytes)
        }
        written => written,
    };
    let file = written.map_err(other)?;
    crash::point("after-temp-write");
    let discard = || {
        // Best effort: what stays is swept by the next writer.
        let _ = disk.remove(&temporary);
    };
    if let Err(error) = disk.sync(&file, &temporary) {
        discard();
        let full =
            matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded);
        return Err(if full { other(error) } else { Failed::Sync(error) });
    }
    drop(file);
    crash::point("after-file-sync");
    disk.rename(&temporary, target).map_err(|error| {
        discard();
        other(error)
    })
}

/// Removes a file, for good.
pub(crate) fn remove(disk: &dyn Disk, folder: &Folder, path: &Path) -> Result<(), StoreError> {
    crash::point("before-remove");
    disk.remove(path)
        .map_err(|error| fail::writing(error, "a record cannot be removed from the store"))?;
    crash::point("in-remove");
    // Not tried twice: there is nothing to begin anew, and a second sync could lie.
    disk.sync_folder(folder.path()).map_err(uncertain)?;
    crash::point("after-remove");
    Ok(())
}

fn uncertain(error: io::Error) -> StoreError {
    let message = "the change was made, but may not survive a power cut";
    StoreError::new(StoreErrorKind::Timeout, message)
        .with_hint("the disk reports errors; look at the system's log")
        .with_source(error)
}

/// Removes what writers of `name` left behind when they crashed. The caller holds its lock, so none
/// of them is still at work.
pub(crate) fn sweep(disk: &dyn Disk, folder: &Folder, name: &str) {
    // Best effort: what can't be swept now is swept by the next writer, and never read by anybody.
    let Ok(entries) = std::fs::read_dir(folder.temporary()) else { return };
    for entry in entries.flatten() {
        if entry.file_name().to_str().is_some_and(|file| file.starts_with(name)) {
            let _ = disk.remove(&entry.path());
        }
    }
}
