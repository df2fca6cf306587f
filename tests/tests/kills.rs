//! A process killed (`SIGKILL`) while it refreshes, at named points and at random moments.
//!
//! Whatever the moment: the store opens and holds the record that was acknowledged last or one that
//! was begun after it, no lease is left held, and the next process either goes on or is told that
//! the session was lost in a rotation; and the latter only if it was, and never within a grace.
//!
//! `COTTER_KILLS` sets how many are killed at random per store and rotation; 50 otherwise.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "it is a test")]

use core::time::Duration;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use cotter::blocking::Session;
use cotter::core::{LeaseAnswer, Revision};
use cotter::seal::{Given, SealKey};
use cotter::store::{File, Sled};
use cotter::{
    BlockingTokenStore, Clock, ErrorKind, Now, OAuthToken, Provider, Rotation, SignInReason,
};
use cotter_emulator::{Config, Emulator};
use tempfile::TempDir;

/// Far longer than a child is dead before it is looked for, on a slow machine too.
const GRACE: Duration = Duration::from_secs(300);
const USER: &str = "ada@example.test";

const FILE_POINTS: [&str; 5] =
    ["before-temp", "after-temp-write", "after-file-sync", "after-rename", "after-folder-sync"];
const SLED_POINTS: [&str; 6] =
    ["before-write", "after-apply", "after-flush", "before-mark", "in-mark", "after-mark"];

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    File,
    Sled,
}

impl Kind {
    const fn name(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Sled => "sled",
        }
    }

    fn open(self, folder: &Path) -> Arc<dyn BlockingTokenStore> {
        let key = Given::new(SealKey::from_bytes([7; 32]));
        match self {
            Self::File => Arc::new(File::open(folder, key).unwrap()),
            Self::Sled => Arc::new(Sled::open(folder, key).unwrap()),
        }
    }
}

/// A clock that is this far ahead: no access token is usable any more, and every pause is over.
#[derive(Debug)]
struct Later(Duration);

impl Clock for Later {
    fn now(&self) -> Now {
        let mut now = cotter::SystemClock::new().now();
        now.wall = now.wall.saturating_add(self.0);
        now.boot = now.boot.saturating_add(self.0);
        now
    }
}

fn provider(api_key_id: &str, base_url: &str, rotation: &str) -> Provider {
    let provider = Provider::cotter(api_key_id).unwrap().with_base_url(base_url).unwrap();
    provider.with_rotation(if rotation == "grace" {
        Rotation::Grace(GRACE)
    } else {
        Rotation::Strict
    })
}

fn session(store: Arc<dyn BlockingTokenStore>, provider: Provider, later: Duration) -> Session {
    let transport = cotter::transport::Ureq::builder().no_proxy().build().unwrap();
    let builder = Session::builder(provider).store(store).transport(transport);
    builder.clock(Later(later)).build().unwrap()
}

/// Another process, which refreshes until it is killed and says which revision it has stored.
#[test]
#[ignore = "run by the tests below, and killed"]
fn refreshing_child() {
    let Some(folder) = std::env::var_os("COTTER_TEST_FOLDER") else { return };
    let variable = |name| std::env::var(name).unwrap();
    let kind = if variable("COTTER_TEST_STORE") == "sled" { Kind::Sled } else { Kind::File };
    let provider = provider(
        &variable("COTTER_TEST_API_KEY"),
        &variable("COTTER_TEST_SERVER"),
        &variable("COTTER_TEST_ROTATION"),
    );
    let session = session(kind.open(Path::new(&folder)), provider, Duration::ZERO);
    println!("\nready");
    for _ in 0..100_000 {
        session.refresh().unwrap();
        println!("did {}", session.status().unwrap().revision.unwrap().counter);
    }
}

/// A signed-in session that processes die on.
struct Victim {
    kind: Kind,
    rotation: &'static str,
    server: Emulator,
    _home: TempDir,
    folder: PathBuf,
    kills: u32,
    lost: u32,
    /// How often the token had been spent, and a grace let it be presented once more.
    replayed: u32,
    /// How often the dead had stored something more than they could say.
    ahead: u32,
}

impl Victim {
    fn new(kind: Kind, rotation: &'static str) -> Self {
        let config = match rotation {
            "grace" => Config::default().with_rotation(cotter_emulator::Rotation::Grace(GRACE)),
            _ => Config::default(),
        };
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("store");
        let server = Emulator::start(config).unwrap();
        let victim = Self {
            kind,
            rotation,
            server,
            _home: home,
            folder,
            kills: 0,
            lost: 0,
            replayed: 0,
            ahead: 0,
        };
        victim.sign_in(&victim.session());
        victim
    }

    fn provider(&self) -> Provider {
        provider(self.server.api_key_id(), self.server.base_url(), self.rotation)
    }

    /// A session of the process that comes after. Within a grace it comes at once; else when the
    /// access token has ended, since a token that may be spent is not presented before.
    fn session(&self) -> Session {
        // Two hours later than the one before.
        let hours = if self.rotation == "grace" { 0 } else { 2 * u64::from(self.kills) };
        let later = Duration::from_secs(hours * 3600);
        session(self.kind.open(&self.folder), self.provider(), later)
    }

    fn sign_in(&self, session: &Session) {
        session.sign_in(self.server.token_set(USER).parse::<OAuthToken>().unwrap()).unwrap();
    }

    /// What stands in the store; nobody has it open or holds its lease.
    fn standing(&self) -> (Revision, bool) {
        let store = self.kind.open(&self.folder);
        let key = self.provider().store_key("default").unwrap();
        let answer = store.try_lease(&key, Duration::from_secs(60)).unwrap();
        let LeaseAnswer::Granted(lease) = answer else { panic!("the dead hold a lease") };
        store.release(&key, lease.owner).unwrap();
        let status = session(store, self.provider(), Duration::ZERO).status().unwrap();
        (status.revision.unwrap(), status.pending_rotation.is_some())
    }

    fn child(&self, point: Option<&str>) -> Child {
        Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "refreshing_child", "--ignored", "--nocapture"])
            .env("COTTER_TEST_FOLDER", &self.folder)
            .env("COTTER_TEST_STORE", self.kind.name())
            .env("COTTER_TEST_ROTATION", self.rotation)
            .env("COTTER_TEST_SERVER", self.server.base_url())
            .env("COTTER_TEST_API_KEY", self.server.api_key_id())
            .envs(point.map(|point| ("COTTER_CRASH_AT", point)))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap()
    }

    /// Kills a child at `point`, or this long after it began its work.
    fn kill(&mut self, what: &str, when: Result<&str, Duration>) {
        let (before, _) = self.standing();
        let mut child = self.child(when.ok());
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut lines = lines.map_while(Result::ok);
        assert!(lines.any(|line| line == "ready"), "{what}: no child began its work");
        if let Err(after) = when {
            std::thread::sleep(after);
            child.kill().unwrap();
        }
        let said: Vec<_> = lines.collect();
        let status = child.wait().unwrap();
        assert!(status.code().is_none(), "{what}: it ended by itself: {status}");
        let did = said.iter().rev().find_map(|line| line.strip_prefix("did ")?.parse().ok());
        self.kills += 1;
        self.check(what, before, did.unwrap_or(before.counter));
    }

    /// Holds what a dead process left to what it had said.
    fn check(&mut self, what: &str, before: Revision, did: u64) {
        // What it did last, or that and the note of the next exchange, or that and its grant.
        let (found, pending) = self.standing();
        assert_eq!(found.lineage, before.lineage, "{what}");
        assert!((did..=did + 2).contains(&found.counter), "{what}: {found:?}, but {did} was done");
        assert!(pending || found.counter != did + 1, "{what}: half of a rotation, and no note");
        self.ahead += u32::from(found.counter > did);

        let session = self.session();
        let stored = session.refresh_token().unwrap();
        let (reuses, replays) = self.seen();
        let refreshed = session.refresh();
        let current = self.server.current_refresh_token(USER);
        if let Err(error) = refreshed {
            let lost = ErrorKind::SignInRequired(SignInReason::RotationLost);
            assert_eq!(error.kind(), lost, "{what}: {error:?}");
            assert_eq!(self.rotation, "strict", "{what}: lost within the grace");
            assert!(pending, "{what}: a token was presented twice, and no note said so");
            assert_ne!(current.as_deref(), Some(stored.expose()), "{what}: nothing was lost");
            assert_eq!(self.seen().0, reuses + 1, "{what}");
            self.lost += 1;
            self.sign_in(&session);
        }
        self.replayed += u32::from(self.seen().1 > replays);
        let current = self.server.current_refresh_token(USER);
        assert_eq!(current.as_deref(), Some(session.refresh_token().unwrap().expose()), "{what}");
    }

    fn seen(&self) -> (u64, u64) {
        let counters = self.server.counters();
        (counters.reuses, counters.grace_replays)
    }

    fn at_every_point(kind: Kind, rotation: &'static str, points: &[&str]) -> Self {
        let mut victim = Self::new(kind, rotation);
        for point in points {
            // The note and the grant, of the first exchange and of a later one.
            for times in 1..=4 {
                let at = format!("{point}:{times}");
                victim.kill(&at, Ok(&at));
            }
        }
        victim
    }

    fn at_random(kind: Kind, rotation: &'static str) {
        let kills = std::env::var("COTTER_KILLS").ok().and_then(|n| n.parse().ok()).unwrap_or(50);
        let mut victim = Self::new(kind, rotation);
        let mut seed = 0x9e37_79b9_u32;
        for kill in 0..kills {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let after = Duration::from_micros(u64::from(seed >> 16) % 30_000);
            victim.kill(&format!("kill {kill} after {after:?}"), Err(after));
        }
        println!(
            "{} {rotation}: {} kills, {} ahead of what was said, {} lost, {} replayed",
            kind.name(),
            victim.kills,
            victim.ahead,
            victim.lost,
            victim.replayed,
        );
        assert!(victim.ahead > kills / 20, "hardly any died at work");
    }
}

/// Of a write, the last moment at which a kill still leaves what was there before.
fn lost_at(points: &[&str], first_kept: usize) -> u32 {
    // The second and the fourth write are grants; those that a kill keeps from the store are lost.
    points[..first_kept].len() as u32 * 2
}

#[test]
fn file_strict_a_kill_at_a_named_point_loses_what_the_server_granted_and_nothing_else() {
    let victim = Victim::at_every_point(Kind::File, "strict", &FILE_POINTS);
    assert_eq!(victim.lost, lost_at(&FILE_POINTS, 3));
}

#[test]
fn file_grace_a_kill_at_a_named_point_loses_no_session() {
    let victim = Victim::at_every_point(Kind::File, "grace", &FILE_POINTS);
    assert_eq!((victim.lost, victim.replayed), (0, lost_at(&FILE_POINTS, 3)));
}

#[test]
fn sled_strict_a_kill_at_a_named_point_loses_what_the_server_granted_and_nothing_else() {
    let victim = Victim::at_every_point(Kind::Sled, "strict", &SLED_POINTS);
    // Before a flush, sled may or may not have written already.
    assert!((2..=4).contains(&victim.lost), "{}", victim.lost);
}

#[test]
fn sled_grace_a_kill_at_a_named_point_loses_no_session() {
    let victim = Victim::at_every_point(Kind::Sled, "grace", &SLED_POINTS);
    assert!((2..=4).contains(&victim.replayed), "{}", victim.replayed);
}

#[test]
fn file_strict_a_kill_at_a_random_moment_is_survived_or_named() {
    Victim::at_random(Kind::File, "strict");
}

#[test]
fn file_grace_a_kill_at_a_random_moment_loses_no_session() {
    Victim::at_random(Kind::File, "grace");
}

#[test]
fn sled_strict_a_kill_at_a_random_moment_is_survived_or_named() {
    Victim::at_random(Kind::Sled, "strict");
}

#[test]
fn sled_grace_a_kill_at_a_random_moment_loses_no_session() {
    Victim::at_random(Kind::Sled, "grace");
}
