use core::time::Duration;
use std::sync::Arc;

use cotter_core::{AccessToken, Ask, Handed, IdToken, Now, Send, Step, Verified, Verify};
use cotter_jwt::{AccessClaims, IdClaims, Invalid, Reason, Verifier};

use crate::failure::FetchFailure;
use crate::jwks::Jwks;
use crate::shared::{Attempt, Landing, Next, Shared, TakeOff};

/// How often a session looks whether another one's fetch has come back.
const LOOK: Duration = Duration::from_millis(50);

/// Verifies what sessions are handed, by keys that live at a URL; give it to a session's
/// `verify_with`.
///
/// The session's own transport fetches the keys, once for all sessions that share this.
///
/// ```
/// use cotter_jwks::Jwks;
/// use cotter_jwt::Verifier;
///
/// let keys = Jwks::at("https://www.cotter.app/api/v0/token/jwks")?;
/// let verifier = keys.for_sessions(Verifier::cotter("<API_KEY_ID>"));
/// // Session::builder(provider).verify_with(verifier)
/// # Ok::<(), cotter_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct SessionVerifier(Arc<Shared>);

impl Jwks {
    /// Verifies by these keys what sessions are handed; the keys that `verifier` has are not used.
    #[must_use]
    pub fn for_sessions(self, verifier: Verifier) -> SessionVerifier {
        SessionVerifier(Arc::new(Shared::new(self, verifier)))
    }
}

impl SessionVerifier {
    /// Why the last fetch brought no keys; `None` if it did, or if there was none.
    ///
    /// For whoever wonders at [`Event::Unverified`](cotter_core::Event::Unverified).
    #[must_use]
    pub fn last_failure(&self) -> Option<FetchFailure> {
        self.0.last_failure()
    }
}

impl Verify for SessionVerifier {
    fn verify(&self, tokens: Handed, now: Now) -> Step<Verified> {
        let Handed { access_token, id_token, .. } = tokens;
        let tokens = access_token.map(Token::Access).into_iter().chain(id_token.map(Token::Id));
        let work =
            Work { shared: Arc::clone(&self.0), left: tokens.collect(), found: Verified::Sound };
        work.next(now)
    }
}

impl AsRef<Shared> for SessionVerifier {
    fn as_ref(&self) -> &Shared {
        &self.0
    }
}

enum Token {
    Access(AccessToken),
    Id(IdToken),
}

impl Token {
    fn text(&self) -> &str {
        match self {
            Self::Access(token) => token.expose(),
            Self::Id(token) => token.expose(),
        }
    }

    /// What an outage of the keys cannot excuse. That a token has ended is none of it, as with keys.
    fn rule_out(&self, shared: &Shared) -> Option<Invalid> {
        let why = match self {
            Self::Access(token) => shared.rule_out::<AccessClaims>(token.expose()),
            Self::Id(token) => shared.rule_out::<IdClaims>(token.expose()),
        };
        why.filter(|why| matches!(Invalid::verdict(Err(*why)), Verified::Unsound(_)))
    }

    /// None where newer keys are to be fetched first.
    fn conclude(&self, shared: &Shared, attempt: &mut Attempt) -> Result<Option<()>, Invalid> {
        match self {
            Self::Access(token) => shared
                .conclude::<AccessClaims>(token.expose(), attempt)
                .map(|verdict| verdict.map(drop)),
            Self::Id(token) => shared
                .conclude::<IdClaims>(token.expose(), attempt)
                .map(|verdict| verdict.map(drop)),
        }
    }
}

/// What is left to verify, and what was found so far.
struct Work {
    shared: Arc<Shared>,
    left: Vec<Token>,
    found: Verified,
}

impl Work {
    fn next(mut self, now: Now) -> Step<Verified> {
        let Some(token) = self.left.pop() else { return Step::Done(self.found) };
        match self.shared.arrive(token.text()) {
            Ok(attempt) => self.pursue(now, token, attempt),
            Err(invalid) => self.found(now, Err(invalid)),
        }
    }

    fn pursue(self, now: Now, token: Token, mut attempt: Attempt) -> Step<Verified> {
        match self.progress(&token, &mut attempt) {
            Ok(Some(TakeOff::Flying(landing))) => self.fetch(now, token, attempt, landing),
            Ok(Some(TakeOff::Taken)) => self.wait(LOOK, token, attempt),
            Ok(Some(TakeOff::Needless)) => self.pursue(now, token, attempt),
            Ok(None) => self.found(now, Ok(())),
            Err(invalid) => match invalid.reason() {
                // A key that appeared a moment after the last fetch: only a newer one can tell.
                Reason::KidUnknownForNow { retry_after } => self.wait(retry_after, token, attempt),
                _ => self.found(now, Err(invalid)),
            },
        }
    }

    /// None when the token is good.
    fn progress(
        &self,
        token: &Token,
        attempt: &mut Attempt,
    ) -> Result<Option<TakeOff<SessionVerifier>>, Invalid> {
        let next = self.shared.next(attempt);
        if let Ok(Next::Judge) = next
            && token.conclude(&self.shared, attempt)?.is_some()
        {
            return Ok(None);
        }
        // Before anything is waited for, since the flow may run out of time meanwhile.
        if let Some(why) = token.rule_out(&self.shared) {
            return Err(why);
        }
        next?;
        Shared::take_off(SessionVerifier(Arc::clone(&self.shared)), attempt).map(Some)
    }

    fn wait(self, pause: Duration, token: Token, attempt: Attempt) -> Step<Verified> {
        Step::Sleep(Ask::new(pause, move |now, ()| self.pursue(now, token, attempt)))
    }

    fn fetch(
        self,
        now: Now,
        token: Token,
        attempt: Attempt,
        landing: Landing<SessionVerifier>,
    ) -> Step<Verified> {
        let not_after = now.boot.saturating_add(self.shared.jwks.timeout);
        let question = Send { request: self.shared.request(), not_after };
        Step::Send(Ask::new(question, move |now, answer| {
            landing.with(answer);
            self.pursue(now, token, attempt)
        }))
    }

    fn found(mut self, now: Now, verified: Result<(), Invalid>) -> Step<Verified> {
        self.found = Invalid::worse(self.found, Invalid::verdict(verified));
        self.next(now)
    }
}
