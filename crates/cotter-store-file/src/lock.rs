//! Locks that the kernel holds for one open file, and gives back when its process ends.

use core::time::Duration;
use std::fs::File;
use std::path::Path;
use std::time::{Instant, UNIX_EPOCH};

use cotter_core::{Holder, StoreError, StoreErrorKind, Timestamp};

use crate::fail;
use crate::folder;
use crate::sys;

/// A lock that is held until this is dropped. Its file is never removed: another process may have
/// it open, and would lock what nobody else sees any more.
#[derive(Debug)]
pub(crate) struct Lock(File);

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing is not enough: a child process that another thread is just starting has the same
        // open file until it runs its own program. Where this fails, closing does it in the end.
        let _ = sys::unlock(&self.0);
    }
}

impl Lock {
    /// The lock, or who holds it; it never waits.
    pub(crate) fn try_take(path: &Path) -> Result<Result<Self, Holder>, StoreError> {
        let file = open(path)?;
        Ok(if attempt(&file)? { Ok(Self(file)) } else { Err(holder(&file)) })
    }

    /// The lock, after at most `wait`.
    pub(crate) fn take(path: &Path, wait: Duration) -> Result<Self, StoreError> {
        const LONGEST: Duration = Duration::from_millis(5);
        let file = open(path)?;
        let began = Instant::now();
        let mut pause = Duration::from_micros(50);
        while !attempt(&file)? {
            let Some(left) = wait.checked_sub(began.elapsed()) else {
                let message = "another process holds the store's lock";
                return Err(StoreError::new(StoreErrorKind::Locked, message)
                    .with_hint(format!("it is held by {}; try again later", holder(&file))));
            };
            std::thread::sleep(pause.min(left));
            pause = (pause * 2).min(LONGEST);
        }
        Ok(Self(file))
    }
}

fn open(path: &Path) -> Result<File, StoreError> {
    let file = sys::open_lock(path)
        .map_err(|error| fail::writing(error, "a lock file of the store cannot be opened"))?;
    folder::vet_file(&file)?;
    Ok(file)
}

/// Who has the lock writes into the file who it is, for the others to read; nothing else depends
/// on it, so that a full disk keeps nobody from locking.
fn attempt(file: &File) -> Result<bool, StoreError> {
    let taken = sys::try_lock(file)
        .map_err(|error| fail::writing(error, "the store's file system has no locks"))?;
    if taken {
        let _ = sys::write_start(file, format!("{:10}\n", std::process::id()).as_bytes());
    }
    Ok(taken)
}

fn holder(file: &File) -> Holder {
    let mut text = [0; 11];
    let read = sys::read_start(file, &mut text).unwrap_or_default();
    let text = core::str::from_utf8(&text[..read]).unwrap_or_default();
    let Ok(pid) = text.trim().parse() else { return Holder::unknown() };
    // Written when the lock was taken.
    let since = file.metadata().and_then(|found| found.modified()).ok();
    let since = since.and_then(|since| since.duration_since(UNIX_EPOCH).ok());
    let millis = since.and_then(|since| i64::try_from(since.as_millis()).ok());
    Holder::process(pid, millis.map(Timestamp::from_unix_millis))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_is_given_back_even_where_a_child_process_has_its_file_too() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let lock = Lock::try_take(&path).unwrap().unwrap();
        let inherited = lock.0.try_clone().unwrap();
        assert!(Lock::try_take(&path).unwrap().is_err());
        drop(lock);
        assert!(Lock::try_take(&path).unwrap().is_ok());
        drop(inherited);
    }
}
