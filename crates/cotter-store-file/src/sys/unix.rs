//! Files as Unix has them.

use std::fs::{DirBuilder, File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::os::unix::fs::{FileExt as _, PermissionsExt as _};
use std::path::Path;

use rustix::fs::{FlockOperation, OFlags};
use rustix::io::Errno;

/// Never through a symbolic link, and never waiting for whoever is at the other end of a pipe.
fn guarded(options: &mut OpenOptions) -> &mut OpenOptions {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    options.mode(0o600).custom_flags(flags.bits() as i32)
}

pub(crate) fn open_read(path: &Path) -> io::Result<File> {
    guarded(OpenOptions::new().read(true)).open(path)
}

pub(crate) fn create_new(path: &Path) -> io::Result<File> {
    guarded(OpenOptions::new().write(true).create_new(true)).open(path)
}

pub(crate) fn open_lock(path: &Path) -> io::Result<File> {
    guarded(OpenOptions::new().read(true).write(true).create(true).truncate(false)).open(path)
}

pub(crate) fn make_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().mode(0o700).create(path)
}

/// The stamp of one file and whether another is there, both in one and the same folder, wherever
/// that is moved meanwhile.
pub(crate) fn look(folder: &Path, file: &str, other: &str) -> io::Result<(Stamp, bool)> {
    let folder = File::open(folder)?;
    let open = |name: &str| {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        rustix::fs::openat(&folder, name, flags, rustix::fs::Mode::empty()).map(File::from)
    };
    let stamp = stamp(&open(file)?.metadata()?);
    Ok((stamp, open(other).err() != Some(Errno::NOENT)))
}

/// Whether the lock, which belongs to this one open file, was taken; it never waits.
pub(crate) fn try_lock(file: &File) -> io::Result<bool> {
    loop {
        match rustix::fs::flock(file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(true),
            Err(Errno::WOULDBLOCK) => return Ok(false),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

pub(crate) fn unlock(file: &File) -> io::Result<()> {
    Ok(rustix::fs::flock(file, FlockOperation::Unlock)?)
}

pub(crate) fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

pub(crate) fn read_start(file: &File, buffer: &mut [u8]) -> io::Result<usize> {
    file.read_at(buffer, 0)
}

pub(crate) fn write_start(file: &File, bytes: &[u8]) -> io::Result<()> {
    file.write_all_at(bytes, 0)
}

pub(crate) fn is_ours(metadata: &Metadata) -> bool {
    metadata.uid() == rustix::process::geteuid().as_raw()
}

/// Whether anybody else may change it.
pub(crate) fn others_write(metadata: &Metadata) -> bool {
    metadata.mode() & 0o022 != 0
}

/// Whether anybody else may do anything with it.
pub(crate) fn others_may(metadata: &Metadata) -> bool {
    metadata.mode() & 0o077 != 0
}

/// Takes from everybody else what they may.
pub(crate) fn keep_to_owner(file: &File, metadata: &Metadata) -> io::Result<()> {
    let mut permissions = metadata.permissions();
    permissions.set_mode(metadata.mode() & 0o7700);
    file.set_permissions(permissions)
}

/// Device, inode, modification and length: another file in this one's place has another.
pub(crate) type Stamp = (u64, u64, (i64, i64), u64);

pub(crate) fn stamp(metadata: &Metadata) -> Stamp {
    let modified = (metadata.mtime(), metadata.mtime_nsec());
    (metadata.dev(), metadata.ino(), modified, metadata.len())
}
