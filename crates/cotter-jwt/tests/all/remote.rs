//! When keys are fetched, and what happens when they cannot be.

use core::time::Duration;

use cotter_core::BootTime;
use cotter_jwt::{KeySet, Plan, Reason, Remote, RemotePolicy};

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
}

impl World {
    fn new(server: Option<&'static [&'static str]>) -> Self {
        let remote = Remote::new(RemotePolicy::default());
        Self { fetches: 0, now: BootTime::from_millis(5_000), remote, server }
    }

    fn later(&mut self, seconds: u64) {
        self.now = self.now.saturating_add(Duration::from_secs(seconds));
    }

    fn ask(&mut self, kid: Option<&str>) -> &'static str {
        let ticket = self.remote.arrive();
        loop {
            match self.remote.plan(kid, ticket, self.now) {
                Plan::Use(_) => return "use",
                Plan::Refuse(reason) => return reason.code(),
                Plan::Fetch => {
                    let flight = self.remote.begin(kid, self.now);
                    self.fetches += 1;
                    let outcome = self.server.map(|kids| (set(kids), TTL));
                    self.remote.complete(flight, self.now, outcome);
                }
            }
        }
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
    for _ in 0..20 {
        world.later(11);
        assert_eq!(world.ask(Some("x")), "kid_unknown");
    }
    assert_eq!(world.fetches, 2);
    world.later(90);
    assert_eq!((world.ask(Some("x")), world.fetches), ("kid_unknown", 3), "five minutes are over");
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
    assert!(world.fetches < 22, "{}", world.fetches);
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
        let flight = remote.begin(None, now);
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
        assert!(matches!(world.remote.plan(Some(&kid), early, world.now), Plan::Refuse(_)));
    }
    let memory = format!("{:?}", world.remote).matches("made-up").count();
    assert!(memory <= 256, "{memory}");
}

#[test]
fn cache_control_is_heard_within_bounds() {
    let policy = RemotePolicy::default();
    let fresh = |header: &str| policy.fresh_for(Some(header), None).as_secs();
    assert_eq!(fresh("max-age=120"), 120);
    assert_eq!(fresh("Max-Age=\"120\", public"), 120);
    assert_eq!(fresh("max-age=0"), 30);
    assert_eq!(fresh("max-age=99999999"), 86_400);
    assert_eq!(fresh("max-age=-5"), 600);
    assert_eq!(fresh("s-maxage=5"), 600);
    assert_eq!(fresh("max-age=120, no-cache"), 30);
    assert_eq!(policy.fresh_for(Some("max-age=120"), Some("100")).as_secs(), 30);
    assert_eq!(policy.fresh_for(Some("max-age=120"), Some("nonsense")).as_secs(), 120);
}
