//! The flows: what to do, step by step, to keep a session.
//!
//! ```text
//! acquire   Load -> judge -> fresh: Done
//!           Publish                    (what was found, if nobody here has seen it)
//!           Lease                      (another process or host; polled with Sleep)
//!           Load  -> judge -> fresh: Release, Done
//!           Save journal               "this refresh token is being spent"
//!           Send
//!             granted    Save, Publish, Release, Done
//!             refused    Load -> another token there: adopt; else Save refusal, Release, Done
//!             not spent  Save journal cleared, Release, Done       (or again, within the budget)
//!             no answer  the journal stays; Release, Done          (or again, within the grace)
//! login     Send, Done                 (a code becomes tokens; then sign in)
//! sign in   Load, Save, Publish, Done
//! sign out  Load, Remove, Publish, (Send revocation), Done
//! choose    for each candidate: Save, Load; Load, Remove, Load (opened again); Done
//! ```
//!
//! Each function here begins a flow and gives its first [`Step`]; a driver does the rest.

mod acquire;
mod ask;
pub mod choose;
mod device;
mod exchange;
mod grant;
mod login;
mod read;
mod rejection;
mod rest;
mod sign_in;
mod sign_out;
mod users;
mod vouch;

use alloc::sync::Arc;
use alloc::vec::Vec;

pub use self::acquire::{acquire, look};
pub use self::device::{
    Enrolment, approve, device, device_standing, enroll_device, forget_device, pending_approval,
    refuse, request_approval, sign_in_by_device,
};
pub use self::grant::Unpersisted;
pub use self::login::{LoggedIn, login, may_sign_in};
pub use self::read::{inspect, refresh_token};
pub use self::sign_in::{SignIn, sign_in};
pub use self::sign_out::{SignedOut, sign_out};
pub use self::users::{create_user, find_user, signed_in_user};
pub use self::vouch::vet;
use crate::error::{Error, SignInReason};
use crate::event::Event;
use crate::key::StoreKey;
use crate::policy::Policy;
use crate::provider::Provider;
use crate::record::{Fingerprint, Record};
use crate::revision::Revision;
use crate::step::{Ask, Step};
use crate::store::Capabilities;
use crate::time::Now;
use crate::verify::Verify;
use crate::view::{Memory, View};

/// What every flow of a session needs to know.
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_structs, reason = "sessions build it")]
pub struct Context {
    /// Who issues the tokens.
    pub provider: Arc<Provider>,
    /// The numbers to go by.
    pub policy: Arc<Policy>,
    /// What the store can do.
    pub store: Capabilities,
    /// Whose tokens.
    pub key: StoreKey,
    /// Drawn at random for this flow: jitter is an input.
    pub seed: u64,
    /// Who says whether the server signed what it handed over, if anybody does.
    pub verifier: Option<Arc<dyn Verify>>,
}

impl Context {
    /// Whether the provider replaces refresh tokens, by its word or by what was seen.
    pub(crate) fn rotates(&self, record: &Record) -> bool {
        record.rotates || self.provider.rotation() != crate::provider::Rotation::None
    }

    pub(crate) fn view(
        &self,
        record: &Record,
        revision: Revision,
        now: Now,
        rejected: Option<Fingerprint>,
    ) -> View {
        let mut dice = crate::policy::Dice::new(self.seed);
        let jitter = dice.up_to(self.policy.early_window / 6);
        View::new(record, revision, now, &self.policy, jitter, self.store.shared, rejected)
    }
}

/// What callers see from now on.
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_enums, reason = "a session shows one or the other")]
pub enum Publication {
    /// These tokens.
    Signed(Arc<View>),
    /// None, for this reason.
    Absent(SignInReason),
}

/// How a flow ended.
#[derive(Debug)]
#[non_exhaustive]
pub struct Outcome {
    /// What everyone who waited gets.
    pub result: Result<Arc<View>, Error>,
    /// What to show from now on; `None` where nothing was learned.
    pub publish: Option<Publication>,
    /// What to remember until the next flight.
    pub memory: Memory,
    /// What to tell observers, in order.
    pub events: Vec<Event>,
    /// A granted set that could not be stored; to be tried again.
    pub unpersisted: Option<Unpersisted>,
}

/// Goes on with `next` when the first flow has ended well.
fn and_then<T: 'static, U: 'static>(
    step: Step<Result<T, Error>>,
    now: Now,
    next: impl FnOnce(Now, T) -> Step<Result<U, Error>> + Send + 'static,
) -> Step<Result<U, Error>> {
    macro_rules! pass {
        ($step:ident, $ask:ident) => {{
            let (question, place) = $ask.split();
            Step::$step(Ask::new(question, move |now, answer| {
                and_then(place.answer(now, answer), now, next)
            }))
        }};
    }
    match step {
        Step::Done(Ok(value)) => next(now, value),
        Step::Done(Err(error)) => done(Err(error)),
        Step::Load(ask) => pass!(Load, ask),
        Step::Save(ask) => pass!(Save, ask),
        Step::Remove(ask) => pass!(Remove, ask),
        Step::Lease(ask) => pass!(Lease, ask),
        Step::Release(ask) => pass!(Release, ask),
        Step::Send(ask) => pass!(Send, ask),
        Step::Sleep(ask) => pass!(Sleep, ask),
        Step::Publish(ask) => pass!(Publish, ask),
    }
}

/// The clock must show a date between 1970 and 9999, or no expiry means anything.
pub(crate) fn plausible(now: Now) -> Result<(), Error> {
    if now.wall.is_plausible() {
        Ok(())
    } else {
        Err(Error::config("this machine's clock shows no date between 1970 and 9999; set it"))
    }
}

/// A step that is the end already.
pub(crate) fn done<T>(value: T) -> Step<T> {
    Step::Done(value)
}
