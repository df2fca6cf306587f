//! A spinner for what takes longer than a second; only on a terminal, and it goes away.

use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;
use std::io::{self, IsTerminal as _, StderrLock, Write as _};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use crate::output;

/// How long something may take before anything is said about it.
const PATIENCE: Duration = Duration::from_secs(1);
const FRAME: Duration = Duration::from_millis(120);
/// Whether a frame stands on the terminal's last line; changed under standard error's lock.
static SHOWN: AtomicBool = AtomicBool::new(false);

const FRAMES: [char; 4] = ['|', '/', '-', '\\'];

/// Standard error, on a line without a spinner until this is dropped.
pub(crate) fn clean_line() -> StderrLock<'static> {
    let mut err = io::stderr().lock();
    if SHOWN.swap(false, Ordering::Relaxed) {
        let _ = write!(err, "\r\x1b[2K");
        let _ = err.flush();
    }
    err
}

/// Says what is being waited for. Cheap until something slow begins.
#[derive(Debug)]
pub(crate) struct Progress {
    wanted: bool,
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    ended: Condvar,
    /// Whether the terminal can take back what it shows.
    moves: bool,
}

#[derive(Debug, Default)]
struct State {
    what: &'static str,
    over: bool,
}

impl Progress {
    pub(crate) fn new(quiet: bool) -> Self {
        Self {
            wanted: !quiet && io::stderr().is_terminal(),
            shared: Arc::new(Shared { moves: !output::is_dumb(), ..Shared::default() }),
            thread: Mutex::new(None),
        }
    }

    /// From now on this is what is waited for.
    pub(crate) fn say(&self, what: &'static str) {
        tracing::debug!("{what}");
        if !self.wanted {
            return;
        }
        self.shared.lock().what = what;
        let mut thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        if thread.is_none() {
            self.shared.lock().over = false;
            let shared = Arc::clone(&self.shared);
            // Without a thread there is no spinner, nothing else.
            *thread = thread::Builder::new().spawn(move || shared.spin()).ok();
        }
    }

    /// Does something that may make one wait; if nothing is waited for already, for this.
    pub(crate) fn during<T>(&self, what: &'static str, work: impl FnOnce() -> T) -> T {
        if self.thread.lock().unwrap_or_else(PoisonError::into_inner).is_some() {
            return work();
        }
        self.say(what);
        let done = work();
        self.done();
        done
    }

    /// Nothing is waited for any more; the line is clean when this returns.
    pub(crate) fn done(&self) {
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            self.shared.lock().over = true;
            self.shared.ended.notify_all();
            let _ = thread.join();
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.done();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn spin(&self) {
        let mut pause = PATIENCE;
        let mut said = "";
        for frame in FRAMES.into_iter().cycle() {
            let state = self.lock();
            let (state, _) = self
                .ended
                .wait_timeout_while(state, pause, |state| !state.over)
                .unwrap_or_else(PoisonError::into_inner);
            let (over, what) = (state.over, state.what);
            drop(state);
            if !self.moves {
                // A terminal that only writes line after line: each thing once.
                if over {
                    return;
                }
                if said != what {
                    let _ = writeln!(io::stderr().lock(), "cotter: {what} ...");
                }
                (said, pause) = (what, FRAME);
                continue;
            }
            let mut err = clean_line();
            if over {
                return;
            }
            let _ = write!(err, "{frame} {what} ...");
            let _ = err.flush();
            SHOWN.store(true, Ordering::Relaxed);
            pause = FRAME;
        }
    }
}
