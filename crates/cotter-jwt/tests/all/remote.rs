//! When keys are fetched, and what happens when they cannot be.

use core::time::Duration;

use cotter_core::BootTime;
use cotter_jwt::{KeySet, Plan, Reason, Remote, RemotePolicy, Wanted};

const TTL: Duration = Duration::from_secs(600);

fn set(kids: &[&str]) -> KeySet {
    let keys: Vec<String> =
        kids.iter().map(|kid| format!(r#"{{"kty":"EC","kid":"{kid}"}}"#)).collect();
    KeySet::from_json(format!(r#"{{"keys":[{}]}}"#, keys.join(","))).unwrap()
}

/// A server, and a driver that has all the time of the world.
struct World {
    fetches: u32,
    now: BootTime,
    remote: Remote,
    server: Option<&'static [&'static str]>,
    ttl: Duration,
}

impl World {
    fn new(server: Option<&'static [&'static str]>) -> Self {
        let remote = Remote::new(RemotePolicy::default());
        Self { fetches: 0, now: BootTime::from_millis(5_000), remote, server, ttl: TTL }
    }

    fn later(&mut self, seconds: u64) {
        self.now = self.now.saturating_add(Duration::from_secs(seconds));
    }

    fn ask(&mut self, kid: Option<&str>) -> &'static str {
        let ticket = self.remote.arrive();
        self.pursue(kid.into(), ticket)
    }

    /// A token without a `kid` that none of the keys has signed.
    fn ask_in_vain(&mut self) -> &'static str {
        let ticket = self.remote.arrive();
        assert_eq!(self.pursue(Wanted::Any, ticket), "use");
        self.pursue(Wanted::Other, ticket)
    }

    fn pursue(&mut self, kid: Wanted<'_>, ticket: cotter_jwt::Ticket) -> &'static str {
        for _ in 0..3 {
            match self.remote.plan(kid, ticket, self.now) {
                Plan::Use(_) => return "use",
                Plan::Refuse(reason) => return reason.code(),
                Plan::Fetch => {
                    let flight = self.remote.begin(kid, self.now);
                    self.fetches += 1;
                    let outcome = self.server.map(|kids| (set(kids), self.ttl));
                    self.remote.complete(flight, self.now, outcome);
                }
            }
        }
        panic!("it fetches without end");
    }
}

#[test]
fn keys_are_fetched_once_and_again_when_they_are_old() {
    let mut world = World::new(Some(&["a"]));
    for _ in 0..3 {
        assert_eq!((world.ask(Some("a")), world.ask(None)), ("use", "use"));
    }
    assert_eq!(world.fetches, 1);
    world.later(599);
    assert_eq!((world.ask(Some("a")), world.fetches), ("use", 1));
    world.later(1);
    assert_eq!((world.ask(Some("a")), world.fetches), ("use", 2));
}

#[test]
fn ten_thousand_made_up_kids_cause_two_fetches() {
    let mut world = World::new(Some(&["a"]));
    let mut refused = [0, 0];
    for index in 0..10_000 {
        match world.ask(Some(&format!("made-up-{index}"))) {
            "kid_unknown" => refused[0] += 1,
            "kid_unknown_for_now" => refused[1] += 1,
            other => panic!("{other}"),
        }
    }
    assert_eq!((world.fetches, refused), (2, [2, 9_998]));
    assert_eq!(world.ask(Some("a")), "use", "and nobody else is hurt");
}

#[test]
fn a_new_key_is_found_by_one_fetch() {
    let mut world = World::new(Some(&["a"]));
    assert_eq!(world.ask(Some("a")), "use");
    world.server = Some(&["a", "b"]);
    assert_eq!((world.ask(Some("b")), world.fetches), ("use", 2));
    assert_eq!((world.ask(Some("b")), world.fetches), ("use", 2));
}

#[test]
fn in_the_cool_down_an_unknown_kid_is_a_matter_of_time() {
    let mut world = World::new(Some(&["a"]));
    world.ask(Some("a"));
    assert_eq!(world.ask(Some("x")), "kid_unknown");
    world.server = Some(&["a", "b"]);
    world.later(4);
    let ticket = world.remote.arrive();
    let Plan::Refuse(reason) = world.remote.plan(Some("b"), ticket, world.now) else { panic!() };
    assert_eq!(reason, Reason::KidUnknownForNow { retry_after: Duration::from_secs(6) });
    assert_eq!(reason.retry_after(), Some(Duration::from_secs(6)));
    world.later(6);
    assert_eq!((world.ask(Some("b")), world.fetches), ("use", 3));
}

#[test]
fn the_cool_down_is_never_shorter_than_ten_seconds() {
    let mut policy = RemotePolicy::default();
    policy.cool_down = Duration::ZERO;
    let mut world = World::new(Some(&["a"]));
    world.remote = Remote::new(policy);
    world.ask(Some("a"));
    world.ask(Some("x"));
    world.later(9);
    assert_eq!((world.ask(Some("y")), world.fetches), ("kid_unknown_for_now", 2));
}

#[test]
fn a_kid_that_was_looked_for_in_vain_is_not_looked_for_again_soon() {
    let mut world = World::new(Some(&["a"]));
    world.ask(Some("a"));
    assert_eq!(world.ask(Some("x")), "kid_unknown");
    world.later(9);
    assert_eq!(world.ask(Some("x")), "kid_unknown_for_now", "the cool-down comes first");
    for _ in 0..20 {
        world.later(1);
        assert_eq!(world.ask(Some("x")), "kid_unknown");
    }
    assert_eq!(world.fetches, 2);
    world.later(1);
    assert_eq!((world.ask(Some("x")), world.fetches), ("kid_unknown", 3), "30 seconds are over");
}

#[test]
fn a_kid_that_is_published_a_moment_late_is_found_within_half_a_minute() {
    let mut world = World::new(Some(&["a"]));
    world.ask(Some("a"));
    assert_eq!(world.ask(Some("b")), "kid_unknown");
    world.server = Some(&["a", "b"]);
    world.later(1);
    assert_eq!(world.ask(Some("b")), "kid_unknown_for_now");
    world.later(29);
    assert_eq!((world.ask(Some("b")), world.fetches), ("use", 3));
}

#[test]
fn a_kid_that_is_published_late_is_found_at_once_by_a_fetch_for_another() {
    let mut world = World::new(Some(&["a"]));
    world.ask(Some("a"));
    assert_eq!(world.ask(Some("b")), "kid_unknown");
    world.server = Some(&["a", "b"]);
    world.later(10);
    assert_eq!((world.ask(Some("c")), world.fetches), ("kid_unknown", 3));
    assert_eq!((world.ask(Some("b")), world.fetches), ("use", 3));
}

#[test]
fn keys_that_are_no_longer_fresh_are_fetched_whatever_was_looked_for_in_vain() {
    let mut world = World::new(Some(&["a"]));
    world.ttl = Duration::from_secs(12);
    world.ask(Some("a"));
    assert_eq!(world.ask(Some("b")), "kid_unknown");
    world.server = Some(&["a", "b"]);
    world.later(11);
    assert_eq!((world.ask(Some("b")), world.fetches), ("kid_unknown", 2));
    world.later(1);
    assert_eq!((world.ask(Some("b")), world.fetches), ("use", 3));
}

#[test]
fn what_was_fetched_for_a_token_is_good_for_it_however_short_its_life() {
    let mut policy = RemotePolicy::default();
    (policy.min_ttl, policy.stale_if_error) = (Duration::ZERO, Duration::ZERO);
    let mut world = World::new(Some(&["a"]));
    (world.remote, world.ttl) = (Remote::new(policy), Duration::ZERO);
    assert_eq!((world.ask(Some("a")), world.fetches), ("use", 1));
    assert_eq!((world.ask(Some("a")), world.fetches), ("use", 2));
    assert_eq!((world.ask(None), world.fetches), ("use", 3));
    for index in 0..10_000 {
        assert!(world.ask(Some(&format!("made-up-{index}"))).starts_with("kid_unknown"));
    }
    assert_eq!(world.fetches, 4, "what is not there still waits for the cool-down");
}

#[test]
fn a_token_without_a_kid_that_no_key_has_signed_causes_one_fetch_in_a_cool_down() {
    let mut world = World::new(Some(&["a"]));
    assert_eq!(world.ask_in_vain(), "use");
    assert_eq!(world.fetches, 1, "the keys were fetched for this very token");
    for _ in 0..10_000 {
        assert_eq!(world.ask_in_vain(), "use");
    }
    assert_eq!(world.fetches, 2);
    assert_eq!(world.ask(Some("x")), "kid_unknown_for_now", "the cool-down is the same");
    world.later(10);
    assert_eq!((world.ask_in_vain(), world.fetches), ("use", 3));
}

#[test]
fn an_answer_that_was_overtaken_brings_no_key_back() {
    let mut world = World::new(None);
    let slow = world.remote.begin(Some("b"), world.now);
    let fast = world.remote.begin(Some("b"), world.now);
    assert!(world.remote.complete(fast, world.now, Some((set(&["a"]), TTL))).is_some());
    assert!(world.remote.complete(slow, world.now, Some((set(&["a", "b"]), TTL))).is_none());
    let Plan::Use(keys) = world.remote.plan(Some("a"), world.remote.arrive(), world.now) else {
        panic!()
    };
    assert!(!keys.knows("b"));
    // Nor does its failure hold the next fetch up.
    let slow = world.remote.begin(Some("b"), world.now);
    let fast = world.remote.begin(Some("b"), world.now);
    world.remote.complete(fast, world.now, Some((set(&["a"]), TTL)));
    world.remote.complete(slow, world.now, None);
    world.later(600);
    world.server = Some(&["a"]);
    assert_eq!((world.ask(Some("a")), world.fetches), ("use", 1));
}

#[test]
fn a_fetch_that_began_before_the_token_came_proves_nothing_against_it() {
    let mut world = World::new(Some(&["a"]));
    let flight = world.remote.begin(Some("a"), world.now);
    let late = world.remote.arrive();
    world.remote.complete(flight, world.now, Some((set(&["a"]), TTL)));
    assert!(matches!(world.remote.plan(Some("b"), late, world.now), Plan::Fetch));
}

#[test]
fn whoever_comes_while_a_fetch_is_under_way_waits_for_it() {
    let mut world = World::new(Some(&["a"]));
    world.ask(Some("a"));
    let flight = world.remote.begin(Some("b"), world.now);
    let late = world.remote.arrive();
    assert!(matches!(world.remote.plan(Some("b"), late, world.now), Plan::Fetch));
    assert!(matches!(world.remote.plan(Some("a"), late, world.now), Plan::Use(_)));
    world.remote.complete(flight, world.now, Some((set(&["a", "b"]), TTL)));
    assert!(matches!(world.remote.plan(Some("b"), late, world.now), Plan::Use(_)));
    let Plan::Refuse(reason) = world.remote.plan(Some("c"), late, world.now) else { panic!() };
    assert_eq!(reason.code(), "kid_unknown_for_now");
}

#[test]
fn old_keys_serve_through_an_outage_that_is_not_knocked_at() {
    let mut world = World::new(Some(&["a"]));
    world.ask(Some("a"));
    world.server = None;
    world.later(601);
    for _ in 0..100 {
        assert_eq!(world.ask(Some("a")), "use");
    }
    assert_eq!(world.fetches, 2);
    assert_eq!(world.ask(Some("b")), "kid_unknown_for_now");
    for _ in 0..3_600 {
        world.later(1);
        assert_eq!(world.ask(Some("a")), "use");
    }
    // Pauses double up to a minute: an hour of it costs no more than its minutes.
    assert!((60..66).contains(&world.fetches), "{}", world.fetches);
    world.later(24 * 3600);
    assert_eq!(world.ask(Some("a")), "keys_unavailable", "not for ever");
    world.server = Some(&["a"]);
    world.later(300);
    assert_eq!(world.ask(Some("a")), "use");
}

#[test]
fn without_any_keys_the_answer_is_to_come_again() {
    let mut world = World::new(None);
    assert_eq!(world.ask(Some("a")), "keys_unavailable");
    assert_eq!(world.ask(Some("b")), "keys_unavailable");
    assert_eq!(world.fetches, 1);
    world.later(10);
    world.server = Some(&["a"]);
    assert_eq!((world.ask(Some("a")), world.fetches), ("use", 2));
}

#[test]
fn a_key_that_was_removed_is_gone_with_the_next_fetch() {
    let mut world = World::new(Some(&["a", "b"]));
    assert_eq!(world.ask(Some("b")), "use");
    world.server = Some(&["a"]);
    world.later(600);
    assert_eq!((world.ask(Some("b")), world.fetches), ("kid_unknown", 2));
}

#[test]
fn a_set_that_did_not_change_is_told_from_one_that_did() {
    let mut remote = Remote::new(RemotePolicy::default());
    let now = BootTime::from_millis(1);
    let mut fetch = |kids: &[&str]| {
        let flight = remote.begin(Wanted::Any, now);
        remote.complete(flight, now, Some((set(kids), TTL))).is_some()
    };
    assert_eq!((fetch(&["a"]), fetch(&["a"]), fetch(&["a", "b"])), (true, false, true));
}

#[test]
fn the_memory_of_unknown_kids_is_bounded() {
    let mut world = World::new(Some(&["a"]));
    world.ask(Some("a"));
    let flight = world.remote.begin(Some("x"), world.now);
    let early = Remote::new(RemotePolicy::default()).arrive();
    world.remote.complete(flight, world.now, Some((set(&["a"]), TTL)));
    for index in 0..10_000 {
        let kid = format!("made-up-{index}");
        assert!(matches!(world.remote.plan(Wanted::Kid(&kid), early, world.now), Plan::Refuse(_)));
    }
    let memory = format!("{:?}", world.remote).matches("made-up").count();
    assert!(memory <= 256, "{memory}");
}

#[test]
fn cache_control_is_heard_within_bounds() {
    let policy = RemotePolicy::default();
    let fresh = |header: &str| policy.fresh_for([header], None).as_secs();
    assert_eq!(fresh("max-age=120"), 120);
    assert_eq!(fresh("Max-Age=\"120\", public"), 120);
    assert_eq!(fresh("max-age=0"), 30);
    assert_eq!(fresh("max-age=99999999"), 86_400);
    assert_eq!(fresh("max-age=99999999999999999999999999"), 86_400);
    assert_eq!(fresh("s-maxage=5"), 600);
    assert_eq!(fresh("max-age=120, no-cache"), 30);
}

#[test]
fn cache_control_that_contradicts_itself_or_cannot_be_read_is_stale() {
    let policy = RemotePolicy::default();
    let fresh = |lines: &[&str]| policy.fresh_for(lines.iter().copied(), None).as_secs();
    assert_eq!(fresh(&["max-age=86400", "no-cache"]), 30);
    assert_eq!(fresh(&["public", "max-age=120"]), 120);
    assert_eq!(fresh(&["max-age=120", "max-age=120"]), 120);
    assert_eq!(fresh(&["max-age=120", "max-age=600"]), 30);
    assert_eq!(fresh(&["max-age=120, max-age=60"]), 30);
    for unreadable in ["max-age", "max-age=", "max-age=-5", "max-age=+5", "max-age=1.5"] {
        assert_eq!(fresh(&[unreadable]), 30, "{unreadable}");
    }
}

#[test]
fn time_spent_in_other_caches_counts() {
    let policy = RemotePolicy::default();
    let fresh = |age: &str| policy.fresh_for(["max-age=120"], Some(age)).as_secs();
    assert_eq!((fresh("20"), fresh(" 20 "), fresh("100")), (100, 100, 30));
    assert_eq!(fresh("99999999999999999999999999"), 30);
    assert_eq!((fresh("nonsense"), fresh("-5"), fresh("")), (120, 120, 120));
}
