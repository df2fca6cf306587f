//! Several processes over one store and one rotating server, stepped in any order, with failing
//! stores, lost replies and processes that die: what must hold all the same.

#![allow(missing_docs)]

mod support;

use core::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use cotter_core::flow::{Outcome, Publication};
use cotter_core::{Event, Fingerprint, Goal, Record, Rotation, Step, StoreErrorKind};
use proptest::prelude::*;
use support::{Process, Reply, Saving, World, set};

/// A server that rotates strictly and forgets nothing.
#[derive(Debug, Default)]
struct Server {
    current: String,
    issued: u32,
    reuses: u32,
    /// What happens to the next requests.
    faults: Vec<u8>,
}

impl Server {
    fn answer(&mut self, token: &str) -> Reply {
        match self.faults.pop() {
            Some(1) => return Reply::Unsent,
            Some(2) => return Reply::With(429, "retry-after", "1"),
            Some(3) => return Reply::Lost,
            Some(4) => {
                self.rotate(token);
                return Reply::Lost;
            }
            _ => {}
        }
        if self.rotate(token) {
            let (access, refresh) = (format!("a{}", self.issued), self.current.clone());
            support::grant(&access, &refresh)
        } else {
            Reply::Body(400, r#"{"error":"invalid_grant"}"#.into())
        }
    }

    fn rotate(&mut self, token: &str) -> bool {
        if token != self.current {
            self.reuses += 1;
            return false;
        }
        self.issued += 1;
        self.current = format!("r{}", self.issued);
        true
    }
}

/// What a run is made of: choices that mean something whatever they are.
#[derive(Clone, Debug)]
struct Plan {
    order: Vec<u8>,
    faults: Vec<u8>,
    saving: Vec<(u8, u8)>,
    crashes: Vec<u8>,
}

fn plan(faults: core::ops::RangeInclusive<u8>, crashes: usize) -> impl Strategy<Value = Plan> {
    (
        prop::collection::vec(0u8..12, 40..400),
        prop::collection::vec(faults, 0..6),
        prop::collection::vec((2u8..24, 0u8..3), 0..5),
        prop::collection::vec(5u8..250, 0..=crashes),
    )
        .prop_map(|(order, faults, saving, crashes)| Plan { order, faults, saving, crashes })
}

struct Seat {
    process: Process,
    step: Option<Step<Outcome>>,
    /// Whether this process holds the lease.
    leased: bool,
}

struct Run {
    world: World,
    server: Rc<RefCell<Server>>,
    crashed: bool,
    uncertain: bool,
    unpersisted: bool,
    /// How often the record of one revision sent its token, and how often that was no spending.
    sends: HashMap<(u64, u8), u32>,
}

/// Runs a plan; not `careful` is the negative control.
fn run(plan: &Plan, careful: bool) -> Run {
    let server = Rc::new(RefCell::new(Server {
        current: "r0".into(),
        faults: plan.faults.clone(),
        ..Server::default()
    }));
    let mut world = World::new();
    let answering = Rc::clone(&server);
    world.server = Some(Box::new(move |token| answering.borrow_mut().answer(token)));
    for (save, what) in &plan.saving {
        let what = match what {
            0 => Saving::Fails(StoreErrorKind::Full),
            1 => Saving::DoneButTimesOut,
            _ => Saving::TimesOut,
        };
        world.saving.insert(u32::from(*save), what);
    }
    // Without leases, and with a provider that is declared not to rotate, so that nothing is noted.
    let rotation = if careful { Rotation::Strict } else { Rotation::None };
    let seat = || {
        let mut process = Process::new(rotation);
        process.store.lease = careful;
        Seat { process, step: None, leased: false }
    };
    let mut seats: Vec<Seat> = (0..3).map(|_| seat()).collect();
    seats[0].process.sign_in(&mut world, set("a0", "r0"), 1);
    world.seconds(3601);
    let mut run = Run {
        world,
        server,
        crashed: false,
        uncertain: false,
        unpersisted: false,
        sends: HashMap::new(),
    };
    for (tick, choice) in plan.order.iter().enumerate() {
        let seat = &mut seats[usize::from(*choice) % 3];
        if plan.crashes.iter().any(|crash| usize::from(*crash) == tick) && seat.step.is_some() {
            // The process dies: its lease goes with it, its memory too.
            if seat.leased {
                run.world.lease = None;
            }
            *seat = Seat { process: Process::new(Rotation::Strict), step: None, leased: false };
            run.crashed = true;
            continue;
        }
        if *choice > 9 {
            run.world.seconds(3601);
        }
        run.advance(seat);
    }
    // Everybody finishes; a flow that does not end fails here.
    for _ in 0..4_000 {
        for seat in seats.iter_mut().filter(|seat| seat.step.is_some()) {
            run.advance(seat);
        }
    }
    assert!(seats.iter().all(|seat| seat.step.is_none()), "a flow does not end");
    // What is in memory only is stored as soon as the store can.
    run.world.saving.clear();
    for seat in &mut seats {
        if seat.process.kept.is_some() {
            let _ = seat.process.acquire(&mut run.world, Goal::access());
        }
    }
    run
}

impl Run {
    fn advance(&mut self, seat: &mut Seat) {
        let step = match seat.step.take() {
            Some(step) => step,
            None => seat.process.begin(&self.world, Goal::access()),
        };
        let sends = matches!(step, Step::Send(_));
        let (before, lease) = (self.world.record.as_ref().map(|(r, _)| *r), self.world.lease);
        match self.world.once(step) {
            Err(step) => seat.step = Some(step),
            Ok(outcome) => {
                self.uncertain |= outcome.events.contains(&Event::Uncertain);
                self.unpersisted |= outcome.events.contains(&Event::Unpersisted);
                let _ = seat.process.take(outcome);
            }
        }
        if lease != self.world.lease {
            seat.leased = self.world.lease.is_some();
        }
        if sends && seat.process.store.lease {
            if let Some(revision) = before {
                let journaled = self.world.record.as_ref().is_some_and(|(_, bytes)| {
                    Record::decode(bytes).is_ok_and(|record| record.journal.is_some())
                });
                assert!(journaled, "a token was sent without a note of it");
                let count = self
                    .sends
                    .entry((revision.counter, revision.lineage.as_bytes()[0]))
                    .or_default();
                *count += 1;
            }
            assert!(seat.leased, "sent without the lease");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    /// However store and network fail short of losing an answer: no spent token is ever presented,
    /// and what the server issued last is what is stored last.
    #[test]
    fn no_spent_token_is_presented_and_the_last_one_issued_is_stored(plan in plan(0..=2, 0)) {
        let run = run(&plan, true);
        prop_assert_eq!(run.server.borrow().reuses, 0);
        prop_assert_eq!(run.world.stored_refresh(), run.server.borrow().current.clone());
        prop_assert!(run.world.lease.is_none());
    }

    /// At most one Send per journalled revision, but for answers that say it was not spent.
    #[test]
    fn one_send_per_note(plan in plan(0..=4, 2)) {
        let unspent = plan.faults.iter().filter(|fault| matches!(fault, 1 | 2)).count();
        let run = run(&plan, true);
        let again: u32 = run.sends.values().map(|count| count - 1).sum();
        prop_assert!(u32::try_from(unspent).unwrap() >= again, "{:?}", run.sends);
    }

    /// A session is lost only where an answer was, or a process; and then it is said.
    #[test]
    fn a_lost_rotation_has_a_cause(plan in plan(0..=4, 2)) {
        let run = run(&plan, true);
        if run.server.borrow().reuses > 0 {
            prop_assert!(run.uncertain || run.crashed, "a spent token was presented without a cause");
        }
        if run.world.stored_refresh() != run.server.borrow().current {
            prop_assert!(run.uncertain || run.crashed);
        }
    }

    /// Nobody sees a token whose refresh token is not stored, or said not to be.
    #[test]
    fn durable_before_visible(plan in plan(0..=4, 2)) {
        let run = run(&plan, true);
        let stored = run.world.stored();
        for publication in &run.world.published {
            let Publication::Signed(view) = publication else { continue };
            prop_assert!(!view.unpersisted, "what is published in a flight was saved in it");
            prop_assert!(view.seq <= stored.seq || run.crashed);
            if view.seq == stored.seq {
                let token = stored.refresh.as_ref().map(|t| Fingerprint::of(t.expose()));
                prop_assert_eq!(view.refresh, token);
            }
        }
    }
}

/// The negative control: without leases and notes the same plans do present spent tokens.
#[test]
fn without_leases_and_notes_spent_tokens_are_presented() {
    let mut found = false;
    for seed in 0..200u32 {
        let order = (0..120u32).map(|n| u8::try_from((n * 7 + seed * n + seed) % 10).unwrap());
        let plan = Plan {
            order: order.collect(),
            faults: Vec::new(),
            saving: Vec::new(),
            crashes: Vec::new(),
        };
        found |= run(&plan, false).server.borrow().reuses > 0;
    }
    assert!(found, "the model cannot tell care from carelessness");
}
