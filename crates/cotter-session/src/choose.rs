//! Which of several stores to use: each is opened and tried on a thread of its own, so that one that
//! hangs costs its patience and nothing else.

use core::fmt;
use core::panic::AssertUnwindSafe;
use core::time::Duration;
use std::panic::catch_unwind;
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};

use cotter_core::flow::choose::{
    Choosing, NoStore, Outcome, Probing, Protection, Report, Terms, Try, begin,
};
use cotter_core::{BlockingTokenStore, Clock as _, Entropy as _, Step, StoreError, StoreErrorKind};

use crate::clock::SystemClock;
use crate::entropy::OsEntropy;

type Open<S> = Box<dyn FnMut() -> Result<Arc<S>, StoreError> + Send>;

/// One of the stores that may be used, and how it is opened.
pub struct Candidate<S: ?Sized = dyn BlockingTokenStore> {
    terms: Terms,
    open: Open<S>,
}

impl<S: BlockingTokenStore + ?Sized + 'static> Candidate<S> {
    /// A candidate of this name, which the report gives and which must hold no secret.
    ///
    /// `open` is called twice: what the first handle wrote has to be there for the second.
    #[must_use]
    pub fn new(
        name: impl Into<std::borrow::Cow<'static, str>>,
        protection: Protection,
        open: impl FnMut() -> Result<Arc<S>, StoreError> + Send + 'static,
    ) -> Self {
        Self { terms: Terms::new(name, protection), open: Box::new(open) }
    }

    /// It may be chosen although nothing protects it: tokens may lie there **in clear**.
    #[must_use]
    pub fn danger_allow_in_clear(mut self) -> Self {
        self.terms = self.terms.danger_allow_in_clear();
        self
    }

    /// It may take this long to be opened and to show that it keeps things; 5 s otherwise.
    #[must_use]
    pub fn with_patience(mut self, patience: Duration) -> Self {
        self.terms = self.terms.with_patience(patience);
        self
    }
}

impl<S: ?Sized> fmt::Debug for Candidate<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Candidate").field("terms", &self.terms).finish_non_exhaustive()
    }
}

/// The store that keeps what it is given, and what came of the others.
#[derive(Debug)]
#[non_exhaustive]
pub struct Chosen<S: ?Sized = dyn BlockingTokenStore> {
    /// The store, open.
    pub store: Arc<S>,
    /// All candidates, in their order, and what came of each.
    pub report: Report,
}

/// Uses the first of these stores that shows that it keeps things: a record is written, read back through
/// a second handle, and removed.
///
/// Tokens are never put in clear without a word: see [`Candidate::danger_allow_in_clear`]. A candidate that
/// is not done within its patience is passed over; its thread ends when its call returns.
///
/// ```
/// # use std::sync::Arc;
/// # use cotter_session::{Candidate, Protection, choose};
/// # use cotter_core::{BlockingTokenStore, StoreError, StoreErrorKind};
/// let keyring = || Err(StoreError::new(StoreErrorKind::Unavailable, "there is no keyring here"));
/// let candidates: Vec<Candidate> =
///     vec![Candidate::new("keyring", Protection::OperatingSystem, keyring)];
/// let none = choose(candidates).unwrap_err();
/// assert_eq!(none.0.to_string(), "keyring: there is no keyring here");
/// ```
///
/// # Errors
/// [`NoStore`] with the report, if none will do.
pub fn choose<S>(candidates: Vec<Candidate<S>>) -> Result<Chosen<S>, NoStore>
where
    S: BlockingTokenStore + ?Sized + 'static,
{
    let (terms, opens): (Vec<_>, Vec<_>) =
        candidates.into_iter().map(|candidate| (candidate.terms, candidate.open)).unzip();
    let mut opens: Vec<_> = opens.into_iter().map(Some).collect();
    let mut store = None;
    let mut choosing = begin(terms);
    loop {
        let candidate = match choosing {
            Choosing::Try(candidate) => candidate,
            Choosing::Done(report) => {
                return match store.filter(|_| report.chosen().is_some()) {
                    Some(store) => Ok(Chosen { store, report }),
                    None => Err(NoStore(report)),
                };
            }
        };
        let open = opens.get_mut(candidate.index()).and_then(Option::take);
        let outcome = match open {
            Some(open) => attempt(&candidate, open, &mut store),
            None => failed("a candidate is tried once"),
        };
        choosing = candidate.tried(outcome);
    }
}

/// Tries one on a thread of its own, and waits for it as long as it may take.
fn attempt<S>(candidate: &Try, open: Open<S>, store: &mut Option<Arc<S>>) -> Outcome
where
    S: BlockingTokenStore + ?Sized + 'static,
{
    let mut random = [0; 32];
    if OsEntropy::new().fill(&mut random).is_err() {
        return failed("the operating system has no randomness");
    }
    let probing = candidate.probe(SystemClock::new().now(), &random);
    let (tell, told) = mpsc::sync_channel(1);
    let work = move || {
        let done = catch_unwind(AssertUnwindSafe(|| probe(probing, open)));
        let _ = tell.send(done.unwrap_or_else(|_| (failed("it panicked"), None)));
    };
    if let Err(error) = std::thread::Builder::new().name("cotter-choose".into()).spawn(work) {
        let what = "no thread can be had to try it on";
        return Outcome::failed(StoreError::new(StoreErrorKind::Other, what).with_source(error));
    }
    match told.recv_timeout(candidate.patience()) {
        Ok((outcome, opened)) => {
            *store = opened;
            outcome
        }
        Err(RecvTimeoutError::Timeout) => Outcome::TimedOut(candidate.patience()),
        Err(RecvTimeoutError::Disconnected) => failed("its thread is gone"),
    }
}

/// Opens it whenever that is asked for, and drives the steps between.
fn probe<S>(mut probing: Probing, mut open: Open<S>) -> (Outcome, Option<Arc<S>>)
where
    S: BlockingTokenStore + ?Sized,
{
    let mut store = None;
    loop {
        let opening = match probing {
            Probing::Open(opening) => opening,
            Probing::Done(outcome) => return (outcome, store),
        };
        // Closed before it is opened anew: some stores belong to one handle at a time.
        drop(store.take());
        probing = match open() {
            Ok(opened) => {
                let can = opened.capabilities();
                let next = drive(opening.opened(SystemClock::new().now(), can), &*opened);
                store = Some(opened);
                next
            }
            Err(error) => opening.failed(error),
        };
    }
}

/// A probe asks a store, and nobody else.
fn drive(mut step: Step<Probing>, store: &(impl BlockingTokenStore + ?Sized)) -> Probing {
    loop {
        let clock = SystemClock::new();
        step = match step {
            Step::Load(ask) => {
                let (key, place) = ask.split();
                let answer = store.load(&key);
                place.answer(clock.now(), answer)
            }
            Step::Save(ask) => {
                let (save, place) = ask.split();
                let answer = store.save(&save.key, &save.record, save.expected, save.new);
                place.answer(clock.now(), answer)
            }
            Step::Remove(ask) => {
                let (remove, place) = ask.split();
                let answer = store.remove(&remove.key, remove.expected);
                place.answer(clock.now(), answer)
            }
            Step::Done(probing) => return probing,
            Step::Lease(_)
            | Step::Release(_)
            | Step::Send(_)
            | Step::Sleep(_)
            | Step::Publish(_) => {
                return Probing::Done(failed("it was asked what no store can do"));
            }
        };
    }
}

fn failed(what: &'static str) -> Outcome {
    Outcome::failed(StoreError::new(StoreErrorKind::Other, what))
}
