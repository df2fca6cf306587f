//! Every edge of every flow, as transcripts: each question that a flow asks on its usual way gets
//! every answer that it may get, and what follows is compared with the files in `golden/edges`.
//! Then two odd answers in every combination: the flow ends, and gives its lease back.
//!
//! `UPDATE_EXPECT=1 cargo test -p cotter-core --test edges` writes the files anew.

#![allow(missing_docs, clippy::unwrap_used)]
#![allow(clippy::result_large_err, reason = "an unfinished step is no error")]

#[path = "support/hosted.rs"]
mod hosted;
mod support;

use core::fmt::Write as _;
use core::time::Duration;
use std::sync::Arc;

use cotter_core::device::{DeviceSeed, Ed25519};
use cotter_core::flow::{self, Enrolment, Outcome, SignIn};
use cotter_core::{
    Capabilities, Error, Goal, Lineage, Loaded, Memory, OAuthToken, Revision, Rotation,
    SecretBytes, Step, StoreError, StoreErrorKind,
};
use expect_test::{ExpectFile, expect_file};
use http::Request;
use serde_json::{Value, json};
use support::{Process, Reply, START, Saving, World, grant, set};

/// A flow in its surroundings.
struct Scene<T> {
    /// The world and the first step.
    begin: Box<dyn Fn() -> (World, Step<T>)>,
    /// What the server answers when all is well.
    server: fn(&Request<SecretBytes>) -> Reply,
    /// What came of it.
    tell: fn(&T) -> String,
    /// Whether other processes may change what is stored; else the record is a device's key.
    others: bool,
    /// Whether a lease may stay taken.
    may_keep_lease: fn(&T) -> bool,
}

/// What else a question may be answered with, by name.
fn menu<T>(step: &Step<T>, others: bool) -> Vec<&'static str> {
    let mut menu: Vec<&str> = match step {
        Step::Load(_) => vec!["fails", "locked", "damaged", "too new", "wrong key", "gone"],
        Step::Save(_) => vec!["full", "times out", "done but times out", "conflict: gone"],
        Step::Remove(_) => vec!["fails", "times out", "done but times out", "conflict: gone"],
        Step::Lease(_) => vec!["held", "held for ever", "lapsed", "fails"],
        Step::Release(_) => vec!["fails"],
        Step::Send(_) => REPLIES.to_vec(),
        Step::Sleep(_) | Step::Publish(_) | Step::Done(_) => vec![],
    };
    if others {
        match step {
            Step::Load(_) => menu.extend(["rotated", "signed in"]),
            Step::Save(_) | Step::Remove(_) => {
                menu.extend(["conflict: rotated", "conflict: signed in"]);
            }
            _ => {}
        }
    }
    menu
}

const REPLIES: &[&str] = &[
    "unsent",
    "lost",
    "refused",
    "bad client",
    "404",
    "408",
    "429",
    "302",
    "500",
    "503",
    "page",
    "empty",
    "{}",
    "no refresh token",
    "no access token",
    "signed out meanwhile",
    "signed in meanwhile",
    "rotated meanwhile",
];

fn reply(name: &str) -> Reply {
    match name {
        "unsent" => Reply::Unsent,
        "lost" => Reply::Lost,
        "refused" => Reply::Body(400, r#"{"error":"invalid_grant","msg":"no"}"#.into()),
        "bad client" => Reply::Body(401, r#"{"error":"invalid_client","msg":"no"}"#.into()),
        "404" => Reply::Body(404, r#"{"msg":"not found"}"#.into()),
        "408" => Reply::Body(408, String::new()),
        "429" => Reply::With(429, "retry-after", "600"),
        "302" => Reply::With(302, "location", "/portal"),
        "500" => Reply::Body(500, String::new()),
        "503" => Reply::With(503, "retry-after", "2"),
        "page" => Reply::Body(200, "<html>sign in to this network</html>".into()),
        "empty" => Reply::Body(200, String::new()),
        "{}" => Reply::Body(200, "{}".into()),
        "no refresh token" => Reply::Body(200, r#"{"access_token":"a2","expires_in":3600}"#.into()),
        "no access token" => Reply::Body(200, r#"{"refresh_token":"r2","expires_in":3600}"#.into()),
        other => panic!("there is no reply {other:?}"),
    }
}

/// What another process does; it takes the lease from nobody.
fn by_another(world: &mut World, deed: &str) {
    let (told, lease) = (core::mem::take(&mut world.transcript), world.lease.take());
    let mut other = Process::new(Rotation::Strict);
    match deed {
        "gone" | "signed out" => world.record = None,
        "signed in" => other.sign_in(world, set("b1", "s1"), 2),
        "rotated" if world.record.is_some() => {
            let replies = core::mem::take(&mut world.replies);
            let (saving, saves) = (core::mem::take(&mut world.saving), world.saves);
            world.replies.push_back(grant("a9", "r9"));
            let _ = other.acquire(world, Goal::refresh());
            (world.replies, world.saving, world.saves) = (replies, saving, saves);
        }
        "rotated" => {}
        other => panic!("nobody does {other:?}"),
    }
    (world.transcript, world.lease) = (told, lease);
}

/// Does one step, with an answer of this name.
fn twist<T>(scene: &Scene<T>, world: &mut World, step: Step<T>, name: &str) -> Result<T, Step<T>> {
    if let Step::Send(ask) = &step {
        let usual = (scene.server)(&ask.question().request);
        if let Some(deed) = name.strip_suffix(" meanwhile") {
            let number = u32::try_from(world.sent.len()).unwrap() + 1;
            let deed = deed.to_owned();
            world.meanwhile.insert(number, Box::new(move |world| by_another(world, &deed)));
            world.replies.push_back(usual);
        } else {
            world.replies.push_back(if name.is_empty() { usual } else { reply(name) });
        }
        return world.once(step);
    }
    let kind = match name {
        "" => return world.once(step),
        "fails" => StoreErrorKind::Other,
        "locked" => StoreErrorKind::Locked,
        "damaged" => StoreErrorKind::Damaged,
        "too new" => StoreErrorKind::TooNew,
        "wrong key" => StoreErrorKind::KeyWrong,
        "full" => StoreErrorKind::Full,
        _ => StoreErrorKind::Timeout,
    };
    let error = StoreError::new(kind, "planned");
    let unreadable = matches!(name, "damaged" | "too new" | "wrong key");
    match step {
        Step::Load(ask) if matches!(name, "fails" | "locked") => {
            world.transcript.push("Load".into());
            Err(ask.split().1.answer(world.now(), Err(error)))
        }
        Step::Load(ask) if unreadable => {
            world.transcript.push("Load".into());
            let first = Revision::first(Lineage::from_bytes([9; 16]));
            let revision = world.record.as_ref().map_or(first, |(revision, _)| *revision);
            let loaded = Loaded { revision, record: Err(error) };
            Err(ask.split().1.answer(world.now(), Ok(Some(loaded))))
        }
        Step::Save(_) if matches!(name, "full" | "times out" | "done but times out") => {
            let planned = match name {
                "full" => Saving::Fails(kind),
                "times out" => Saving::TimesOut,
                _ => Saving::DoneButTimesOut,
            };
            world.saving.insert(world.saves + 1, planned);
            world.once(step)
        }
        Step::Remove(ask) if matches!(name, "fails" | "times out" | "done but times out") => {
            world.transcript.push("Remove".into());
            if name == "done but times out" {
                world.record = None;
            }
            Err(ask.split().1.answer(world.now(), Err(error)))
        }
        Step::Lease(ask) if name == "fails" => {
            world.transcript.push("Lease".into());
            Err(ask.split().1.answer(world.now(), Err(error)))
        }
        Step::Release(ask) => {
            world.transcript.push("Release".into());
            Err(ask.split().1.answer(world.now(), Err(error)))
        }
        Step::Lease(_) => {
            match name {
                "held" => world.held_for = 1,
                "held for ever" => world.held_for = u32::MAX,
                _ => world.lapsed = true,
            }
            world.once(step)
        }
        step => {
            by_another(world, name.trim_start_matches("conflict: "));
            world.once(step)
        }
    }
}

/// What came of a run, and what it was asked at each step.
struct Ran {
    line: String,
    menus: Vec<Vec<&'static str>>,
}

/// Runs a scene, with odd answers to the questions of these numbers.
fn run<T>(scene: &Scene<T>, odd: &[(usize, &'static str)]) -> Ran {
    let (mut world, mut step) = (scene.begin)();
    world.transcript.clear();
    let (mut menus, mut told): (Vec<_>, Vec<String>) = (Vec::new(), Vec::new());
    let mut release_failed = false;
    let value = loop {
        assert!(menus.len() < 5_000, "it does not end after {odd:?}: {:?}", &told[..40]);
        let name = odd.iter().find(|(at, _)| *at == menus.len()).map_or("", |(_, name)| *name);
        release_failed |= matches!(step, Step::Release(_)) && !name.is_empty();
        menus.push(menu(&step, scene.others));
        let next = twist(scene, &mut world, step, name);
        let mut said = world.told();
        if !name.is_empty() {
            write!(said, " [{name}]").unwrap();
        }
        told.push(said);
        step = match next {
            Ok(value) => break value,
            Err(step) => step,
        };
    };
    assert!(
        world.lease.is_none() || release_failed || (scene.may_keep_lease)(&value),
        "the lease stays taken after {odd:?}: {told:?}"
    );
    if told.last().is_some_and(|last| last == "Done") {
        told.pop();
    }
    let line = format!("{} => {}", shortened(&told), (scene.tell)(&value));
    Ran { line: format!("{line}; {}", stored(&world, scene.others)), menus }
}

/// What repeats itself is told once.
fn shortened(told: &[String]) -> String {
    let mut short: Vec<&str> = Vec::new();
    let mut rest = told;
    while let Some(first) = rest.first() {
        let again = (1..=4).find_map(|period| {
            let round = rest.get(..period)?;
            let rounds = rest.chunks_exact(period).take_while(|chunk| *chunk == round).count();
            (rounds > 2).then_some((round, rounds * period))
        });
        if let Some((round, all)) = again {
            short.extend(round.iter().map(String::as_str));
            short.push("...");
            rest = &rest[all..];
        } else {
            short.push(first);
            rest = &rest[1..];
        }
    }
    short.join(", ")
}

fn stored(world: &World, session: bool) -> String {
    match (&world.record, session) {
        (None, _) => "nothing is stored".into(),
        (Some((revision, _)), false) => format!("revision {} is stored", revision.counter),
        (Some(_), true) => {
            let record = world.stored();
            let refresh = record.refresh.as_ref().map_or("-", |token| token.expose());
            let refresh = if refresh.len() > 12 { "REFRESH" } else { refresh };
            let journal = if record.journal.is_some() { ", being spent" } else { "" };
            let held = record.held.map_or_else(String::new, |held| format!(", held: {held:?}"));
            format!("stored {refresh}{journal}{held}")
        }
    }
}

/// The usual way and every single odd answer, word for word; every two of them, by their end.
fn explore<T>(scene: &Scene<T>, expected: &ExpectFile) {
    let usual = run(scene, &[]);
    let mut text = format!("{}\n", usual.line);
    for (at, menu) in usual.menus.iter().enumerate() {
        for name in menu {
            let once = run(scene, &[(at, name)]);
            writeln!(text, "\n{}", once.line).unwrap();
            for (then, menu) in once.menus.iter().enumerate().skip(at + 1).take(12) {
                for second in menu {
                    run(scene, &[(at, name), (then, second)]);
                }
            }
        }
    }
    expected.assert_eq(&text);
}

fn tell_outcome(outcome: &Outcome) -> String {
    let mut told = match &outcome.result {
        Ok(view) => view.access.as_ref().map_or_else(
            || "-".into(),
            |shown| {
                let token = shown.token.expose();
                if token.len() > 12 { "ACCESS".into() } else { token.to_owned() }
            },
        ),
        Err(error) => format!("{:?}", error.kind()),
    };
    for event in &outcome.events {
        let event = format!("{event:?}");
        write!(told, ", {}", event.split([' ', '(', '{']).next().unwrap()).unwrap();
    }
    if outcome.unpersisted.is_some() {
        told.push_str(", kept in memory");
    }
    told
}

fn tell_result<T>(result: &Result<T, Error>, told: impl FnOnce(&T) -> String) -> String {
    match result {
        Ok(value) => told(value),
        Err(error) => format!("{:?}", error.kind()),
    }
}

/// The token endpoint: the first exchange brings `a2` and `r2`; revocations are fine.
fn token_server(request: &Request<SecretBytes>) -> Reply {
    if request.uri().path() == "/revoke" {
        return Reply::Body(200, String::new());
    }
    grant("a2", "r2")
}

/// A flight, after `prepare` has had its way with a session that is signed in with `a1` and `r1`.
fn flight(
    rotation: Rotation,
    goal: fn() -> Goal,
    prepare: fn(&mut World, &mut Process),
) -> Scene<Outcome> {
    Scene {
        begin: Box::new(move || {
            let (mut world, mut process) = (World::new(), Process::new(rotation));
            process.sign_in(&mut world, set("a1", "r1"), 1);
            prepare(&mut world, &mut process);
            let step = process.begin(&world, goal());
            (world, step)
        }),
        server: token_server,
        tell: tell_outcome,
        others: true,
        may_keep_lease: |outcome| outcome.unpersisted.is_some(),
    }
}

fn expire(world: &mut World, _: &mut Process) {
    world.seconds(3601);
}

fn cut_off(world: &mut World, process: &mut Process) {
    world.seconds(3601);
    world.replies.push_back(Reply::Lost);
    world.server = Some(Box::new(|_| Reply::Lost));
    let _ = process.acquire(world, Goal::access());
    world.server = None;
    world.replies.clear();
    let (memory, provider) = (Memory::default(), process.provider.clone());
    *process = Process { memory, provider, ..Process::new(Rotation::Strict) };
}

const GRACE: Rotation = Rotation::Grace(Duration::from_secs(30));

#[test]
fn acquire_a_fresh_token() {
    let scene = flight(Rotation::Strict, Goal::access, |_, _| {});
    explore(&scene, &expect_file!["golden/edges/acquire-fresh.txt"]);
}

#[test]
fn acquire_where_the_token_is_due() {
    let scene = flight(Rotation::Strict, Goal::access, |world, _| world.seconds(3570));
    explore(&scene, &expect_file!["golden/edges/acquire-due.txt"]);
}

#[test]
fn acquire_where_the_token_has_ended() {
    let scene = flight(Rotation::Strict, Goal::access, expire);
    explore(&scene, &expect_file!["golden/edges/acquire-ended.txt"]);
}

#[test]
fn acquire_within_a_grace() {
    let scene = flight(GRACE, Goal::access, expire);
    explore(&scene, &expect_file!["golden/edges/acquire-grace.txt"]);
}

#[test]
fn acquire_where_nothing_rotates() {
    let scene = flight(Rotation::None, Goal::access, expire);
    explore(&scene, &expect_file!["golden/edges/acquire-none.txt"]);
}

#[test]
fn acquire_after_a_refresh_that_was_cut_off() {
    let scene = flight(Rotation::Strict, Goal::access, cut_off);
    explore(&scene, &expect_file!["golden/edges/acquire-cut-off.txt"]);
}

#[test]
fn acquire_with_a_set_that_could_not_be_saved() {
    let scene = flight(Rotation::Strict, Goal::access, |world, process| {
        world.seconds(3601);
        world.replies.push_back(grant("a8", "r8"));
        let first = world.saves + 2;
        world.saving =
            (first..first + 50).map(|save| (save, Saving::Fails(StoreErrorKind::Full))).collect();
        process.acquire(world, Goal::access()).unwrap();
        assert!(process.kept.is_some());
        world.saving.clear();
    });
    explore(&scene, &expect_file!["golden/edges/acquire-unsaved.txt"]);
}

#[test]
fn acquire_in_a_store_that_nobody_shares() {
    let scene = flight(Rotation::Strict, Goal::access, |world, process| {
        process.store = Capabilities::new();
        world.seconds(3601);
    });
    explore(&scene, &expect_file!["golden/edges/acquire-unshared.txt"]);
}

#[test]
fn force_a_refresh() {
    let scene = flight(Rotation::Strict, Goal::refresh, |_, _| {});
    explore(&scene, &expect_file!["golden/edges/force.txt"]);
}

/// A flow of a session that is signed in, or not.
fn of_session<T: 'static>(
    signed_in: bool,
    begin: fn(&World, &Process) -> Step<T>,
    tell: fn(&T) -> String,
) -> Scene<T> {
    Scene {
        begin: Box::new(move || {
            let (mut world, mut process) = (World::new(), Process::new(Rotation::Strict));
            process.provider =
                process.provider.with_revocation_endpoint("https://auth.example/revoke").unwrap();
            if signed_in {
                process.sign_in(&mut world, set("a1", "r1"), 1);
            }
            let step = begin(&world, &process);
            (world, step)
        }),
        server: token_server,
        tell,
        others: true,
        may_keep_lease: |_| false,
    }
}

fn sign_in(world: &World, process: &Process) -> Step<Outcome> {
    let lineage = Lineage::from_bytes([3; 16]);
    flow::sign_in(process.context(), SignIn { tokens: set("c1", "t1"), lineage }, world.now())
}

#[test]
fn sign_in_where_nobody_is() {
    let scene = of_session(false, sign_in, tell_outcome);
    explore(&scene, &expect_file!["golden/edges/sign-in.txt"]);
}

#[test]
fn sign_in_over_somebody() {
    let scene = of_session(true, sign_in, tell_outcome);
    explore(&scene, &expect_file!["golden/edges/sign-in-over.txt"]);
}

#[test]
fn sign_out() {
    let scene = of_session(
        true,
        |world, process| flow::sign_out(process.context(), world.now()),
        |result| tell_result(result, |out| format!("{} {:?}", out.was_signed_in, out.revoked)),
    );
    explore(&scene, &expect_file!["golden/edges/sign-out.txt"]);
}

#[test]
fn inspect() {
    let scene = of_session(
        true,
        |_, process| flow::inspect(process.context()),
        |result| tell_result(result, |status| format!("{:?}", status.state)),
    );
    explore(&scene, &expect_file!["golden/edges/inspect.txt"]);
}

#[test]
fn read_the_refresh_token() {
    let scene = of_session(
        true,
        |_, process| flow::refresh_token(process.context(), Memory::default()),
        |result| tell_result(result, |token| token.expose().to_owned()),
    );
    explore(&scene, &expect_file!["golden/edges/refresh-token.txt"]);
}

#[test]
fn read_who_is_signed_in() {
    let scene = of_session(
        true,
        |_, process| flow::signed_in_user(process.context(), Memory::default()),
        |result| tell_result(result, |user| format!("{:?}", user.id)),
    );
    explore(&scene, &expect_file!["golden/edges/signed-in-user.txt"]);
}

#[test]
fn look_whether_a_sign_in_may_be_stored() {
    let scene = of_session(
        true,
        |world, process| flow::may_sign_in(&process.context(), world.now()),
        |result| tell_result(result, |()| "yes".into()),
    );
    explore(&scene, &expect_file!["golden/edges/may-sign-in.txt"]);
}

fn vectors() -> Value {
    serde_json::from_str(include_str!("vectors/cotter-vectors.json")).unwrap()
}

fn cotter_set() -> Value {
    let vectors = vectors();
    json!({
        "access_token": vectors["access_token"], "id_token": vectors["id_token"],
        "refresh_token": "4711:after", "expires_in": 3600,
    })
}

fn event(new: bool, approved: bool) -> Value {
    json!({
        "ID": 610_778, "user_id": hosted::USER, "event": "LOGIN_WITH_DEVICE", "ip": "unknown",
        "location": "unknown", "timestamp": START.to_string(), "method": "TRUSTED_DEVICE",
        "new": new, "approved": approved,
    })
}

/// A small Cotter that is pleased with everything.
fn cotter(request: &Request<SecretBytes>) -> Reply {
    let path = request.uri().path();
    let mut answer = match path {
        path if path.ends_with("/verify/get_identity") => json!({
            "token": vectors()["identity_token"], "oauth_token": cotter_set(),
            "user": { "ID": hosted::USER, "identifier": "ada@example.test" },
        }),
        path if path.ends_with("/user") || path.ends_with("/user/create") => {
            json!({ "ID": hosted::USER, "identifier": "ada@example.test" })
        }
        path if path.ends_with("/user/methods") && request.method() == http::Method::GET => {
            json!({ "enrolled": true })
        }
        path if path.ends_with("/user/methods") => json!({}),
        path if path.ends_with("/event/create_pending") => event(true, false),
        path if path.ends_with("/event/new") => event(true, false),
        _ => event(false, true),
    };
    if path.ends_with("/event/create") || path.contains("/event/get/") {
        answer["oauth_token"] = cotter_set();
    }
    Reply::Body(200, answer.to_string())
}

/// Signs nothing, always the same way.
#[derive(Debug)]
struct Pen;

impl Ed25519 for Pen {
    fn public_key(&self, _: &DeviceSeed) -> [u8; 32] {
        [5; 32]
    }

    fn sign(&self, _: &DeviceSeed, _: &[u8]) -> [u8; 64] {
        [6; 64]
    }
}

fn enrol(world: &World, process: &Process) -> Step<Result<cotter_core::device::Device, Error>> {
    let enrolment = Enrolment {
        user_id: hosted::USER.into(),
        name: "a laptop".into(),
        seed: DeviceSeed::new([4; 32]),
        lineage: Lineage::from_bytes([4; 16]),
    };
    flow::enroll_device(&process.context(), Arc::new(Pen), enrolment, world.now())
}

/// A flow that asks Cotter; `enrolled` machines are trusted devices.
fn of_cotter<T: 'static>(
    enrolled: bool,
    begin: impl Fn(&mut World, &Process) -> Step<T> + 'static,
    tell: fn(&T) -> String,
) -> Scene<T> {
    Scene {
        begin: Box::new(move || {
            let (mut world, mut process) = (World::new(), Process::new(Rotation::Strict));
            process.provider = hosted::provider();
            if enrolled {
                world.replies.push_back(Reply::Body(200, "{}".into()));
                let step = enrol(&world, &process);
                world.drive(step).unwrap();
            }
            let step = begin(&mut world, &process);
            (world, step)
        }),
        server: cotter,
        tell,
        others: false,
        may_keep_lease: |_| false,
    }
}

fn tell_tokens(result: &Result<OAuthToken, Error>) -> String {
    tell_result(result, |set| format!("tokens: {}", set.access_token().is_some()))
}

#[test]
fn login_with_a_code() {
    let scene = of_cotter(
        false,
        |world, process| {
            let pending = hosted::begin(&hosted::email());
            let code = hosted::landed(&pending);
            flow::login(&process.context(), pending, code, world.now())
        },
        |result| tell_result(result, |login| login.identity.identifier_type.clone()),
    );
    explore(&scene, &expect_file!["golden/edges/login.txt"]);
}

#[test]
fn find_a_user() {
    let scene = of_cotter(
        false,
        |world, process| flow::find_user(&process.context(), "ada@example.test", world.now()),
        |result| tell_result(result, |user| format!("found: {}", user.is_some())),
    );
    explore(&scene, &expect_file!["golden/edges/find-user.txt"]);
}

#[test]
fn create_a_user() {
    let scene = of_cotter(
        false,
        |world, process| flow::create_user(&process.context(), "ada@example.test", world.now()),
        |result| tell_result(result, |_| "made".into()),
    );
    explore(&scene, &expect_file!["golden/edges/create-user.txt"]);
}

#[test]
fn enrol_a_device() {
    let scene = of_cotter(
        false,
        |world, process| enrol(world, process),
        |result| tell_result(result, |device| format!("enrolled: {}", device.enrolled)),
    );
    explore(&scene, &expect_file!["golden/edges/device-enrol.txt"]);
}

#[test]
fn enrol_a_device_again_after_it_was_cut_off() {
    let scene = of_cotter(
        false,
        |world, process| {
            world.replies.push_back(Reply::Lost);
            let step = enrol(world, process);
            world.drive(step).unwrap_err();
            enrol(world, process)
        },
        |result| tell_result(result, |device| format!("enrolled: {}", device.enrolled)),
    );
    explore(&scene, &expect_file!["golden/edges/device-enrol-again.txt"]);
}

#[test]
fn look_whether_this_machine_is_a_device() {
    let scene = of_cotter(
        true,
        |world, process| flow::device(&process.context(), Arc::new(Pen), world.now()),
        |result| tell_result(result, |device| format!("{}", device.is_some())),
    );
    explore(&scene, &expect_file!["golden/edges/device.txt"]);
}

#[test]
fn ask_whether_a_device_is_known() {
    let scene = of_cotter(
        true,
        |world, process| flow::device_standing(&process.context(), Arc::new(Pen), world.now()),
        |result| tell_result(result, |known| format!("{known:?}")),
    );
    explore(&scene, &expect_file!["golden/edges/device-known.txt"]);
}

#[test]
fn sign_in_by_a_device() {
    let scene = of_cotter(
        true,
        |world, process| flow::sign_in_by_device(&process.context(), Arc::new(Pen), world.now()),
        tell_tokens,
    );
    explore(&scene, &expect_file!["golden/edges/device-sign-in.txt"]);
}

#[test]
fn ask_a_device_for_its_approval() {
    let scene = of_cotter(
        false,
        |world, process| {
            let patience = Duration::from_secs(5);
            flow::request_approval(&process.context(), hosted::USER.into(), patience, world.now())
        },
        tell_tokens,
    );
    explore(&scene, &expect_file!["golden/edges/device-ask.txt"]);
}

#[test]
fn look_what_waits_for_a_device() {
    let scene = of_cotter(
        true,
        |world, process| flow::pending_approval(&process.context(), hosted::USER, world.now()),
        |result| tell_result(result, |event| format!("waiting: {}", event.is_some())),
    );
    explore(&scene, &expect_file!["golden/edges/device-waiting.txt"]);
}

#[test]
fn answer_by_a_device() {
    let scene = of_cotter(
        true,
        |world, process| {
            world.replies.push_back(Reply::Body(200, event(true, false).to_string()));
            let step = flow::pending_approval(&process.context(), hosted::USER, world.now());
            let waiting = world.drive(step).unwrap().unwrap();
            flow::approve(&process.context(), Arc::new(Pen), waiting, world.now())
        },
        |result| tell_result(result, |()| "answered".into()),
    );
    explore(&scene, &expect_file!["golden/edges/device-answer.txt"]);
}

#[test]
fn forget_a_device() {
    let scene = of_cotter(
        true,
        |world, process| flow::forget_device(&process.context(), Arc::new(Pen), world.now()),
        |result| tell_result(result, |told| format!("{told:?}")),
    );
    explore(&scene, &expect_file!["golden/edges/device-forget.txt"]);
}
