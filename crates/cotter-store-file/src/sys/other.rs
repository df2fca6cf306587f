//! Files as other systems have them: access is what the folder inherits, links are looked for.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::path::Path;
use std::time::SystemTime;

/// Refuses a symbolic link, as far as that can be done before opening.
fn guarded(path: &Path, options: &OpenOptions) -> io::Result<File> {
    match std::fs::symlink_metadata(path) {
        Ok(found) if found.is_symlink() => {
            Err(io::Error::new(io::ErrorKind::PermissionDenied, "a symbolic link"))
        }
        _ => options.open(path),
    }
}

pub(crate) fn open_read(path: &Path) -> io::Result<File> {
    guarded(path, OpenOptions::new().read(true))
}

pub(crate) fn create_new(path: &Path) -> io::Result<File> {
    guarded(path, OpenOptions::new().write(true).create_new(true))
}

pub(crate) fn open_lock(path: &Path) -> io::Result<File> {
    guarded(path, OpenOptions::new().read(true).write(true).create(true).truncate(false))
}

pub(crate) fn make_folder(path: &Path) -> io::Result<()> {
    std::fs::create_dir(path)
}

/// The stamp of one file and whether another is there.
pub(crate) fn look(folder: &Path, file: &str, other: &str) -> io::Result<(Stamp, bool)> {
    let stamp = stamp(&std::fs::symlink_metadata(folder.join(file))?);
    Ok((stamp, std::fs::symlink_metadata(folder.join(other)).is_ok()))
}

pub(crate) fn try_lock(file: &File) -> io::Result<bool> {
    match fs4::FileExt::try_lock(file) {
        Ok(()) => Ok(true),
        Err(fs4::TryLockError::WouldBlock) => Ok(false),
        Err(fs4::TryLockError::Error(error)) => Err(error),
    }
}

pub(crate) fn unlock(file: &File) -> io::Result<()> {
    fs4::FileExt::unlock(file)
}

/// A folder is no file here; renames are journaled by the file system.
pub(crate) fn sync_folder(_path: &Path) -> io::Result<()> {
    Ok(())
}

pub(crate) fn read_start(mut file: &File, buffer: &mut [u8]) -> io::Result<usize> {
    file.rewind()?;
    file.read(buffer)
}

pub(crate) fn write_start(mut file: &File, bytes: &[u8]) -> io::Result<()> {
    file.rewind()?;
    file.write_all(bytes)
}

pub(crate) fn is_ours(_metadata: &Metadata) -> bool {
    true
}

pub(crate) fn others_write(_metadata: &Metadata) -> bool {
    false
}

pub(crate) fn others_may(_metadata: &Metadata) -> bool {
    false
}

pub(crate) fn keep_to_owner(_file: &File, _metadata: &Metadata) -> io::Result<()> {
    Ok(())
}

/// Making, modification and length: another file in this one's place has another.
pub(crate) type Stamp = (Option<SystemTime>, Option<SystemTime>, u64);

pub(crate) fn stamp(metadata: &Metadata) -> Stamp {
    (metadata.created().ok(), metadata.modified().ok(), metadata.len())
}
