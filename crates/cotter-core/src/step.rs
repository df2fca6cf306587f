//! The one machine that both drivers turn: a flow says what to do next, and never does it.
//!
//! A driver holds a [`Step`], does what it asks, and gives the answer together with the time; that
//! yields the next step, until [`Step::Done`]. An answer of the wrong type, a second answer to one
//! question, and a driver without an arm for every question do not compile.

use alloc::boxed::Box;
use core::fmt;
use core::time::Duration;

use http::{Request, Response};

use crate::flow::Publication;
use crate::key::StoreKey;
use crate::revision::Revision;
use crate::secret::SecretBytes;
use crate::store::{Expected, LeaseAnswer, LeaseOwner, Loaded, StoreError, Swap};
use crate::time::{BootTime, Now};
use crate::transport::TransportError;

/// The next thing to do. Answering it gives the one after.
///
/// A driver is a loop over one `match`:
///
/// ```
/// use core::time::Duration;
/// use cotter_core::{Ask, BootId, BootTime, Now, Step, Timestamp};
///
/// fn flow() -> Step<u32> {
///     Step::Sleep(Ask::new(Duration::from_secs(1), |_, ()| Step::Done(7)))
/// }
///
/// # let now = || Now {
/// #     wall: Timestamp::from_unix_seconds(0),
/// #     boot: BootTime::from_millis(0),
/// #     boot_id: BootId::from_bytes([0; 16]),
/// # };
/// let mut step = flow();
/// let result = loop {
///     step = match step {
///         Step::Sleep(ask) => {
///             let (span, then) = ask.split();
///             assert_eq!(span, Duration::from_secs(1));
///             then.answer(now(), ())
///         }
///         Step::Done(result) => break result,
///         other => panic!("nobody asked for {other:?}"),
///     };
/// };
/// assert_eq!(result, 7);
/// ```
///
/// One that has no arm for a question does not compile:
///
/// ```compile_fail,E0004
/// # use cotter_core::Step;
/// fn is_done(step: Step<u32>) -> bool {
///     match step {
///         Step::Done(_) => true,
///         Step::Load(_) | Step::Save(_) | Step::Remove(_) => false,
///         Step::Lease(_) | Step::Release(_) => false,
///         Step::Send(_) | Step::Sleep(_) => false,
///         // Step::Publish is missing.
///     }
/// }
/// ```
///
/// ```
/// # use cotter_core::Step;
/// fn is_done(step: Step<u32>) -> bool {
///     match step {
///         Step::Done(_) => true,
///         Step::Load(_) | Step::Save(_) | Step::Remove(_) => false,
///         Step::Lease(_) | Step::Release(_) => false,
///         Step::Send(_) | Step::Sleep(_) | Step::Publish(_) => false,
///     }
/// }
/// ```
///
/// Nor one that drops a step:
///
/// ```compile_fail
/// #![deny(unused_must_use)]
/// # use cotter_core::{Now, Step, Then};
/// fn answer(then: Then<(), u32>, now: Now) {
///     then.answer(now, ());
/// }
/// ```
///
/// ```
/// #![deny(unused_must_use)]
/// # use cotter_core::{Now, Step, Then};
/// fn answer(then: Then<(), u32>, now: Now) -> Step<u32> {
///     then.answer(now, ())
/// }
/// ```
#[must_use = "a flow goes on only when its step is done"]
#[expect(clippy::exhaustive_enums, reason = "a driver that misses an arm must not compile")]
pub enum Step<T> {
    /// Load the record under this key.
    Load(Ask<StoreKey, Result<Option<Loaded>, StoreError>, T>),
    /// Save a record, if the store still holds what is expected.
    Save(Ask<Save, Result<Swap, StoreError>, T>),
    /// Remove a record, if the store still holds what is expected.
    Remove(Ask<Remove, Result<Swap, StoreError>, T>),
    /// Ask for the lease, without waiting.
    Lease(Ask<TakeLease, Result<LeaseAnswer, StoreError>, T>),
    /// Give the lease back.
    Release(Ask<GiveLease, Result<(), StoreError>, T>),
    /// Send a request, and write no byte of it after its time.
    Send(Ask<Send, Result<Response<SecretBytes>, TransportError>, T>),
    /// Wait.
    Sleep(Ask<Duration, (), T>),
    /// Let callers see this; it is durable, or said not to be.
    Publish(Ask<Publication, (), T>),
    /// The flow has ended.
    Done(T),
}

/// A question that takes exactly one answer.
pub struct Ask<Q, A, T> {
    question: Q,
    then: Then<A, T>,
}

impl<Q, A, T> Ask<Q, A, T> {
    /// A question, and what follows its answer.
    pub fn new(
        question: Q,
        then: impl FnOnce(Now, A) -> Step<T> + core::marker::Send + 'static,
    ) -> Self {
        Self { question, then: Then(Box::new(then)) }
    }

    /// The question, to look at.
    pub const fn question(&self) -> &Q {
        &self.question
    }

    /// The question, to own, and the place for its answer.
    pub fn split(self) -> (Q, Then<A, T>) {
        (self.question, self.then)
    }
}

type Continue<A, T> = Box<dyn FnOnce(Now, A) -> Step<T> + core::marker::Send>;

/// The place for the one answer to a question.
///
/// A second answer does not compile:
///
/// ```compile_fail,E0382
/// # use cotter_core::{Now, Step, Then};
/// fn twice(then: Then<(), u32>, now: Now) -> [Step<u32>; 2] {
///     [then.answer(now, ()), then.answer(now, ())]
/// }
/// ```
///
/// ```
/// # use cotter_core::{Now, Step, Then};
/// fn once(then: Then<(), u32>, now: Now) -> [Step<u32>; 1] {
///     [then.answer(now, ())]
/// }
/// ```
///
/// Nor does an answer to another question:
///
/// ```compile_fail,E0308
/// # use cotter_core::{Now, Step, Swap, Then};
/// fn saved(then: Then<Swap, u32>, now: Now) -> Step<u32> {
///     then.answer(now, ())
/// }
/// ```
///
/// ```
/// # use cotter_core::{Now, Step, Swap, Then};
/// fn saved(then: Then<Swap, u32>, now: Now) -> Step<u32> {
///     then.answer(now, Swap::Done)
/// }
/// ```
#[must_use = "a question without an answer ends the flow"]
pub struct Then<A, T>(Continue<A, T>);

impl<A, T> Then<A, T> {
    /// Gives the answer, with the time at which it was known.
    pub fn answer(self, now: Now, answer: A) -> Step<T> {
        (self.0)(now, answer)
    }
}

/// What [`Step::Save`] asks.
#[derive(Debug)]
#[expect(clippy::exhaustive_structs, reason = "drivers take it apart")]
pub struct Save {
    /// Where.
    pub key: StoreKey,
    /// What.
    pub record: SecretBytes,
    /// What must stand there.
    pub expected: Expected,
    /// The revision it gets.
    pub new: Revision,
}

/// What [`Step::Remove`] asks.
#[derive(Debug)]
#[expect(clippy::exhaustive_structs, reason = "drivers take it apart")]
pub struct Remove {
    /// Where.
    pub key: StoreKey,
    /// What must stand there.
    pub expected: Revision,
}

/// What [`Step::Lease`] asks.
#[derive(Debug)]
#[expect(clippy::exhaustive_structs, reason = "drivers take it apart")]
pub struct TakeLease {
    /// On what.
    pub key: StoreKey,
    /// How long a lease that lapses is to last.
    pub ttl: Duration,
}

/// What [`Step::Release`] asks.
#[derive(Debug)]
#[expect(clippy::exhaustive_structs, reason = "drivers take it apart")]
pub struct GiveLease {
    /// On what.
    pub key: StoreKey,
    /// Who has it.
    pub owner: LeaseOwner,
}

/// What [`Step::Send`] asks.
#[derive(Debug)]
#[expect(clippy::exhaustive_structs, reason = "drivers take it apart")]
pub struct Send {
    /// The whole request.
    pub request: Request<SecretBytes>,
    /// The moment on the boot clock by which it has ended, and after which none of it is written.
    pub not_after: BootTime,
}

/// Transcripts print steps like this; no secret is in them.
impl<T> fmt::Debug for Step<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Load(_) => f.write_str("Load"),
            Self::Save(ask) => write!(f, "Save({})", ask.question.new.counter),
            Self::Remove(_) => f.write_str("Remove"),
            Self::Lease(_) => f.write_str("Lease"),
            Self::Release(_) => f.write_str("Release"),
            Self::Send(_) => f.write_str("Send"),
            Self::Sleep(ask) => write!(f, "Sleep({:?})", ask.question),
            Self::Publish(_) => f.write_str("Publish"),
            Self::Done(_) => f.write_str("Done"),
        }
    }
}

impl<Q: fmt::Debug, A, T> fmt::Debug for Ask<Q, A, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ask").field("question", &self.question).finish_non_exhaustive()
    }
}

impl<A, T> fmt::Debug for Then<A, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Then")
    }
}
