//! What the operating system says, as what the store's owner can do.

use std::io;

use cotter_core::{StoreError, StoreErrorKind};

/// A failure to look at something.
pub(crate) fn reading(error: io::Error, message: &'static str) -> StoreError {
    convert(error, message, StoreErrorKind::Forbidden)
}

/// A failure to change something.
pub(crate) fn writing(error: io::Error, message: &'static str) -> StoreError {
    convert(error, message, StoreErrorKind::ReadOnly)
}

fn convert(error: io::Error, message: &'static str, denied: StoreErrorKind) -> StoreError {
    use io::ErrorKind as Io;
    let (kind, hint) = match error.kind() {
        Io::StorageFull | Io::QuotaExceeded => {
            (StoreErrorKind::Full, "free some space; what was saved before is untouched")
        }
        Io::ReadOnlyFilesystem => {
            (StoreErrorKind::ReadOnly, "the store's file system is mounted read-only")
        }
        Io::NotFound | Io::NotADirectory => {
            (StoreErrorKind::Unavailable, "the store's folder was moved or removed; open it again")
        }
        _ if is_symlink(&error) => {
            (StoreErrorKind::Forbidden, "there is a symbolic link where a file should be")
        }
        Io::PermissionDenied => (denied, "the store's folder and files must be the user's own"),
        _ => return StoreError::new(StoreErrorKind::Other, message).with_source(error),
    };
    StoreError::new(kind, message).with_hint(hint).with_source(error)
}

/// What `O_NOFOLLOW` answers.
#[cfg(unix)]
fn is_symlink(error: &io::Error) -> bool {
    // FreeBSD says EMLINK.
    [rustix::io::Errno::LOOP, rustix::io::Errno::MLINK]
        .iter()
        .any(|errno| error.raw_os_error() == Some(errno.raw_os_error()))
}

#[cfg(not(unix))]
fn is_symlink(_error: &io::Error) -> bool {
    false
}

pub(crate) fn forbidden(message: &'static str, hint: &'static str) -> StoreError {
    StoreError::new(StoreErrorKind::Forbidden, message).with_hint(hint)
}
