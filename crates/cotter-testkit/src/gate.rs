//! A place where calls wait until the test lets them through.

use core::future::poll_fn;
use core::task::{Poll, Waker};
use core::time::Duration;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// How long a test waits for a call to arrive before it is called stuck.
const PATIENCE: Duration = Duration::from_secs(20);

/// A gate, closed at first; a clone is the same gate.
///
/// What stands before it may be a thread or a task. The test waits until somebody stands there,
/// does what it wants to do meanwhile, and opens.
///
/// ```
/// use cotter_testkit::Gate;
///
/// let gate = Gate::new();
/// let inside = std::thread::spawn({
///     let gate = gate.clone();
///     move || gate.pass()
/// });
/// gate.until_reached();
/// assert!(!inside.is_finished());
/// gate.open();
/// inside.join().unwrap();
/// ```
#[derive(Clone, Debug, Default)]
pub struct Gate(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    open: bool,
    arrived: usize,
    wakers: Vec<Waker>,
}

impl Gate {
    /// A closed gate.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets through everybody who waits and everybody who comes.
    pub fn open(&self) {
        self.change(|state| state.open = true);
    }

    /// How many have come to the gate so far.
    #[must_use]
    pub fn arrived(&self) -> usize {
        self.state().arrived
    }

    /// Waits, blocking the thread, until the gate is open.
    pub fn pass(&self) {
        self.change(|state| state.arrived += 1);
        let mut state = self.state();
        while !state.open {
            state = self.0.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Waits until the gate is open.
    pub async fn pass_async(&self) {
        self.change(|state| state.arrived += 1);
        self.poll_until(|state| state.open).await;
    }

    /// Waits, blocking the thread, until somebody has come to the gate.
    ///
    /// # Panics
    /// If nobody comes for 20 seconds.
    pub fn until_reached(&self) {
        let state = self.state();
        let (state, _) = self
            .0
            .changed
            .wait_timeout_while(state, PATIENCE, |state| state.arrived == 0)
            .unwrap_or_else(PoisonError::into_inner);
        assert!(state.arrived > 0, "nobody came to the gate");
    }

    /// Waits until somebody has come to the gate.
    pub async fn until_reached_async(&self) {
        self.poll_until(|state| state.arrived > 0).await;
    }

    async fn poll_until(&self, done: impl Fn(&State) -> bool) {
        poll_fn(|context| {
            let mut state = self.state();
            if done(&state) {
                return Poll::Ready(());
            }
            if !state.wakers.iter().any(|waker| waker.will_wake(context.waker())) {
                state.wakers.push(context.waker().clone());
            }
            Poll::Pending
        })
        .await;
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.state();
        change(&mut state);
        let wakers = core::mem::take(&mut state.wakers);
        drop(state);
        self.0.changed.notify_all();
        wakers.into_iter().for_each(Waker::wake);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(all(test, feature = "async"))]
mod tests {
    use super::*;

    #[test]
    fn a_task_waits_for_a_thread_and_the_other_way_round() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let (there, back) = (Gate::new(), Gate::new());
        let thread = std::thread::spawn({
            let (there, back) = (there.clone(), back.clone());
            move || {
                there.until_reached();
                there.open();
                back.pass();
            }
        });
        runtime.block_on(async {
            there.pass_async().await;
            back.until_reached_async().await;
            back.open();
        });
        thread.join().unwrap();
        assert_eq!((there.arrived(), back.arrived()), (1, 1));
    }

    #[test]
    fn an_open_gate_holds_nobody_up() {
        let gate = Gate::new();
        gate.open();
        gate.pass();
        assert_eq!(gate.arrived(), 1);
    }
}
