//! One process owns the folder: an operating system's lock, waited for within a bound.

use core::time::Duration;
use std::fs::{File, TryLockError};
use std::io::{Read as _, Seek as _, Write as _};
use std::path::Path;
use std::thread;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use cotter_core::{Holder, StoreError, StoreErrorKind, Timestamp};

use crate::disk;

const POLL: Duration = Duration::from_millis(10);

/// The folder's lock; given back when dropped.
#[derive(Debug)]
pub(crate) struct FolderLock(File);

impl Drop for FolderLock {
    fn drop(&mut self) {
        // Closing is not enough: a child process that another thread is just starting has the same
        // open file until it runs its own program. Where this fails, closing does it in the end.
        let _ = self.0.unlock();
    }
}

impl FolderLock {
    /// Waits for the lock until `deadline`.
    pub(crate) fn acquire(path: &Path, deadline: Instant) -> Result<Self, StoreError> {
        let unusable = |error| disk::io_error(error, "the store's lock file can't be used");
        let mut file = disk::open_private(path).map_err(unusable)?;
        loop {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) if Instant::now() < deadline => thread::sleep(POLL),
                Err(TryLockError::WouldBlock) => return Err(locked(&read_holder(&mut file))),
                Err(TryLockError::Error(error)) => return Err(unusable(error)),
            }
        }
        // For people only: a full disk keeps nobody out.
        let _ = write_holder(&mut file);
        Ok(Self(file))
    }
}

pub(crate) fn locked(holder: &Holder) -> StoreError {
    StoreError::new(StoreErrorKind::Locked, format!("the database is in use by {holder}"))
        .with_hint(
            "one process at a time can use a sled store: end the other one, or use the file \
             store, which many can share",
        )
}

/// Waits until nobody holds sled's own lock on its log, which it gives back late.
///
/// A file that is not there is free.
pub(crate) fn wait_until_free(log: &Path, deadline: Instant) -> bool {
    loop {
        let Ok(file) = File::options().read(true).write(true).open(log) else { return true };
        match file.try_lock() {
            Ok(()) => return true,
            Err(_) if Instant::now() < deadline => thread::sleep(POLL),
            Err(_) => return false,
        }
    }
}

fn write_holder(file: &mut File) -> std::io::Result<()> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let text = format!("{} {since}\n", std::process::id());
    file.set_len(0)?;
    file.rewind()?;
    file.write_all(text.as_bytes())
}

fn read_holder(file: &mut File) -> Holder {
    let mut text = String::new();
    let read = file.rewind().and_then(|()| file.take(64).read_to_string(&mut text));
    let mut words = text.split_whitespace();
    match (read, words.next().and_then(|pid| pid.parse().ok())) {
        (Ok(_), Some(pid)) => {
            let since = words.next().and_then(|since| since.parse().ok());
            Holder::process(pid, since.map(Timestamp::from_unix_seconds))
        }
        _ => Holder::unknown(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_is_given_back_even_where_a_child_process_has_its_file_too() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let lock = FolderLock::acquire(&path, Instant::now()).unwrap();
        let inherited = lock.0.try_clone().unwrap();
        assert!(FolderLock::acquire(&path, Instant::now()).is_err());
        drop(lock);
        assert!(FolderLock::acquire(&path, Instant::now()).is_ok());
        drop(inherited);
    }
}
