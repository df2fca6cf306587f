//! `Session`: one user's tokens, asynchronously.

use core::time::Duration;
use std::sync::Arc;

use cotter_core::flow::{self, Publication, SignIn, SignedOut};
use cotter_core::{
    AccessToken, Error, Force, Goal, IdToken, Memory, OAuthToken, Provider, RefreshToken, State,
    Status, StoreKey, View,
};

use crate::clock;
use crate::drive::drive;
use crate::entry::{Entry, Turn, access, id};
use crate::flight::{self, Flight};
use crate::keeper::{SessionBuilder, Shared, shut_down};
use crate::observer::tell;
use crate::settings::{Shutdown, fingerprint, held_elsewhere};
use crate::world::runtime;

/// How often a caller judges anew because the session changed while it waited.
const ROUNDS: u32 = 8;

/// One signed-in user: hands out tokens that are valid now.
///
/// Cloning gives another handle to the same session. Every method may be called from any number of
/// tasks at once; one exchange serves them all. Dropping a future loses nothing: an exchange that
/// has begun runs to its end on the runtime. Whatever waits needs a tokio runtime that has timers, and
/// answers `Config` without one.
///
/// ```
/// use cotter_core::{OAuthToken, Provider};
/// use cotter_session::Session;
/// use cotter_store_memory::Memory;
/// # use cotter_testkit::ScriptedTransport;
/// # let transport = ScriptedTransport::new();
/// # transport.reply(200, r#"{"access_token":"second","refresh_token":"r2","expires_in":3600}"#);
/// # let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
/// # runtime.block_on(async {
///
/// let session = Session::builder(Provider::oauth2("https://auth.example/token", "my-app")?)
///     .store(Memory::new())
///     .transport(transport)
///     .build()?;
/// let login: OAuthToken =
///     r#"{"access_token":"first","refresh_token":"r1","expires_in":3600}"#.parse()?;
/// session.sign_in(login).await?;
/// assert_eq!(session.access_token().await?.expose(), "first"); // fresh: nobody is asked
///
/// session.refresh().await?; // now the server is asked
/// assert_eq!(session.access_token().await?.expose(), "second");
/// assert_eq!(session.refresh_token().await?.expose(), "r2");
///
/// session.sign_out().await?;
/// assert!(session.access_token().await.is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Session {
    pub(crate) shared: Arc<Shared>,
    pub(crate) entry: Arc<Entry<Flight>>,
}

impl Session {
    /// Begins to put a session together.
    #[must_use]
    pub fn builder(provider: Provider) -> SessionBuilder {
        SessionBuilder::new(provider)
    }

    pub(crate) const fn new(shared: Arc<Shared>, entry: Arc<Entry<Flight>>) -> Self {
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
    pub async fn sign_in(&self, tokens: OAuthToken) -> Result<(), Error> {
        let this = self.clone();
        self.detached(async move { this.sign_in_here(tokens).await }).await
    }

    pub(crate) async fn sign_in_here(self, tokens: OAuthToken) -> Result<(), Error> {
        let Self { shared, entry } = self;
        let cx = shared.common.context(entry.key());
        let vetting = flow::vet(&cx, &tokens, shared.world.clock.now());
        let event = drive(vetting, &shared.world, |_| ()).await?;
        let name = entry.name_shared();
        let turn = shared.turn(&name).await?;
        let token = fingerprint(&tokens);
        let sign_in = SignIn { tokens, lineage: shared.common.lineage()? };
        let claim = shared.map.claim(&entry, token).ok_or_else(held_elsewhere)?;
        let step = flow::sign_in(cx, sign_in, shared.world.clock.now());
        let outcome = drive(step, &shared.world, |_| ()).await;
        outcome.result?;
        if let Some(publication) = &outcome.publish {
            let kept = shared.map.follow(&entry, || entry.replace(publication, outcome.memory));
            drop(claim);
            if let Some(kept) = kept {
                flight::abandon(&shared, kept).await;
            }
        }
        drop(turn);
        tell(shared.common.observer.as_ref(), entry.key(), event.as_slice());
        Ok(())
    }

    /// An access token that is valid now, refreshed if it had to be.
    ///
    /// A fresh one costs a look at the clock. One inside its early window is handed out while
    /// somebody refreshes it in the background; a program that is about to end calls
    /// [`shutdown`](Self::shutdown), or that refresh is cut off with its runtime.
    ///
    /// # Errors
    /// `SignInRequired` if nobody is signed in or the server refused; `Unavailable` if it cannot be
    /// refreshed now and the old one has ended; see [`cotter_core::ErrorKind`] for the others.
    pub async fn access_token(&self) -> Result<AccessToken, Error> {
        match self.entry.fast(self.shared.world.clock.boot()) {
            Some(token) => Ok(token),
            None => access(&*Box::pin(self.reach(Goal::access())).await?),
        }
    }

    /// An access token that stays valid for `duration`, where the provider's live that long.
    ///
    /// # Errors
    /// As [`access_token`](Self::access_token); `Config` if a token granted just now does not.
    pub async fn access_token_valid_for(&self, duration: Duration) -> Result<AccessToken, Error> {
        access(&*Box::pin(self.reach(Goal::access_for(duration))).await?)
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
    pub async fn id_token(&self) -> Result<IdToken, Error> {
        id(&*Box::pin(self.reach(Goal::id())).await?)
    }

    /// An ID token that stays valid for `duration`, where the provider's live that long.
    ///
    /// # Errors
    /// As [`id_token`](Self::id_token); `Config` if one granted just now does not.
    pub async fn id_token_valid_for(&self, duration: Duration) -> Result<IdToken, Error> {
        id(&*Box::pin(self.reach(Goal::id_for(duration))).await?)
    }

    /// The refresh token as it is stored: a plain read, which never refreshes. One that could not be
    /// stored yet is read from memory; the stored one is spent then.
    ///
    /// # Errors
    /// `SignInRequired` if there is none; `Store` if it cannot be read.
    pub async fn refresh_token(&self) -> Result<RefreshToken, Error> {
        match self.entry.kept_refresh_token() {
            Some(answer) => answer,
            None => {
                runtime()?;
                let cx = self.shared.common.context(self.entry.key());
                let step = flow::refresh_token(cx, self.entry.memory());
                drive(step, &self.shared.world, |_| ()).await
            }
        }
    }

    /// How the session stands, from what is stored; no network, never a token.
    ///
    /// # Errors
    /// `Store` if the store cannot say; `Config` without a tokio runtime that has timers.
    pub async fn status(&self) -> Result<Status, Error> {
        runtime()?;
        let cx = self.shared.common.context(self.entry.key());
        let mut status = drive(flow::inspect(cx), &self.shared.world, |_| ()).await?;
        status.durable = self.shared.common.store.durable;
        status.unpersisted = self.entry.has_unpersisted_view() && status.state != State::SignedOut;
        Ok(status)
    }

    /// Exchanges the refresh token now, whatever the access token's state.
    ///
    /// # Errors
    /// As [`access_token`](Self::access_token), also where the current token is still usable; it
    /// stays in use for others.
    pub async fn refresh(&self) -> Result<AccessToken, Error> {
        access(&*Box::pin(self.reach(Goal::refresh())).await?)
    }

    /// Another access token than `rejected`, which a resource server has answered with a 401.
    ///
    /// If the current token is another one already, that is returned; else `rejected` is never
    /// served again, and refreshed.
    ///
    /// # Errors
    /// As [`access_token`](Self::access_token); `Unavailable` if `rejected` was granted a moment
    /// ago, since asking for another at once would not help.
    pub async fn refresh_rejected(&self, rejected: &AccessToken) -> Result<AccessToken, Error> {
        self.entry.reject(rejected, self.shared.world.clock.boot());
        let goal = Goal::instead_of(rejected.clone());
        access(&*Box::pin(self.reach(goal)).await?)
    }

    /// Forgets the session: done when the removal is durable, however stuck a server is.
    ///
    /// # Errors
    /// `Store` if the record cannot be removed.
    pub async fn sign_out(&self) -> Result<SignedOut, Error> {
        let this = self.clone();
        self.detached(async move { this.sign_out_here().await }).await
    }

    async fn sign_out_here(self) -> Result<SignedOut, Error> {
        let Self { shared, entry } = self;
        let name = entry.name_shared();
        let turn = shared.turn(&name).await?;
        let seen = entry.memory().seen;
        let step = flow::sign_out(shared.common.context(entry.key()), shared.world.clock.now());
        let state = std::sync::Mutex::new((Some(turn), None));
        let result = drive(step, &shared.world, |publication: &Publication| {
            let mut memory = Memory::default();
            memory.seen = seen;
            memory.signed_out = true;
            let left = shared.map.follow(&entry, || entry.replace(publication, memory));
            // The next one may sign in; a server that is slow to revoke holds nobody up.
            *state.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = (None, left);
        })
        .await;
        let (_, kept) = state.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(kept) = kept {
            flight::abandon(&shared, kept).await;
        }
        result
    }

    /// Refuses new exchanges, waits for what is under way (an exchange, a sign-in, a sign-out) and for
    /// tokens that are not stored yet, and says what is not durable after `deadline`. Without a tokio
    /// runtime that has timers it says so at once.
    pub async fn shutdown(&self, deadline: Duration) -> Shutdown {
        shut_down(&self.shared, core::slice::from_ref(&self.entry), deadline).await
    }

    async fn reach(&self, mut goal: Goal) -> Result<Arc<View>, Error> {
        runtime()?;
        let generation = self.entry.generation();
        let end = clock::task_deadline(self.shared.common.patience());
        let now = || self.shared.world.clock.boot();
        let mut looked = false;
        for _ in 0..ROUNDS {
            // Signed in meanwhile: the new sign-in's token is the answer, without an exchange.
            if goal.force == Force::Now && !self.entry.is_current(generation) {
                goal.force = Force::No;
            }
            let served = || self.entry.serves(&goal, now());
            let flight = match self.entry.turn(&goal, now(), looked, Flight::new) {
                Turn::Serve(view) => {
                    if view.unpersisted {
                        // The runtime whose task was to store it may be gone (rule 1).
                        let generation = self.entry.generation();
                        let entry = Arc::clone(&self.entry);
                        flight::keep_trying(Arc::clone(&self.shared), entry, generation);
                    }
                    return Ok(view);
                }
                Turn::Fail(error) => return Err(error),
                Turn::Look(ticket) => {
                    flight::look_again(&self.shared, &self.entry, ticket).await;
                    looked = true;
                    continue;
                }
                Turn::After(flight) => {
                    let _ = flight.landed_by(end, served).await?;
                    continue;
                }
                Turn::Join(flight) => flight,
                Turn::Lead(flight, ticket, serve) => {
                    flight::start(&self.shared, &self.entry, Arc::clone(&flight), ticket);
                    match serve {
                        Some(view) => return Ok(view),
                        None => flight,
                    }
                }
            };
            // Served while the flight goes on: the next round hands that out (rule 18).
            let Some(result) = flight.landed_by(end, served).await? else { continue };
            if self.entry.answers(&*flight, &goal, &result) {
                return result;
            }
        }
        Err(Error::unavailable("the session keeps changing", None, false))
    }

    /// Runs `work` in a task, so that it goes on when nobody waits for it any more; a shutdown does.
    pub(crate) async fn detached<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, Error>> + Send + 'static,
    ) -> Result<T, Error> {
        let runtime = runtime()?;
        let counted = self.entry.work();
        let work = async move {
            let result = work.await;
            drop(counted);
            result
        };
        match runtime.spawn(work).await {
            Ok(result) => result,
            Err(error) => {
                Err(Error::unavailable("the work was cut off", None, true).with_source(error))
            }
        }
    }
}
