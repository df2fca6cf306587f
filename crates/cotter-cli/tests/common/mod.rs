//! The program as a user has it: a process with a home of its own, and a server to talk to.

#![allow(clippy::unwrap_used, reason = "helpers are not seen as tests")]
#![allow(dead_code, reason = "not every test needs everything")]

use core::time::Duration;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};

use cotter_emulator::{Config, Emulator, TokenSetOptions};
use serde_json::Value;
use tempfile::TempDir;

/// One test per store that every machine has.
#[allow(unused_macros, reason = "not every test needs everything")]
macro_rules! on_each_store {
    ($($name:ident)*) => {
        on_each_store! { file "file" $($name)* }
        on_each_store! { sled "sled" $($name)* }
    };
    ($module:ident $store:literal $($name:ident)*) => {
        mod $module {
            $(#[test]
            fn $name() {
                super::$name(super::Home::on($store));
            })*
        }
    };
}

/// One test per store; the keyring's need a Secret Service daemon, and `tests/cli/keyring.sh` runs
/// them with a real one.
#[allow(unused_macros, reason = "not every test needs everything")]
macro_rules! on_every_store {
    ($($name:ident)*) => {
        on_each_store! { $($name)* }
        mod keyring {
            $(#[test]
            #[ignore = "needs a Secret Service daemon: tests/cli/keyring.sh"]
            fn $name() {
                super::$name(super::Home::on("keyring"));
            })*
        }
    };
}

pub(crate) const ADA: &str = "ada@example.test";
/// 32 bytes of 7, of 8.
pub(crate) const KEY: &str = "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=";
pub(crate) const OTHER_KEY: &str = "CAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAg=";

/// A user of this machine.
pub(crate) struct Home {
    pub(crate) dir: TempDir,
    pub(crate) server: Emulator,
    pub(crate) store: &'static str,
    pub(crate) variables: Vec<(String, String)>,
}

/// How a run ended.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Home {
    /// With the file store and a given key.
    pub(crate) fn new() -> Self {
        Self::on("file")
    }

    pub(crate) fn on(store: &'static str) -> Self {
        Self::with(store, Config::default())
    }

    pub(crate) fn with(store: &'static str, config: Config) -> Self {
        let server = Emulator::start(config).expect("the emulator starts");
        let mut home = Self {
            dir: tempfile::tempdir().expect("a temporary folder"),
            variables: Vec::new(),
            server,
            store,
        };
        let url = home.server.base_url().to_owned();
        home.set("COTTER_BASE_URL", &url);
        let id = home.server.api_key_id().to_owned();
        home.set("COTTER_API_KEY_ID", &id);
        home.set("COTTER_STORE", store);
        home.set("COTTER_STORE_KEY", KEY);
        if store == "keyring" {
            let bus = std::env::var("DBUS_SESSION_BUS_ADDRESS").expect("a session bus");
            home.set("DBUS_SESSION_BUS_ADDRESS", &bus);
        }
        home
    }

    pub(crate) fn set(&mut self, name: &str, value: &str) -> &mut Self {
        self.unset(name);
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn unset(&mut self, name: &str) -> &mut Self {
        self.variables.retain(|(known, _)| known != name);
        self
    }

    pub(crate) fn config_dir(&self) -> PathBuf {
        self.dir.path().join("config/cotter")
    }

    pub(crate) fn store_dir(&self) -> PathBuf {
        self.dir.path().join("data/cotter")
    }

    pub(crate) fn configure(&self, toml: &str) {
        std::fs::create_dir_all(self.config_dir()).unwrap();
        std::fs::write(self.config_dir().join("config.toml"), toml).unwrap();
    }

    /// Any program in this home.
    pub(crate) fn program(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.dir.path())
            .env("XDG_CONFIG_HOME", self.dir.path().join("config"))
            .env("XDG_DATA_HOME", self.dir.path().join("data"))
            .env("XDG_RUNTIME_DIR", self.dir.path())
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.program(env!("CARGO_BIN_EXE_cotter"));
        command.args(arguments);
        command
    }

    pub(crate) fn spawn(&self, arguments: &[&str]) -> Child {
        self.command(arguments).spawn().expect("the program starts")
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        self.command(arguments).output().expect("the program runs").into()
    }

    pub(crate) fn feed(&self, arguments: &[&str], input: &[u8]) -> Ran {
        let mut child = self.command(arguments).stdin(Stdio::piped()).spawn().unwrap();
        // A program that reads no more than it may closes the pipe early.
        let _ = child.stdin.take().unwrap().write_all(input);
        child.wait_with_output().unwrap().into()
    }

    /// Runs what must work.
    pub(crate) fn ok(&self, arguments: &[&str]) -> String {
        self.run(arguments).ok()
    }

    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        let mut all = vec!["--format", "json"];
        all.extend_from_slice(arguments);
        serde_json::from_str(&self.ok(&all)).expect("the answer is JSON")
    }

    /// The code of a run that must fail, and its exit code.
    pub(crate) fn fails(&self, arguments: &[&str]) -> (i32, String) {
        let mut all = vec!["--format", "json"];
        all.extend_from_slice(arguments);
        self.run(&all).failure()
    }

    /// Signs Ada in with tokens that live an hour.
    pub(crate) fn sign_in(&self) -> Value {
        self.import(&self.server.token_set(ADA))
    }

    /// Signs Ada in with tokens that ended long ago, and a refresh token that has not.
    pub(crate) fn sign_in_expired(&self) -> Value {
        self.import(&self.expired())
    }

    /// Tokens that ended long ago, and a refresh token that has not.
    pub(crate) fn expired(&self) -> String {
        self.issued(7200)
    }

    /// Tokens of an hour's life that were issued this many seconds ago.
    pub(crate) fn issued(&self, ago: i64) -> String {
        self.server.set_clock_offset(-ago);
        let set = self.server.token_set(ADA);
        self.server.set_clock_offset(0);
        set
    }

    /// Tokens that end in this many seconds.
    pub(crate) fn short(&self, seconds: u64) -> String {
        let life = Duration::from_secs(seconds);
        self.server.token_set_with(TokenSetOptions::new(ADA).with_access_ttl(life))
    }

    pub(crate) fn import(&self, set: &str) -> Value {
        self.feed(&["import"], set.as_bytes()).ok();
        serde_json::from_str(set).expect("a token set is JSON")
    }

    /// Replaces what differs from run to run.
    pub(crate) fn tidy(&self, text: &str) -> String {
        let text = text.replace(&*self.dir.path().to_string_lossy(), "HOME");
        text.replace(self.server.login_url(), "SERVER").replace(self.server.api_key_id(), "ID")
    }
}

impl Ran {
    #[track_caller]
    pub(crate) fn ok(self) -> String {
        assert_eq!(self.code, 0, "{self:?}");
        self.out
    }

    /// The exit code and the code in the error object; nothing may stand on standard output.
    #[track_caller]
    pub(crate) fn failure(self) -> (i32, String) {
        assert_eq!(self.out, "", "{self:?}");
        let error: Value = serde_json::from_str(self.err.trim()).unwrap_or_else(|_| {
            panic!("no error object: {self:?}");
        });
        let error = &error["error"];
        for part in ["message", "hint"] {
            let text = error[part].as_str().unwrap_or_default();
            assert!(!text.is_empty() && !text.contains('\n'), "{error}");
        }
        (self.code, error["code"].as_str().unwrap_or_default().to_owned())
    }
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8(output.stdout).expect("text"),
            err: String::from_utf8(output.stderr).expect("text"),
        }
    }
}

/// What a member of an oauth_token object is.
pub(crate) fn part<'a>(set: &'a Value, name: &str) -> &'a str {
    set[name].as_str().expect(name)
}

/// The pair that `fails` gives.
pub(crate) fn code(exit: i32, code: &str) -> (i32, String) {
    (exit, code.to_owned())
}
