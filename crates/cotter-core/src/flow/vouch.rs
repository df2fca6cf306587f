//! Asking the verifier: its steps become the flow's own, within the flow's bounds.

use super::{Context, done};
use crate::error::Error;
use crate::event::Event;
use crate::step::{Ask, Step};
use crate::time::{BootTime, Now};
use crate::token::OAuthToken;
use crate::verify::Verified;

/// How many steps a verifier may take for one set.
const STEPS: u32 = 256;

impl Context {
    /// Begins to verify a set, if the session has a verifier.
    pub(super) fn verification(&self, set: &OAuthToken, now: Now) -> Option<Step<Verified>> {
        let verifier = self.verifier.as_ref()?;
        Some(verifier.verify(self.provider.handed(set), now))
    }
}

/// Begins to verify what a login returned, before [`sign_in`](super::sign_in) stores it: keys that
/// are slow to come hold no other sign-in and no sign-out up.
///
/// Ends with what is to be told, or with `Config` if the set is not signed as it should be.
pub fn vet(cx: &Context, set: &OAuthToken, now: Now) -> Step<Result<Option<Event>, Error>> {
    let Some(step) = cx.verification(set, now) else { return done(Ok(None)) };
    let end = now.boot.saturating_add(cx.policy.flight_budget);
    vouch(step, now, end, |_, verified| {
        done(match verified {
            Verified::Sound => Ok(None),
            Verified::Undecided => Ok(Some(Event::Unverified)),
            Verified::Unsound(reason) => Err(Error::config(alloc::format!(
                "these tokens cannot be signed in with: their signature does not hold ({reason})"
            ))),
        })
    })
}

/// Goes on with `then` when the verifier has decided, or when it has not by `end`.
pub(super) fn vouch<T>(
    step: Step<Verified>,
    now: Now,
    end: BootTime,
    then: impl FnOnce(Now, Verified) -> Step<T> + Send + 'static,
) -> Step<T> {
    vouch_in(STEPS, step, now, end, then)
}

fn vouch_in<T>(
    steps: u32,
    step: Step<Verified>,
    now: Now,
    end: BootTime,
    then: impl FnOnce(Now, Verified) -> Step<T> + Send + 'static,
) -> Step<T> {
    let in_time = steps > 0 && now.boot < end;
    match step {
        Step::Done(verified) => then(now, verified),
        Step::Send(ask) if in_time => {
            let (mut question, place) = ask.split();
            question.not_after = question.not_after.min(end);
            Step::Send(Ask::new(question, move |now, reply| {
                vouch_in(steps - 1, place.answer(now, reply), now, end, then)
            }))
        }
        Step::Sleep(ask) if in_time && now.boot.saturating_add(*ask.question()) < end => {
            let (pause, place) = ask.split();
            Step::Sleep(Ask::new(pause, move |now, ()| {
                vouch_in(steps - 1, place.answer(now, ()), now, end, then)
            }))
        }
        _ => then(now, Verified::Undecided),
    }
}
