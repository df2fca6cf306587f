//! One thread that talks to the keyring, in the order in which it was asked.
//!
//! A keyring may hang: a prompt nobody answers, a daemon that died. Callers wait until their
//! deadline and no longer; the thread stays with the call that hangs, so that nothing written later
//! overtakes it.

use core::fmt;
use core::time::Duration;
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Instant;

use cotter_core::{StoreError, StoreErrorKind};

use crate::backend::Backend;

type Job = Box<dyn FnOnce(&mut dyn Backend) + Send>;

/// Runs jobs with the backend, one after the other; ends when dropped and idle.
pub(crate) struct Worker {
    jobs: Mutex<Sender<Job>>,
    deadline: Duration,
}

/// What became of a job.
enum Progress<T> {
    Queued,
    Running,
    /// The caller gave up before it began: it must not run.
    Withdrawn,
    Done(Result<T, StoreError>),
}

struct Slot<T> {
    progress: Mutex<Progress<T>>,
    changed: Condvar,
}

impl<T> Slot<T> {
    fn progress(&self) -> MutexGuard<'_, Progress<T>> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, progress: Progress<T>) {
        *self.progress() = progress;
        self.changed.notify_all();
    }
}

/// Answers for a job that panics.
struct Guard<T>(Arc<Slot<T>>);

impl<T> Drop for Guard<T> {
    fn drop(&mut self) {
        if matches!(*self.0.progress(), Progress::Running) {
            // Where it got to is not known, so it may have written.
            let message = "the keyring's code panicked";
            self.0.set(Progress::Done(Err(StoreError::new(StoreErrorKind::Timeout, message))));
        }
    }
}

impl Worker {
    pub(crate) fn start(
        mut backend: Box<dyn Backend>,
        deadline: Duration,
    ) -> Result<Self, StoreError> {
        let (sender, receiver) = mpsc::channel::<Job>();
        thread::Builder::new()
            .name("cotter-keyring".into())
            .spawn(move || {
                for job in receiver {
                    let run = || job(backend.as_mut());
                    // The job's guard has answered already.
                    let _ = std::panic::catch_unwind(core::panic::AssertUnwindSafe(run));
                }
            })
            .map_err(|error| {
                let message = "no thread for the keyring can be started";
                StoreError::new(StoreErrorKind::Unavailable, message).with_source(error)
            })?;
        Ok(Self { jobs: Mutex::new(sender), deadline })
    }

    /// Runs `job` and waits for it until the deadline.
    ///
    /// A job that has not begun by then never will, and nothing of it has happened
    /// (`Unavailable`); of one that has begun, anything may have (`Timeout`).
    pub(crate) fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut dyn Backend, Instant) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let now = Instant::now();
        let end = now.checked_add(self.deadline).unwrap_or(now);
        let slot =
            Arc::new(Slot { progress: Mutex::new(Progress::Queued), changed: Condvar::new() });
        let theirs = Arc::clone(&slot);
        let job: Job = Box::new(move |backend| {
            {
                let mut progress = theirs.progress();
                if matches!(*progress, Progress::Withdrawn) {
                    return;
                }
                *progress = Progress::Running;
            }
            let guard = Guard(theirs);
            let result = job(backend, end);
            guard.0.set(Progress::Done(result));
        });
        let sent = self.jobs.lock().unwrap_or_else(PoisonError::into_inner).send(job);
        if sent.is_err() {
            let message = "the keyring's thread has ended";
            return Err(StoreError::new(StoreErrorKind::Unavailable, message));
        }
        self.wait(&slot, end)
    }

    fn wait<T>(&self, slot: &Slot<T>, end: Instant) -> Result<T, StoreError> {
        let mut progress = slot.progress();
        loop {
            match core::mem::replace(&mut *progress, Progress::Withdrawn) {
                Progress::Done(result) => return result,
                before => *progress = before,
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            progress =
                slot.changed.wait_timeout(progress, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        if matches!(*progress, Progress::Queued) {
            *progress = Progress::Withdrawn;
            return Err(StoreError::new(
                StoreErrorKind::Unavailable,
                "the keyring is still busy with an earlier call; nothing was done",
            )
            .with_hint(STUCK_HINT));
        }
        Err(StoreError::new(
            StoreErrorKind::Timeout,
            "the keyring did not answer in time; a write may have happened all the same",
        )
        .with_hint(STUCK_HINT))
    }
}

const STUCK_HINT: &str =
    "look for an unanswered prompt to unlock the keyring, or start its daemon again";

impl fmt::Debug for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker").field("deadline", &self.deadline).finish_non_exhaustive()
    }
}
