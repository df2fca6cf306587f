//! sled, with its panics caught and its errors named.

use core::panic::AssertUnwindSafe;
use core::time::Duration;
use std::panic::catch_unwind;
use std::path::Path;
use std::sync::mpsc;
use std::thread;
use std::time::Instant;

use cotter_core::{Holder, Revision, StoreError, StoreErrorKind};
use cotter_seal::RecordName;
use sled::IVec;

use crate::disk;
use crate::lock;
use crate::marks::Mark;

const RECORD: u8 = b'r';
const REVISION: u8 = b'v';
const MARK: &[u8] = b"m";
const CACHE: u64 = 64 * 1024 * 1024;
const POLL: Duration = Duration::from_millis(10);

/// The open database.
///
/// Under `r` and a record's name stands the sealed record, under `v` and its name its revision, and
/// under `m` the mark; a batch changes the three at once or not at all.
#[derive(Debug)]
pub(crate) struct Engine {
    db: sled::Db,
}

/// What to do to a record.
#[derive(Debug)]
pub(crate) enum Change {
    Put(Vec<u8>, Revision),
    Remove,
}

impl Engine {
    /// Opens or makes the database, waiting for another owner until `deadline`.
    pub(crate) fn open(folder: &Path, deadline: Instant) -> Result<Self, StoreError> {
        // No flushing thread: it would rewrite and reuse parts of the log between two of our syncs.
        let config = sled::Config::new().path(folder).flush_every_ms(None).cache_capacity(CACHE);
        loop {
            match catch_unwind(AssertUnwindSafe(|| config.open())) {
                Ok(Ok(db)) => return Ok(Self { db }),
                Ok(Err(error)) if is_lock(&error) => {
                    if Instant::now() >= deadline {
                        return Err(lock::locked(&Holder::unknown()));
                    }
                    thread::sleep(POLL);
                }
                Ok(Err(error)) => return Err(named(error)),
                Err(_) => return Err(panicked()),
            }
        }
    }

    pub(crate) fn mark(&self) -> Result<Option<Mark>, StoreError> {
        match guarded(|| self.db.get(MARK))? {
            Some(bytes) => match Mark::from_bytes(&bytes) {
                Some(mark) => Ok(Some(mark)),
                None => Err(damaged("sled gave something that is no mark")),
            },
            None => Ok(None),
        }
    }

    pub(crate) fn record(&self, name: &RecordName) -> Result<Option<IVec>, StoreError> {
        guarded(|| self.db.get(at(RECORD, name)))
    }

    pub(crate) fn revision(&self, name: &RecordName) -> Result<Option<Revision>, StoreError> {
        match guarded(|| self.db.get(at(REVISION, name)))? {
            Some(bytes) => revision(&bytes).map(Some),
            None => Ok(None),
        }
    }

    /// Makes the change and the mark that goes with it; durable only once the caller has flushed.
    pub(crate) fn apply(
        &self,
        name: &RecordName,
        change: Change,
        mark: Mark,
    ) -> Result<(), StoreError> {
        let mut batch = sled::Batch::default();
        match change {
            Change::Put(sealed, revision) => {
                batch.insert(&at(RECORD, name)[..], sealed);
                batch.insert(&at(REVISION, name)[..], &revision.to_bytes()[..]);
            }
            Change::Remove => {
                batch.remove(&at(RECORD, name)[..]);
                batch.remove(&at(REVISION, name)[..]);
            }
        }
        batch.insert(MARK, &mark.to_bytes()[..]);
        guarded(|| self.db.apply_batch(batch))
    }

    pub(crate) fn flush(&self) -> Result<(), StoreError> {
        guarded(|| self.db.flush()).map(|_| ())
    }

    /// Every record's name, with its revision.
    pub(crate) fn names(
        &self,
    ) -> impl Iterator<Item = Result<(RecordName, Revision), StoreError>> + '_ {
        let mut entries = self.db.scan_prefix([REVISION]);
        core::iter::from_fn(move || {
            let entry = match guarded(|| entries.next().transpose()) {
                Ok(None) => return None,
                Ok(Some(entry)) => entry,
                Err(error) => return Some(Err(error)),
            };
            let (key, value) = entry;
            let name = key.get(1..).and_then(|name| name.try_into().ok());
            let Some(name) = name.map(RecordName::from_bytes) else {
                return Some(Err(damaged("sled gave something that is no name")));
            };
            Some(revision(&value).map(|revision| (name, revision)))
        })
        .scan(false, |failed, entry| {
            // Nothing is asked of an iterator that has failed.
            if *failed {
                return None;
            }
            *failed = entry.is_err();
            Some(entry)
        })
    }

    /// Gives the database back, on a thread of its own: after a write that failed for want of space,
    /// sled waits for ever for that write as it goes.
    pub(crate) fn close(self) -> Closing {
        let (done, closed) = mpsc::channel();
        let drop_it = move || {
            let _ = catch_unwind(AssertUnwindSafe(|| drop(self.db)));
            let _ = done.send(());
        };
        // Where no thread can be had, the closure is dropped here, and the database with it.
        let _ = thread::Builder::new().name("cotter-sled".into()).spawn(drop_it);
        Closing(closed)
    }
}

/// A database on its way out.
#[derive(Debug)]
pub(crate) struct Closing(mpsc::Receiver<()>);

impl Closing {
    /// Whether it is gone, after waiting this long for it at most.
    pub(crate) fn is_over(&self, wait: Duration) -> bool {
        !matches!(self.0.recv_timeout(wait), Err(mpsc::RecvTimeoutError::Timeout))
    }
}

fn at(kind: u8, name: &RecordName) -> [u8; 1 + RecordName::LENGTH] {
    let mut key = [kind; 1 + RecordName::LENGTH];
    key[1..].copy_from_slice(name.as_bytes());
    key
}

fn revision(bytes: &[u8]) -> Result<Revision, StoreError> {
    let bytes = bytes.try_into().map_err(|_| damaged("sled gave something that is no revision"))?;
    Ok(Revision::from_bytes(bytes))
}

/// sled panics on some kinds of damage; none of that may reach the caller.
fn guarded<T>(call: impl FnOnce() -> sled::Result<T>) -> Result<T, StoreError> {
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(named(error)),
        Err(_) => Err(panicked()),
    }
}

/// sled says it with the text alone.
fn is_lock(error: &sled::Error) -> bool {
    matches!(error, sled::Error::Io(error) if error.to_string().contains("could not acquire lock"))
}

fn named(error: sled::Error) -> StoreError {
    match error {
        sled::Error::Io(error) => disk::io_error(unwrapped(error), "sled failed"),
        error => damaged("sled found its files damaged").with_source(error),
    }
}

/// sled puts some errors of the system into one of its own that has lost the kind.
fn unwrapped(error: std::io::Error) -> std::io::Error {
    const ENOSPC: &str = "No space left on device";
    if error.kind() == std::io::ErrorKind::Other && error.to_string().contains(ENOSPC) {
        return std::io::Error::new(std::io::ErrorKind::StorageFull, error);
    }
    error
}

fn panicked() -> StoreError {
    damaged("sled panicked, as it does over damaged files")
}

pub(crate) fn damaged(message: &'static str) -> StoreError {
    StoreError::new(StoreErrorKind::Damaged, message).with_hint(disk::DAMAGED_HINT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_inside_sled_is_damage_and_goes_no_further() {
        let error = guarded(|| -> sled::Result<()> { panic!("as sled does") }).unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Damaged);
    }

    #[test]
    fn a_full_disk_is_full_however_sled_says_it() {
        use std::io::{Error, ErrorKind};
        for error in [
            Error::from(ErrorKind::StorageFull),
            Error::other("wrapped: No space left on device (os error 28)"),
        ] {
            assert_eq!(named(sled::Error::Io(error)).kind(), StoreErrorKind::Full);
        }
    }
}
