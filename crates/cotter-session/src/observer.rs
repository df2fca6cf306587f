//! Who is told what happens.

use core::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::sync::Arc;

use cotter_core::{Event, StoreKey};

/// Is told what happens to sessions.
///
/// Called outside of all locks, after the result is visible to callers; a panic in it is caught and
/// changes nothing. It runs on the task or thread that did the work, so keep it short.
///
/// ```
/// use cotter_core::{Event, StoreKey};
/// use cotter_session::Observer;
///
/// #[derive(Debug)]
/// struct Log;
///
/// impl Observer for Log {
///     fn observe(&self, key: &StoreKey, event: Event) {
///         match event {
///             Event::SignInRequired(reason) => eprintln!("{}: sign in again: {reason:?}", key.session()),
///             Event::Unpersisted => eprintln!("{}: the new tokens are not on disk yet", key.session()),
///             _ => {}
///         }
///     }
/// }
/// ```
pub trait Observer: Send + Sync + core::fmt::Debug {
    /// `event` happened to the session under `key`.
    fn observe(&self, key: &StoreKey, event: Event);
}

/// Tells `observer`, if there is one, and the log.
pub(crate) fn tell(observer: Option<&Arc<dyn Observer>>, key: &StoreKey, events: &[Event]) {
    for event in events {
        #[cfg(feature = "tracing")]
        tracing::debug!(target: "cotter", ?event, "session");
        if let Some(observer) = observer {
            // A panic in somebody else's code must not end a flight.
            let _ = catch_unwind(AssertUnwindSafe(|| observer.observe(key, *event)));
        }
    }
}
