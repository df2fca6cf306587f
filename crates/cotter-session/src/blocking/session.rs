//! `blocking::Session`: one user's tokens, for threads.

use core::cell::RefCell;
use core::time::Duration;
use std::sync::{Arc, PoisonError};

use cotter_core::flow::{self, Publication, SignIn, SignedOut};
use cotter_core::{
    AccessToken, Error, Force, Goal, IdToken, Memory, OAuthToken, Provider, RefreshToken, State,
    Status, StoreKey, View,
};

use super::drive::drive;
use super::flight::{self, Flight};
use super::keeper::{SessionBuilder, Shared, shut_down};
use crate::clock;
use crate::entry::{Entry, Turn, access, id};
use crate::observer::tell;
use crate::settings::{Shutdown, fingerprint, held_elsewhere};

/// How often a caller judges anew because the session changed while it waited.
const ROUNDS: u32 = 8;

/// One signed-in user: hands out tokens that are valid now.
///
/// The blocking twin of the async `Session`; every method has the same name and may be called from
/// any number of threads at once. The thread that refreshes does it for all of them; those who hold
/// a usable token do not wait for it.
///
/// ```
/// use cotter_core::{OAuthToken, Provider};
/// use cotter_session::blocking::Session;
/// use cotter_store_memory::Memory;
/// # use cotter_testkit::ScriptedTransport;
/// # let transport = ScriptedTransport::new();
/// # transport.reply(200, r#"{"access_token":"second","refresh_token":"r2","expires_in":3600}"#);
///
/// let session = Session::builder(Provider::oauth2("https://auth.example/token", "my-app")?)
///     .store(Memory::new())
///     .transport(transport)
///     .build()?;
/// let login: OAuthToken =
///     r#"{"access_token":"first","refresh_token":"r1","expires_in":3600}"#.parse()?;
/// session.sign_in(login)?;
/// assert_eq!(session.access_token()?.expose(), "first"); // fresh: nobody is asked
///
/// session.refresh()?; // now the server is asked
/// assert_eq!(session.access_token()?.expose(), "second");
/// assert_eq!(session.refresh_token()?.expose(), "r2");
///
/// session.sign_out()?;
/// assert!(session.access_token().is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Session {
    pub(super) shared: Arc<Shared>,
    pub(super) entry: Arc<Entry<Flight>>,
}

impl Session {
    /// Begins to put a session together.
    #[must_use]
    pub fn builder(provider: Provider) -> SessionBuilder {
        SessionBuilder::new(provider)
    }

    pub(super) const fn new(shared: Arc<Shared>, entry: Arc<Entry<Flight>>) -> Self {
        Self { shared, entry }
    }

    /// Where this session is stored: provider, client, name.
    #[must_use]
    pub fn key(&self) -> &StoreKey {
        self.entry.key()
    }

    /// Stores what a login returned; it replaces the whole record, whatever stood there.
    ///
    /// Tokens that come from elsewhere and may be old are signed in the same way: the absolute end
    /// in the token counts.
    ///
    /// # Errors
    /// `Config` if the set has no access token that is usable or can be refreshed, belongs to
    /// another client, or mixes two users; `Store` if it cannot be stored. What was there stays.
    pub fn sign_in(&self, tokens: OAuthToken) -> Result<(), Error> {
        let (shared, entry) = (&*self.shared, &self.entry);
        let work = entry.work();
        let cx = shared.common.context(entry.key());
        let vetting = flow::vet(&cx, &tokens, shared.world.clock.now());
        let event = drive(vetting, &shared.world, |_| ())?;
        let name = entry.name_shared();
        let turn = shared.turnstile(&name).lock().unwrap_or_else(PoisonError::into_inner);
        let token = fingerprint(&tokens);
        let sign_in = SignIn { tokens, lineage: shared.common.lineage()? };
        let claim = shared.map.claim(entry, token).ok_or_else(held_elsewhere)?;
        let outcome =
            drive(flow::sign_in(cx, sign_in, shared.world.clock.now()), &shared.world, |_| ());
        outcome.result?;
        if let Some(publication) = &outcome.publish {
            let kept = shared.map.follow(entry, || entry.replace(publication, outcome.memory));
            drop(claim);
            if let Some(kept) = kept {
                flight::abandon(shared, kept);
            }
        }
        drop((turn, work));
        tell(shared.common.observer.as_ref(), entry.key(), event.as_slice());
        Ok(())
    }

    /// An access token that is valid now, refreshed if it had to be.
    ///
    /// # Errors
    /// `SignInRequired` if nobody is signed in or the server refused; `Unavailable` if it cannot be
    /// refreshed now and the old one has ended; see [`cotter_core::ErrorKind`] for the others.
    pub fn access_token(&self) -> Result<AccessToken, Error> {
        match self.entry.fast(self.shared.world.clock.boot()) {
            Some(token) => Ok(token),
            None => access(&*self.reach(Goal::access())?),
        }
    }

    /// An access token that stays valid for `duration`, where the provider's live that long.
    ///
    /// # Errors
    /// As [`access_token`](Self::access_token); `Config` if a token granted just now does not.
    pub fn access_token_valid_for(&self, duration: Duration) -> Result<AccessToken, Error> {
        access(&*self.reach(Goal::access_for(duration))?)
    }

    /// The access token if it may be handed out right now, without waiting or asking anybody.
    ///
    /// A thread's first call may allocate once, its place among the readers; no later one does.
    #[must_use]
    pub fn cached_access_token(&self) -> Option<AccessToken> {
        self.entry.cached(self.shared.world.clock.boot())
    }

    /// Whether somebody is refreshing this session right now, in this process.
    #[must_use]
    pub fn is_refreshing(&self) -> bool {
        self.entry.flight().is_some()
    }

    /// An ID token that is valid now, refreshed if it had to be.
    ///
    /// # Errors
    /// As [`access_token`](Self::access_token); `Protocol` if the server sends none.
    pub fn id_token(&self) -> Result<IdToken, Error> {
        id(&*self.reach(Goal::id())?)
    }

    /// An ID token that stays valid for `duration`, where the provider's live that long.
    ///
    /// # Errors
    /// As [`id_token`](Self::id_token); `Config` if one granted just now does not.
    pub fn id_token_valid_for(&self, duration: Duration) -> Result<IdToken, Error> {
        id(&*self.reach(Goal::id_for(duration))?)
    }

    /// The refresh token as it is stored: a plain read, which never refreshes. One that could not be
    /// stored yet is read from memory; the stored one is spent then.
    ///
    /// # Errors
    /// `SignInRequired` if there is none; `Store` if it cannot be read.
    pub fn refresh_token(&self) -> Result<RefreshToken, Error> {
        match self.entry.kept_refresh_token() {
            Some(answer) => answer,
            None => {
                let cx = self.shared.common.context(self.entry.key());
                drive(flow::refresh_token(cx, self.entry.memory()), &self.shared.world, |_| ())
            }
        }
    }

    /// How the session stands, from what is stored; no network, never a token.
    ///
    /// # Errors
    /// `Store` if the store cannot say.
    pub fn status(&self) -> Result<Status, Error> {
        let cx = self.shared.common.context(self.entry.key());
        let mut status = drive(flow::inspect(cx), &self.shared.world, |_| ())?;
        status.durable = self.shared.common.store.durable;
        status.unpersisted = self.entry.has_unpersisted_view() && status.state != State::SignedOut;
        Ok(status)
    }

    /// Exchanges the refresh token now, whatever the access token's state.
    ///
    /// # Errors
    /// As [`access_token`](Self::access_token), also where the current token is still usable; it
    /// stays in use for others.
    pub fn refresh(&self) -> Result<AccessToken, Error> {
        access(&*self.reach(Goal::refresh())?)
    }

    /// Another access token than `rejected`, which a resource server has answered with a 401.
    ///
    /// If the current token is another one already, that is returned; else `rejected` is never
    /// served again, and refreshed.
    ///
    /// # Errors
    /// As [`access_token`](Self::access_token); `Unavailable` if `rejected` was granted a moment
    /// ago, since asking for another at once would not help.
    pub fn refresh_rejected(&self, rejected: &AccessToken) -> Result<AccessToken, Error> {
        self.entry.reject(rejected, self.shared.world.clock.boot());
        access(&*self.reach(Goal::instead_of(rejected.clone()))?)
    }

    /// Forgets the session: done when the removal is durable, however stuck a server is.
    ///
    /// # Errors
    /// `Store` if the record cannot be removed.
    pub fn sign_out(&self) -> Result<SignedOut, Error> {
        let (shared, entry) = (&*self.shared, &self.entry);
        let _work = entry.work();
        let name = entry.name_shared();
        let turn = shared.turnstile(&name).lock().unwrap_or_else(PoisonError::into_inner);
        let seen = entry.memory().seen;
        let state = RefCell::new((Some(turn), None));
        let step = flow::sign_out(shared.common.context(entry.key()), shared.world.clock.now());
        let result = drive(step, &shared.world, |publication: &Publication| {
            let mut memory = Memory::default();
            memory.seen = seen;
            memory.signed_out = true;
            let left = shared.map.follow(entry, || entry.replace(publication, memory));
            // The next one may sign in; a server that is slow to revoke holds nobody up.
            *state.borrow_mut() = (None, left);
        });
        if let (_, Some(kept)) = state.into_inner() {
            flight::abandon(shared, kept);
        }
        result
    }

    /// Refuses new exchanges, waits for what is under way (an exchange, a sign-in, a sign-out), tries
    /// once more to store what is not stored yet, and says what is not durable after `deadline`.
    #[must_use]
    pub fn shutdown(&self, deadline: Duration) -> Shutdown {
        shut_down(&self.shared, core::slice::from_ref(&self.entry), deadline)
    }

    fn reach(&self, mut goal: Goal) -> Result<Arc<View>, Error> {
        let (shared, entry) = (&*self.shared, &self.entry);
        let generation = entry.generation();
        let end = clock::deadline(shared.common.patience());
        // What is in memory only is stored by whoever comes next (rule 1).
        if let Some((flight, ticket)) = entry.lead_keeping(Flight::new) {
            let _ = flight::fly(shared, entry, &flight, ticket);
        }
        let mut looked = false;
        for _ in 0..ROUNDS {
            // Signed in meanwhile: the new sign-in's token is the answer, without an exchange.
            if goal.force == Force::Now && !entry.is_current(generation) {
                goal.force = Force::No;
            }
            let served = || entry.serves(&goal, shared.world.clock.boot());
            let flight = match entry.turn(&goal, shared.world.clock.boot(), looked, Flight::new) {
                Turn::Serve(view) => return Ok(view),
                Turn::Fail(error) => return Err(error),
                Turn::Look(ticket) => {
                    flight::look_again(shared, entry, ticket);
                    looked = true;
                    continue;
                }
                Turn::After(flight) => {
                    let _ = flight.wait(clock::until(end), served);
                    continue;
                }
                Turn::Join(flight) => {
                    // Served while the flight goes on: the next round hands that out (rule 18).
                    let Some(result) = flight.wait(clock::until(end), served) else { continue };
                    if clock::until(end).is_zero() {
                        return result;
                    }
                    (flight, result)
                }
                Turn::Lead(flight, ticket, _) => {
                    let result = flight::fly(shared, entry, &flight, ticket);
                    (flight, result)
                }
            };
            let (flight, result) = flight;
            if entry.answers(&*flight, &goal, &result) {
                return result;
            }
        }
        Err(Error::unavailable("the session keeps changing", None, false))
    }
}
