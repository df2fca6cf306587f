//! One session in memory: generation, snapshot and flight under one short lock (rule 5).

use core::time::Duration;
use std::sync::{Arc, PoisonError};

use cotter_core::flow::{Outcome, Publication, Unpersisted};
use cotter_core::{
    AccessToken, BootTime, Error, Event, Fingerprint, Force, Goal, IdToken, Memory, RefreshToken,
    StoreKey, Verdict, View, Want,
};

use crate::sync::{Mutex, MutexGuard, Shown};

/// How many refused tokens are remembered before anything is shown.
const SUSPECTS: usize = 16;

/// How long they are remembered of a session that nobody asks for and whose record cannot be read.
const SUSPECTED: Duration = Duration::from_secs(600);

/// What the two faces' flights have in common.
pub(crate) trait Flight: core::fmt::Debug {
    /// What it is after.
    fn goal(&self) -> &Goal;
    /// The generation it began in.
    fn generation(&self) -> u64;
    /// A sign-in or a sign-out took its place: whoever waits for it is to judge anew at once.
    fn detach(&self);
    /// Something usable is shown before its end: whoever can use that need not wait.
    fn stir(&self);
}

#[derive(Debug)]
pub(crate) struct Entry<F> {
    key: StoreKey,
    view: Shown<View>,
    state: Mutex<State<F>>,
}

#[derive(Debug)]
struct State<F> {
    generation: u64,
    memory: Memory,
    /// Access tokens that resource servers refused while nothing was shown yet.
    suspects: Vec<Fingerprint>,
    /// Until when they keep this entry in memory.
    suspected_until: BootTime,
    flight: Option<Arc<F>>,
    /// What is in memory only; it stays here until a flight that stores it has landed.
    kept: Option<Unpersisted>,
    looking: bool,
    closing: bool,
    /// How much goes on that no slot shows: sign-ins, sign-outs, and flights that one of them
    /// detached. A shutdown waits for it.
    working: u32,
    /// How many flights have landed: what a look that began before has learned is old.
    landings: u64,
    /// Whether somebody waits to store what is kept.
    #[cfg(feature = "async")]
    keeping: bool,
}

/// What a caller is to do.
#[derive(Debug)]
pub(crate) enum Turn<F> {
    /// Take this.
    Serve(Arc<View>),
    /// Look at the store, then ask again.
    Look(Ticket<F>),
    /// Be the one who flies; meanwhile this may be served.
    Lead(Arc<F>, Ticket<F>, Option<Arc<View>>),
    /// Take what this flight brings.
    Join(Arc<F>),
    /// Wait for this flight, which is after something else, then ask again.
    After(Arc<F>),
    /// Give up.
    Fail(Error),
}

/// What a flow starts from.
#[derive(Debug)]
pub(crate) struct Ticket<F> {
    pub(crate) generation: u64,
    pub(crate) memory: Memory,
    pub(crate) view: Option<Arc<View>>,
    pub(crate) kept: Option<Unpersisted>,
    pub(crate) landings: u64,
    _flight: core::marker::PhantomData<fn() -> F>,
}

/// What is left to do when a flow has landed, outside the lock.
#[derive(Debug)]
pub(crate) struct Landed {
    pub(crate) result: Result<Arc<View>, Error>,
    pub(crate) events: Vec<Event>,
    /// A set that nobody will keep any more: its lease is to be given back.
    pub(crate) abandoned: Option<Unpersisted>,
    /// Whether there is something in memory only, to be stored soon.
    pub(crate) unpersisted: bool,
}

impl Landed {
    /// Nothing of it is shown: something newer has taken its place.
    fn detached(outcome: Outcome) -> Self {
        let Outcome { result, unpersisted, .. } = outcome;
        Self { result, events: Vec::new(), abandoned: unpersisted, unpersisted: false }
    }
}

impl<F: Flight> Entry<F> {
    pub(crate) fn new(key: StoreKey, closing: bool) -> Self {
        Self {
            key,
            view: Shown::empty(),
            state: Mutex::new(State {
                generation: 0,
                memory: Memory::default(),
                suspects: Vec::new(),
                suspected_until: BootTime::PAST,
                flight: None,
                kept: None,
                looking: false,
                closing,
                working: 0,
                landings: 0,
                #[cfg(feature = "async")]
                keeping: false,
            }),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<F>> {
        // Each section below leaves whole values; poison says nothing about them.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) const fn key(&self) -> &StoreKey {
        &self.key
    }

    pub(crate) fn name_shared(&self) -> Arc<str> {
        self.key.session_shared()
    }

    /// The access token, if nobody need think about it: one load, no lock, no allocation.
    pub(crate) fn fast(&self, boot: BootTime) -> Option<AccessToken> {
        let view = self.view.load();
        let view = view.as_ref()?;
        (boot < view.fast_until()).then(|| view.access.as_ref().map(|shown| shown.token.clone()))?
    }

    /// The access token if it may be handed out, fresh or not.
    pub(crate) fn cached(&self, boot: BootTime) -> Option<AccessToken> {
        let view = self.view.load();
        let shown = view.as_ref()?.access.as_ref()?;
        (boot < shown.usable_until).then(|| shown.token.clone())
    }

    /// Whether what is shown is in memory only.
    pub(crate) fn has_unpersisted_view(&self) -> bool {
        self.view.load().as_ref().is_some_and(|view| view.unpersisted)
    }

    pub(crate) fn memory(&self) -> Memory {
        self.lock().memory.clone()
    }

    pub(crate) fn refresh_fingerprint(&self) -> Option<Fingerprint> {
        self.view.load().as_ref().and_then(|view| view.refresh)
    }

    /// Whether nothing but the view would be lost by forgetting this entry (rule 22).
    pub(crate) fn is_idle(&self, boot: BootTime) -> bool {
        let state = self.lock();
        let trouble = state.memory.trouble.as_ref();
        let paused = trouble.is_some_and(|trouble| !trouble.resting && boot < trouble.until);
        // A rejection that is not written down is known nowhere else.
        let view = self.view.load_full();
        let owed = view.is_some_and(|view| state.memory.owes_note(&view));
        let owed = owed || (!state.suspects.is_empty() && boot < state.suspected_until);
        state.flight.is_none() && state.kept.is_none() && !paused && !owed
    }

    pub(crate) fn has_kept(&self) -> bool {
        self.lock().kept.is_some()
    }

    /// The newest refresh token, if it is in memory only: the stored one is spent.
    pub(crate) fn kept_refresh_token(&self) -> Option<Result<RefreshToken, Error>> {
        self.lock().kept.as_ref().map(Unpersisted::refresh_token)
    }

    pub(crate) fn flight(&self) -> Option<Arc<F>> {
        self.lock().flight.clone()
    }

    /// Counts a sign-in or a sign-out, until the answer is dropped.
    pub(crate) fn work(self: &Arc<Self>) -> Work<F> {
        self.lock().working += 1;
        Work(Arc::clone(self))
    }

    /// Whether anything is under way that may yet change what is stored.
    pub(crate) fn is_working(&self) -> bool {
        let state = self.lock();
        state.flight.is_some() || state.working > 0
    }

    /// Refuses new flights from now on.
    pub(crate) fn close(&self) {
        self.lock().closing = true;
    }

    /// What a caller who wants `goal` is to do; `looked` says that he has just looked at the store, `make`
    /// makes a flight for a generation.
    pub(crate) fn turn(
        &self,
        goal: &Goal,
        boot: BootTime,
        looked: bool,
        make: impl FnOnce(Goal, u64) -> F,
    ) -> Turn<F> {
        let mut state = self.lock();
        let view = self.view.load_full();
        let serve = match (state.memory.verdict(view.as_deref(), goal, boot), view) {
            (Verdict::Fail(error), _) => return Turn::Fail(error),
            // Only what stands in a view is served.
            (Verdict::Serve, Some(view)) => return Turn::Serve(view),
            // Nor is there anything to look for where the store has yet to take what is newer.
            (Verdict::Look, Some(view))
                if looked || state.looking || state.flight.is_some() || state.kept.is_some() =>
            {
                if view.serves(goal, boot) {
                    return Turn::Serve(view);
                }
                if let Some(trouble) = &state.memory.trouble {
                    return Turn::Fail(trouble.error.clone());
                }
                None
            }
            (Verdict::Look, Some(view)) => {
                state.looking = true;
                return Turn::Look(state.ticket(Some(view), None));
            }
            (Verdict::ServeAndFly, Some(view)) => Some(view),
            (_, _) => None,
        };
        if let Some(flight) = &state.flight {
            let flight = Arc::clone(flight);
            return match serve {
                Some(view) => Turn::Serve(view),
                None if shares(flight.goal(), goal) => Turn::Join(flight),
                None => Turn::After(flight),
            };
        }
        if state.closing {
            return match serve {
                Some(view) => Turn::Serve(view),
                None => Turn::Fail(Error::unavailable("the session is shutting down", None, false)),
            };
        }
        let flight = Arc::new(make(goal.clone(), state.generation));
        state.flight = Some(Arc::clone(&flight));
        let kept = state.kept.as_ref().map(Unpersisted::duplicate);
        let view = self.view.load_full();
        let ticket = state.ticket(view, kept);
        Turn::Lead(flight, ticket, serve)
    }

    /// Begins a flight that stores what is in memory only, if that is so and nobody is at it.
    pub(crate) fn lead_keeping(
        &self,
        make: impl FnOnce(Goal, u64) -> F,
    ) -> Option<(Arc<F>, Ticket<F>)> {
        let mut state = self.lock();
        if state.flight.is_some() {
            return None;
        }
        let kept = state.kept.as_ref()?.duplicate();
        let flight = Arc::new(make(Goal::keep(), state.generation));
        state.flight = Some(Arc::clone(&flight));
        let ticket = state.ticket(self.view.load_full(), Some(kept));
        Some((flight, ticket))
    }

    /// Shows what a flow of this generation has to show; what is older than what is shown, or comes
    /// from an earlier generation, is not.
    pub(crate) fn publish(&self, generation: u64, publication: &Publication) {
        let mut state = self.lock();
        if state.generation != generation {
            return;
        }
        self.show(&mut state, publication);
        let flight = state.flight.clone();
        drop(state);
        if let Some(flight) = flight {
            flight.stir();
        }
    }

    /// Whether what is shown may answer `goal`.
    pub(crate) fn serves(&self, goal: &Goal, boot: BootTime) -> bool {
        self.view.load().as_ref().is_some_and(|view| view.serves(goal, boot))
    }

    /// Caller holds the lock.
    fn show(&self, state: &mut State<F>, publication: &Publication) {
        match publication {
            Publication::Absent(_) => {
                state.suspects.clear();
                self.view.store(None);
            }
            Publication::Signed(view) => {
                state.recognise(view);
                let view = &state.without_rejected(Arc::clone(view));
                let shown = self.view.load();
                let newer = shown.as_ref().is_some_and(|shown| {
                    shown.revision.lineage == view.revision.lineage && shown.seq > view.seq
                });
                if !newer {
                    self.view.store(Some(Arc::clone(view)));
                }
            }
        }
    }

    /// Frees the slot and takes over what the flight learned.
    pub(crate) fn land(&self, flight: &Arc<F>, outcome: Outcome) -> Landed {
        let mut state = self.lock();
        state.free(flight);
        if state.generation != flight.generation() {
            return Landed::detached(outcome);
        }
        state.landings += 1;
        self.take_over(&mut state, outcome)
    }

    /// Takes over what a look has learned, unless a flight has learned more meanwhile.
    pub(crate) fn looked(&self, generation: u64, landings: u64, outcome: Outcome) -> Landed {
        let mut state = self.lock();
        if state.generation != generation {
            return Landed::detached(outcome);
        }
        state.looking = false;
        if state.landings != landings || state.flight.is_some() {
            return Landed::detached(outcome);
        }
        self.take_over(&mut state, outcome)
    }

    /// Caller holds the lock.
    fn take_over(&self, state: &mut State<F>, outcome: Outcome) -> Landed {
        let Outcome { result, publish, mut memory, events, unpersisted, .. } = outcome;
        if let Some(publication) = &publish {
            self.show(state, publication);
        }
        // A caller may have been refused with the current token while the flow went on.
        let result = result.map(|view| state.without_rejected(view));
        memory.rejected = state.memory.rejected.or(memory.rejected);
        state.memory = memory;
        state.kept = unpersisted;
        Landed { result, events, abandoned: None, unpersisted: state.kept.is_some() }
    }

    /// A flight ended without landing: its task was dropped, or it panicked.
    pub(crate) fn crashed(&self, flight: &Arc<F>) {
        self.lock().free(flight);
    }

    /// A look ended without an answer.
    pub(crate) fn stop_looking(&self) {
        self.lock().looking = false;
    }

    /// Whether the caller is the one who is to store later what is kept.
    #[cfg(feature = "async")]
    pub(crate) fn begin_keeping(&self) -> bool {
        !core::mem::replace(&mut self.lock().keeping, true)
    }

    #[cfg(feature = "async")]
    pub(crate) fn stop_keeping(&self) {
        self.lock().keeping = false;
    }

    /// A sign-in or a sign-out is durable: a new generation begins, and the flight of the old one is
    /// detached. What has come of a sign-in already is newer than the sign-in itself.
    pub(crate) fn replace(&self, publication: &Publication, memory: Memory) -> Option<Unpersisted> {
        let mut state = self.lock();
        if self.shows_more_of(publication) {
            // What went wrong before was another sign-in's.
            state.memory.trouble = None;
            state.memory.signed_out = false;
            return None;
        }
        state.generation += 1;
        let detached = state.flight.take();
        state.working += u32::from(detached.is_some());
        state.looking = false;
        match publication {
            // A lineage of its own: whatever was shown before does not compare.
            Publication::Signed(view) => self.view.store(Some(Arc::clone(view))),
            Publication::Absent(_) => self.view.store(None),
        }
        state.memory = memory;
        state.suspects.clear();
        let kept = state.kept.take();
        drop(state);
        if let Some(flight) = detached {
            flight.detach();
        }
        kept
    }

    /// Whether a flight was faster than the answer to the save of this sign-in, and shows its tokens or
    /// their successors. Caller holds the lock.
    fn shows_more_of(&self, publication: &Publication) -> bool {
        let Publication::Signed(view) = publication else { return false };
        let shown = self.view.load();
        shown.as_ref().is_some_and(|shown| shown.revision.lineage == view.revision.lineage)
    }

    /// Whether this is the answer for `goal`; if not, the caller is to judge anew.
    pub(crate) fn answers(
        &self,
        flight: &F,
        goal: &Goal,
        result: &Result<Arc<View>, Error>,
    ) -> bool {
        let answers = match result {
            // For who insisted this is the end; the others may get another one.
            Ok(view) => goal.force == Force::Now || goal.want != Want::Access || !was_refused(view),
            Err(_) => flight.goal() == goal,
        };
        self.is_current(flight.generation()) && answers
    }

    pub(crate) fn generation(&self) -> u64 {
        self.lock().generation
    }

    pub(crate) fn is_current(&self, generation: u64) -> bool {
        self.lock().generation == generation
    }

    /// Stops serving this access token at once, whoever asks (rule 16). Where nothing is shown yet, it is
    /// not shown either when it is found.
    pub(crate) fn reject(&self, token: &AccessToken, boot: BootTime) {
        let mut state = self.lock();
        let token_is = Fingerprint::of(token.expose());
        match self.view.load_full() {
            Some(view) => {
                if let Some(view) = view.without_access(token) {
                    // Who rested because there was a usable token has none any more.
                    state.memory.trouble.take_if(|trouble| trouble.resting);
                    state.memory.rejected = Some(token_is);
                    self.view.store(Some(Arc::new(view)));
                }
            }
            None => {
                state.suspects.retain(|suspect| *suspect != token_is);
                if state.suspects.len() == SUSPECTS {
                    state.suspects.remove(0);
                }
                state.suspects.push(token_is);
                state.suspected_until = boot.saturating_add(SUSPECTED);
            }
        }
    }
}

impl<F: Flight> State<F> {
    fn ticket(&self, view: Option<Arc<View>>, kept: Option<Unpersisted>) -> Ticket<F> {
        Ticket {
            generation: self.generation,
            memory: self.memory.clone(),
            view,
            kept,
            landings: self.landings,
            _flight: core::marker::PhantomData,
        }
    }

    /// If the token that is found now was refused before it was shown, that counts from now on.
    fn recognise(&mut self, view: &View) {
        let access = view.access.as_ref().map(|access| Fingerprint::of(access.token.expose()));
        if let Some(refused) = access.filter(|access| self.suspects.contains(access)) {
            self.memory.rejected = Some(refused);
        }
        self.suspects.clear();
    }

    /// The view, without the access token if a caller was refused with it (rule 16).
    fn without_rejected(&self, view: Arc<View>) -> Arc<View> {
        let bare = self.memory.rejected.and_then(|rejected| {
            let token = &view.access.as_ref()?.token;
            (Fingerprint::of(token.expose()) == rejected).then(|| view.without_access(token))?
        });
        bare.map_or(view, Arc::new)
    }

    /// Each flight comes here once, when it has landed or crashed.
    fn free(&mut self, flight: &Arc<F>) {
        if self.flight.as_ref().is_some_and(|current| Arc::ptr_eq(current, flight)) {
            self.flight = None;
        } else {
            // It was detached, and counted from then on.
            self.working = self.working.saturating_sub(1);
        }
    }
}

/// A sign-in or a sign-out under way.
#[derive(Debug)]
pub(crate) struct Work<F: Flight>(Arc<Entry<F>>);

impl<F: Flight> Drop for Work<F> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.working = state.working.saturating_sub(1);
    }
}

/// Whether what a flight for `theirs` brings answers `mine` as well. A failure does so only where both
/// are the same: that no token lives as long as somebody else asked for is nobody else's concern.
fn shares(theirs: &Goal, mine: &Goal) -> bool {
    match (&theirs.force, &mine.force) {
        (Force::No, Force::No) => theirs.want == mine.want && theirs.at_least >= mine.at_least,
        (Force::Now, Force::Now) => true,
        (Force::Rejected(a), Force::Rejected(b)) => a == b,
        _ => false,
    }
}

/// Whether a resource server refused the access token of a view that a flight ended with: it was usable
/// then.
fn was_refused(view: &View) -> bool {
    view.access.as_ref().is_some_and(|shown| shown.usable_until == BootTime::PAST)
}

/// The access token of a view that a flight ended with.
pub(crate) fn access(view: &View) -> Result<AccessToken, Error> {
    match &view.access {
        Some(_) if was_refused(view) => Err(Error::unavailable(
            "the access token was refused by its resource server, and there is no other yet",
            None,
            false,
        )),
        Some(shown) => Ok(shown.token.clone()),
        None => Err(Error::protocol("the session has no access token")),
    }
}

/// The ID token of a view that a flight ended with.
pub(crate) fn id(view: &View) -> Result<IdToken, Error> {
    let shown = view.id.as_ref().map(|shown| shown.token.clone());
    shown.ok_or_else(|| Error::protocol("the server sends no ID token"))
}
