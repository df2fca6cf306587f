//! The store's own thread: it works off one queue, so that nothing overtakes a call that is stuck, and who
//! waits for an answer waits no longer than a deadline (rule 21).

use core::panic::AssertUnwindSafe;
use core::time::Duration;
use std::panic::catch_unwind;
use std::sync::Arc;

use cotter_core::{BlockingTokenStore, StoreError, StoreErrorKind};

/// A store and the thread on which it is called: begun with the first call, ended with the session.
#[derive(Debug)]
pub(super) struct Desk {
    store: Arc<dyn BlockingTokenStore>,
    #[cfg_attr(test, allow(dead_code))]
    deadline: Duration,
    #[cfg(not(test))]
    queue: queue::Queue,
}

impl Desk {
    pub(super) fn new(store: Arc<dyn BlockingTokenStore>, deadline: Duration) -> Self {
        Self {
            store,
            deadline,
            #[cfg(not(test))]
            queue: queue::Queue::default(),
        }
    }

    /// Calls the store; `unwanted` takes back what was answered when nobody waited for it any more.
    #[cfg(not(test))]
    pub(super) fn call<T: Send + 'static>(
        &self,
        work: impl FnOnce(&dyn BlockingTokenStore) -> Result<T, StoreError> + Send + 'static,
        unwanted: impl FnOnce(&dyn BlockingTokenStore, T) + Send + 'static,
    ) -> Result<T, StoreError> {
        use std::sync::mpsc::{RecvTimeoutError, SendError, sync_channel};

        // Without room for an answer: either it is taken, or it comes back.
        let (answer, answered) = sync_channel(0);
        let store = Arc::clone(&self.store);
        self.queue.push(Box::new(move || {
            let result = guarded(&*store, work);
            // Who drops a session that has answered drops its store, and may open it anew at once.
            let late = Arc::downgrade(&store);
            drop(store);
            if let Err(SendError(Ok(unread))) = answer.send(result) {
                if let Some(store) = late.upgrade() {
                    unwanted(&*store, unread);
                }
            }
        }))?;
        match answered.recv_timeout(self.deadline) {
            Ok(result) => result,
            Err(RecvTimeoutError::Timeout) => Err(StoreError::new(
                StoreErrorKind::Timeout,
                "the store did not answer in time; a write may have happened",
            )),
            Err(RecvTimeoutError::Disconnected) => Err(panicked()),
        }
    }

    /// The model schedules the callers' threads, and a store that steps in them.
    #[cfg(test)]
    pub(super) fn call<T: Send + 'static>(
        &self,
        work: impl FnOnce(&dyn BlockingTokenStore) -> Result<T, StoreError> + Send + 'static,
        _: impl FnOnce(&dyn BlockingTokenStore, T) + Send + 'static,
    ) -> Result<T, StoreError> {
        guarded(&*self.store, work)
    }
}

fn guarded<T>(
    store: &dyn BlockingTokenStore,
    work: impl FnOnce(&dyn BlockingTokenStore) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    catch_unwind(AssertUnwindSafe(|| work(store))).unwrap_or_else(|_| Err(panicked()))
}

fn panicked() -> StoreError {
    StoreError::new(StoreErrorKind::Other, "the store panicked")
}

#[cfg(not(test))]
mod queue {
    use core::panic::AssertUnwindSafe;
    use std::panic::catch_unwind;
    use std::sync::mpsc::{self, SendError};
    use std::sync::{Mutex, PoisonError};

    use cotter_core::{StoreError, StoreErrorKind};

    type Job = Box<dyn FnOnce() + Send>;

    #[derive(Debug, Default)]
    pub(super) struct Queue(Mutex<Option<mpsc::Sender<Job>>>);

    impl Queue {
        /// Puts a job behind those that are there; a thread that could not be had is tried again.
        pub(super) fn push(&self, job: Job) -> Result<(), StoreError> {
            let mut jobs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let job = match &*jobs {
                Some(running) => match running.send(job) {
                    Ok(()) => return Ok(()),
                    Err(SendError(job)) => job,
                },
                None => job,
            };
            let (queue, work) = mpsc::channel::<Job>();
            let thread = std::thread::Builder::new().name(String::from("cotter-store"));
            let spawned = thread.spawn(move || {
                while let Ok(job) = work.recv() {
                    // Calls are guarded; what may still panic is a store that is dropped.
                    let _ = catch_unwind(AssertUnwindSafe(job));
                }
            });
            spawned.map_err(|error| {
                let what = "no thread can be had to call the store on";
                StoreError::new(StoreErrorKind::Other, what).with_source(error)
            })?;
            // The thread has just begun to listen.
            let _ = queue.send(job);
            *jobs = Some(queue);
            Ok(())
        }
    }
}
