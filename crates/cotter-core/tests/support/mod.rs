//! A driver in virtual time over a model of a store and a scripted server; it writes a transcript.

#![allow(dead_code, unreachable_pub, reason = "not every test file needs everything")]
#![allow(clippy::result_large_err, clippy::std_instead_of_core)]
#![allow(clippy::type_complexity, clippy::unwrap_used)]

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use cotter_core::flow::{self, Context, Outcome, SignIn, Unpersisted};
use cotter_core::{
    BootId, BootTime, Capabilities, ErrorKind, Event, Expected, Goal, Holder, Lease, LeaseAnswer,
    LeaseOwner, Lineage, Loaded, Memory, Now, OAuthToken, Policy, Provider, Record, Revision,
    Rotation, SecretBytes, SignInReason, Step, StoreError, StoreErrorKind, Swap, Timestamp,
    TransportError, Verdict, Verify, View,
};
use http::Response;

pub const START: i64 = 1_767_225_600;

/// What the next request meets.
pub enum Reply {
    /// A status and a body.
    Body(u16, String),
    /// A status, a header, and a body.
    With(u16, &'static str, &'static str),
    /// The request is sent, and the answer lost.
    Lost,
    /// The request is not sent.
    Unsent,
}

/// What the next save meets, instead of happening.
#[derive(Clone, Copy, Debug)]
pub enum Saving {
    Fails(StoreErrorKind),
    DoneButTimesOut,
    TimesOut,
    /// It times out, and only after this many seconds.
    Hangs(u64),
}

#[derive(Default)]
pub struct World {
    pub record: Option<(Revision, SecretBytes)>,
    pub lease: Option<u64>,
    /// A lease that others hold for this many more requests for it.
    pub held_for: u32,
    /// How long leases last; `None` until they are given back.
    pub lasts: Option<Duration>,
    /// The next lease is taken over from somebody who let it lapse.
    pub lapsed: bool,
    /// How long the next lease's store was waited for.
    pub waited: Duration,
    pub replies: VecDeque<Reply>,
    /// What loads find instead of a readable record.
    pub unreadable: Option<StoreErrorKind>,
    /// By the number of the save, from 1: what it meets.
    pub saving: BTreeMap<u32, Saving>,
    /// By the number of the request, from 1: what somebody else does while it is under way.
    pub meanwhile: BTreeMap<u32, Box<dyn FnOnce(&mut Self)>>,
    pub saves: u32,
    pub sent: Vec<String>,
    pub budgets: Vec<Duration>,
    pub published: Vec<flow::Publication>,
    /// Answers requests where the script is empty.
    pub server: Option<Box<dyn FnMut(&str) -> Reply>>,
    pub transcript: Vec<String>,
    pub wall: i64,
    pub boot: u64,
    pub boot_id: u8,
    owners: u64,
}

/// One process: what its session remembers.
pub struct Process {
    pub provider: Provider,
    pub policy: Policy,
    pub store: Capabilities,
    pub memory: Memory,
    pub view: Option<Arc<View>>,
    pub kept: Option<Unpersisted>,
    pub events: Vec<Event>,
    pub verifier: Option<Arc<dyn Verify>>,
}

pub fn provider(rotation: Rotation) -> Provider {
    Provider::oauth2("https://auth.example/token", "client").unwrap().with_rotation(rotation)
}

/// A token answer with these two tokens and an hour of life.
pub fn grant(access: &str, refresh: &str) -> Reply {
    Reply::Body(
        200,
        format!(r#"{{"access_token":"{access}","refresh_token":"{refresh}","expires_in":3600}}"#),
    )
}

pub fn set(access: &str, refresh: &str) -> OAuthToken {
    format!(r#"{{"access_token":"{access}","refresh_token":"{refresh}","expires_in":3600}}"#)
        .parse()
        .unwrap()
}

impl Process {
    pub fn new(rotation: Rotation) -> Self {
        Self {
            provider: provider(rotation),
            policy: Policy::default(),
            store: Capabilities::new().with_shared().with_lease().with_compare_and_set(),
            memory: Memory::default(),
            view: None,
            kept: None,
            events: Vec::new(),
            verifier: None,
        }
    }

    pub fn context(&self) -> Context {
        Context {
            key: self.provider.store_key("ada").unwrap(),
            provider: Arc::new(self.provider.clone()),
            policy: Arc::new(self.policy.clone()),
            store: self.store,
            seed: 7,
            verifier: self.verifier.clone(),
        }
    }

    /// Flies for `goal`; what comes of it is remembered as a session would.
    pub fn acquire(&mut self, world: &mut World, goal: Goal) -> Result<String, cotter_core::Error> {
        let step = self.begin(world, goal);
        let outcome = world.drive(step);
        self.take(outcome)
    }

    /// What a caller is to do, judged from memory.
    pub fn verdict(&self, world: &World, goal: &Goal) -> Verdict {
        self.memory.verdict(self.view.as_deref(), goal, world.now().boot)
    }

    /// Looks at the store as a session does for all its callers.
    pub fn look(&mut self, world: &mut World) -> Result<String, cotter_core::Error> {
        let (memory, view) = (self.memory.clone(), self.view.clone());
        let step = flow::look(self.context(), memory, view, world.now());
        let outcome = world.drive(step);
        self.take(outcome)
    }

    /// Begins a flight without driving it.
    pub fn begin(&mut self, world: &World, goal: Goal) -> Step<Outcome> {
        let kept = self.kept.take();
        let (memory, view) = (self.memory.clone(), self.view.clone());
        flow::acquire(self.context(), goal, memory, view, kept, world.now())
    }

    pub fn take(&mut self, outcome: Outcome) -> Result<String, cotter_core::Error> {
        self.memory = outcome.memory;
        self.kept = outcome.unpersisted;
        self.events = outcome.events;
        match outcome.publish {
            Some(flow::Publication::Signed(view)) => self.view = Some(view),
            Some(flow::Publication::Absent(_)) => self.view = None,
            None => {}
        }
        outcome.result.map(|view| {
            view.access.as_ref().map_or_else(String::new, |shown| shown.token.expose().to_owned())
        })
    }

    pub fn sign_in(&mut self, world: &mut World, tokens: OAuthToken, lineage: u8) {
        let lineage = Lineage::from_bytes([lineage; 16]);
        let step = flow::sign_in(self.context(), SignIn { tokens, lineage }, world.now());
        let outcome = world.drive(step);
        self.take(outcome).unwrap();
    }

    pub fn sign_out(&self, world: &mut World) -> Result<flow::SignedOut, cotter_core::Error> {
        let step = flow::sign_out(self.context(), world.now());
        world.drive(step)
    }
}

impl World {
    pub fn new() -> Self {
        Self { wall: START * 1000, boot: 1_000_000, boot_id: 1, ..Self::default() }
    }

    pub fn now(&self) -> Now {
        Now {
            wall: Timestamp::from_unix_millis(self.wall),
            boot: BootTime::from_millis(self.boot),
            boot_id: BootId::from_bytes([self.boot_id; 16]),
        }
    }

    pub fn pass(&mut self, span: Duration) {
        self.wall += i64::try_from(span.as_millis()).unwrap();
        self.boot += u64::try_from(span.as_millis()).unwrap();
    }

    pub fn seconds(&mut self, seconds: u64) {
        self.pass(Duration::from_secs(seconds));
    }

    pub fn stored(&self) -> Record {
        Record::decode(&self.record.as_ref().expect("a record is stored").1).unwrap()
    }

    pub fn stored_refresh(&self) -> String {
        self.stored().refresh.unwrap().expose().to_owned()
    }

    /// The transcript so far, as one line, taken.
    pub fn told(&mut self) -> String {
        core::mem::take(&mut self.transcript).join(", ")
    }

    fn save(&mut self, save: &cotter_core::Save) -> Result<Swap, StoreError> {
        self.saves += 1;
        let found = self.record.as_ref().map(|(revision, _)| *revision);
        let fits = match save.expected {
            Expected::Absent => found.is_none(),
            Expected::Revision(revision) => found == Some(revision),
        };
        let error = |kind| Err(StoreError::new(kind, "planned"));
        match self.saving.remove(&self.saves) {
            Some(Saving::Fails(kind)) => return error(kind),
            Some(Saving::Hangs(seconds)) => {
                self.seconds(seconds);
                return error(StoreErrorKind::Timeout);
            }
            Some(Saving::TimesOut) => return error(StoreErrorKind::Timeout),
            Some(Saving::DoneButTimesOut) if fits => {
                self.record = Some((save.new, save.record.duplicate()));
                return error(StoreErrorKind::Timeout);
            }
            _ => {}
        }
        if !fits {
            return Ok(Swap::Conflict { found });
        }
        self.record = Some((save.new, save.record.duplicate()));
        Ok(Swap::Done)
    }

    fn lease(&mut self) -> LeaseAnswer {
        if self.held_for > 0 {
            self.held_for -= 1;
            return LeaseAnswer::Held(Holder::unknown());
        }
        if self.lease.is_some() {
            return LeaseAnswer::Held(Holder::unknown());
        }
        self.owners += 1;
        self.lease = Some(self.owners);
        let mut owner = [0; 16];
        owner[..8].copy_from_slice(&self.owners.to_be_bytes());
        LeaseAnswer::Granted(Lease {
            owner: LeaseOwner::from_bytes(owner),
            ends_in: self.lasts,
            lapsed: core::mem::take(&mut self.lapsed),
            waited: core::mem::take(&mut self.waited),
        })
    }

    fn send(&mut self, send: &cotter_core::Send) -> Result<Response<SecretBytes>, TransportError> {
        let body = String::from_utf8(send.request.body().expose().to_vec()).unwrap();
        let token = body.split('&').find_map(|field| field.strip_prefix("refresh_token="));
        self.sent.push(token.unwrap_or("revoke").to_owned());
        self.budgets.push(send.not_after.saturating_since(BootTime::from_millis(self.boot)));
        let number = u32::try_from(self.sent.len()).unwrap();
        if let Some(act) = self.meanwhile.remove(&number) {
            act(self);
        }
        self.pass(Duration::from_millis(100));
        let reply = match (self.replies.pop_front(), &mut self.server) {
            (Some(reply), _) => reply,
            (None, Some(server)) => server(token.unwrap_or_default()),
            (None, None) => panic!("the script has no reply"),
        };
        match reply {
            Reply::Body(status, body) => {
                let mut response = Response::new(SecretBytes::from(body.into_bytes()));
                *response.status_mut() = http::StatusCode::from_u16(status).unwrap();
                Ok(response)
            }
            Reply::With(status, name, value) => Ok(Response::builder()
                .status(status)
                .header(name, value)
                .body(SecretBytes::default())
                .unwrap()),
            Reply::Lost => Err(TransportError::maybe_sent("lost, as planned")),
            Reply::Unsent => Err(TransportError::not_sent("refused, as planned")),
        }
    }

    /// Drives a flow to its end; a flow that takes more than 10 000 steps does not end.
    pub fn drive<T>(&mut self, mut step: Step<T>) -> T {
        for _ in 0..10_000 {
            step = match self.once(step) {
                Ok(value) => return value,
                Err(step) => step,
            };
        }
        panic!("the flow does not end: {:?}", &self.transcript[..50]);
    }

    /// Does one step.
    pub fn once<T>(&mut self, step: Step<T>) -> Result<T, Step<T>> {
        let line = match &step {
            Step::Sleep(_) => "Sleep".to_owned(),
            other => format!("{other:?}"),
        };
        self.transcript.push(line);
        Err(match step {
            Step::Load(ask) => {
                let answer = self.record.as_ref().map(|(revision, record)| Loaded {
                    revision: *revision,
                    record: match self.unreadable {
                        Some(kind) => Err(StoreError::new(kind, "planned")),
                        None => Ok(record.duplicate()),
                    },
                });
                ask.split().1.answer(self.now(), Ok(answer))
            }
            Step::Save(ask) => {
                let (save, then) = ask.split();
                let answer = self.save(&save);
                then.answer(self.now(), answer)
            }
            Step::Remove(ask) => {
                let (remove, then) = ask.split();
                let found = self.record.as_ref().map(|(revision, _)| *revision);
                let answer = if found == Some(remove.expected) {
                    self.record = None;
                    Swap::Done
                } else {
                    Swap::Conflict { found }
                };
                then.answer(self.now(), Ok(answer))
            }
            Step::Lease(ask) => {
                let answer = self.lease();
                ask.split().1.answer(self.now(), Ok(answer))
            }
            Step::Release(ask) => {
                let (give, then) = ask.split();
                let owner = u64::from_be_bytes(give.owner.as_bytes()[..8].try_into().unwrap());
                if self.lease == Some(owner) {
                    self.lease = None;
                }
                then.answer(self.now(), Ok(()))
            }
            Step::Send(ask) => {
                let (send, then) = ask.split();
                let answer = self.send(&send);
                then.answer(self.now(), answer)
            }
            Step::Sleep(ask) => {
                let (span, then) = ask.split();
                self.pass(span);
                then.answer(self.now(), ())
            }
            Step::Publish(ask) => {
                let (publication, then) = ask.split();
                self.published.push(publication);
                then.answer(self.now(), ())
            }
            Step::Done(value) => return Ok(value),
        })
    }
}

pub const GRACE: Rotation = Rotation::Grace(Duration::from_secs(30));

/// A process that is signed in with tokens `a1` and `r1`, which have ended.
pub fn expired(rotation: Rotation) -> (World, Process) {
    let (mut world, mut process) = (World::new(), Process::new(rotation));
    process.sign_in(&mut world, set("a1", "r1"), 1);
    world.seconds(3601);
    world.told();
    (world, process)
}

/// The same, with tokens that are due but usable.
pub fn stale(rotation: Rotation) -> (World, Process) {
    let (mut world, mut process) = (World::new(), Process::new(rotation));
    process.sign_in(&mut world, set("a1", "r1"), 1);
    world.seconds(3570);
    world.told();
    (world, process)
}

pub fn refusal() -> Reply {
    Reply::Body(400, r#"{"error":"invalid_grant"}"#.into())
}

pub fn reason(error: &cotter_core::Error) -> Option<SignInReason> {
    match error.kind() {
        ErrorKind::SignInRequired(reason) => Some(reason),
        _ => None,
    }
}

pub fn is_uncertain(error: &cotter_core::Error) -> bool {
    matches!(error.kind(), ErrorKind::Unavailable { uncertain: true, .. })
}
