//! The folder: who may look into it, and what it takes to be sure of what is in it.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use cotter_core::{StoreError, StoreErrorKind};

/// The kind of an I/O error, said as what the folder's owner can do.
pub(crate) fn io_error(error: io::Error, message: &'static str) -> StoreError {
    let (kind, hint) = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            (StoreErrorKind::Full, Some(FULL_HINT))
        }
        io::ErrorKind::PermissionDenied => (
            StoreErrorKind::Forbidden,
            Some("give the folder and everything in it to the user who runs this"),
        ),
        io::ErrorKind::ReadOnlyFilesystem => {
            (StoreErrorKind::ReadOnly, Some("mount the file system for writing"))
        }
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => (
            StoreErrorKind::Unavailable,
            Some("the folder was moved or removed while it was in use: open the store again"),
        ),
        io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidData => {
            (StoreErrorKind::Damaged, Some(DAMAGED_HINT))
        }
        _ => (StoreErrorKind::Other, None),
    };
    let built = StoreError::new(kind, message).with_source(error);
    match hint {
        Some(hint) => built.with_hint(hint),
        None => built,
    }
}

pub(crate) const FULL_HINT: &str =
    "free some space; sled needs room even to open for reading, and nothing that was saved is lost";
pub(crate) const DAMAGED_HINT: &str =
    "bring the folder back from a backup, or move it away and sign in again";

/// Makes `folder` for its owner alone, or checks that it is that.
pub(crate) fn prepare(folder: &Path) -> Result<(), StoreError> {
    match fs::symlink_metadata(folder) {
        Ok(found) => check(&found),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let mut builder = fs::DirBuilder::new();
            builder.recursive(true);
            #[cfg(unix)]
            std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
            builder
                .create(folder)
                .map_err(|error| io_error(error, "the store's folder can't be made"))?;
            // The umask can only take away; a folder made between the look and the call is checked.
            let found = fs::symlink_metadata(folder)
                .map_err(|error| io_error(error, "the store's folder can't be read"))?;
            check(&found)?;
            match folder.parent() {
                Some(parent) => sync_folder(parent),
                None => Ok(()),
            }
        }
        Err(error) => Err(io_error(error, "the store's folder can't be read")),
    }
}

fn check(found: &fs::Metadata) -> Result<(), StoreError> {
    let forbidden =
        |message, hint| Err(StoreError::new(StoreErrorKind::Forbidden, message).with_hint(hint));
    if !found.is_dir() {
        let hint = "give the path of a folder, not of a file or a symbolic link";
        return forbidden("the store's path is not a folder", hint);
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;
        if found.uid() != rustix::process::geteuid().as_raw() {
            let hint = "chown the folder, or choose another";
            return forbidden("the store's folder belongs to another user", hint);
        }
        if found.mode() & 0o077 != 0 {
            let hint = "chmod 700 the folder, after a look at who was in it";
            return forbidden("the store's folder is open to other users", hint);
        }
    }
    Ok(())
}

/// A file for its owner alone, that is no symbolic link.
pub(crate) fn open_private(path: &Path) -> io::Result<File> {
    let mut options = fs::OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        let no_follow = rustix::fs::OFlags::NOFOLLOW.bits();
        options.mode(0o600).custom_flags(no_follow.cast_signed());
    }
    options.open(path)
}

/// Makes the names in a folder survive a power cut; where folders can't be synced, does nothing.
pub(crate) fn sync_folder(folder: &Path) -> Result<(), StoreError> {
    #[cfg(unix)]
    {
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        File::open(folder)
            .and_then(|folder| folder.sync_all())
            .map_err(|error| io_error(error, "the store's folder can't be synced"))
    }
    #[cfg(not(unix))]
    {
        let _ = folder;
        Ok(())
    }
}

/// Refuses a write that might fill the disk, as long as nothing has been touched.
///
/// sled does not recover from a full disk while it runs, so this asks for more than the write needs:
/// a write can make sled write a node again with all its neighbours, whose size is not known. Seen:
/// up to 73 times a record among its like. `greatest` is the greatest record that is known.
pub(crate) fn leave_room(folder: &Path, greatest: usize) -> Result<(), StoreError> {
    #[cfg(unix)]
    {
        const RESERVE: u64 = 2 * 1024 * 1024;
        const REWRITTEN: u64 = 100;
        let Ok(found) = rustix::fs::statvfs(folder) else {
            return Err(StoreError::new(
                StoreErrorKind::Unavailable,
                "the store's folder is not there any more",
            )
            .with_hint("it was removed while it was in use: open the store again"));
        };
        let needed = (greatest as u64).saturating_mul(REWRITTEN).saturating_add(RESERVE);
        if found.f_bavail.saturating_mul(found.f_frsize) < needed {
            return Err(StoreError::new(
                StoreErrorKind::Full,
                "there is too little space left to save a record",
            )
            .with_hint(FULL_HINT));
        }
    }
    #[cfg(not(unix))]
    let _ = (folder, greatest);
    Ok(())
}

/// What of sled's folder is known to have reached the disk.
///
/// sled's own flush asks the kernel to write (`sync_file_range`) but neither waits for the disk's
/// cache nor makes a file's new length or name durable. [`sync`](Self::sync) does, with an `fsync`
/// of the log, of every file that is new, and of the folders that hold them.
#[derive(Debug)]
pub(crate) struct Synced {
    root: PathBuf,
    log: File,
    known: HashSet<PathBuf>,
}

impl Synced {
    /// Of the open database in `root`.
    pub(crate) fn new(root: &Path) -> Result<Self, StoreError> {
        let log = File::options()
            .read(true)
            .write(true)
            .open(root.join("db"))
            .map_err(|error| io_error(error, "sled's log can't be opened"))?;
        Ok(Self { root: root.to_path_buf(), log, known: HashSet::new() })
    }

    pub(crate) fn sync(&mut self) -> Result<(), StoreError> {
        self.log.sync_all().map_err(|error| io_error(error, "sled's log can't be synced"))?;
        let root = self.root.clone();
        for folder in [root.join("blobs"), root] {
            if self.sync_new_in(&folder)? {
                sync_folder(&folder)?;
            }
        }
        Ok(())
    }

    /// Whether there was anything new; files other than the log never change once they have a name.
    fn sync_new_in(&mut self, folder: &Path) -> Result<bool, StoreError> {
        let unreadable = |error| io_error(error, "sled's folder can't be read");
        let mut any = false;
        for entry in fs::read_dir(folder).map_err(unreadable)? {
            let path = entry.map_err(unreadable)?.path();
            if self.known.contains(&path) {
                continue;
            }
            match sync_file(&path) {
                Ok(()) => any |= self.known.insert(path),
                // sled removes what it has replaced whenever it likes.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(io_error(error, "a file of sled's can't be synced")),
            }
        }
        if any {
            self.known.retain(|path| path.parent() != Some(folder) || path.exists());
        }
        Ok(any)
    }
}

fn sync_file(path: &Path) -> io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let directory = path.symlink_metadata()?.is_dir();
        let mode = if directory { 0o700 } else { 0o600 };
        fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
        if directory {
            return File::open(path)?.sync_all();
        }
    }
    #[cfg(not(unix))]
    if path.is_dir() {
        return Ok(());
    }
    File::options().read(true).write(true).open(path)?.sync_all()
}
