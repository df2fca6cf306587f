//! Secrets stay where they belong: in one line of standard output, in one variable, in the store.

#![allow(clippy::unwrap_used, reason = "helpers are not seen as tests")]

mod common;

use core::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use common::{ADA, Home, KEY, part};
use cotter_emulator::Fault;
use serde_json::Value;

/// What must be found nowhere: the secrets, in the forms in which they might leak.
#[derive(Default)]
struct Planted(Vec<String>);

impl Planted {
    fn plant(&mut self, secret: &str) {
        let hex: String = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
        let decimal: Vec<String> = secret.bytes().map(|byte| byte.to_string()).collect();
        self.0.push(secret.to_owned());
        // The signature alone lets nobody in, but has no business anywhere either.
        self.0.extend(secret.split('.').skip(2).map(str::to_owned));
        self.0.push(STANDARD.encode(secret).trim_end_matches('=').to_owned());
        self.0.push(URL_SAFE_NO_PAD.encode(secret));
        self.0.push(hex.to_uppercase());
        self.0.push(hex);
        self.0.push(decimal.join(", "));
    }

    fn set(&mut self, set: &Value) {
        for name in ["access_token", "id_token", "refresh_token"] {
            self.plant(part(set, name));
        }
    }

    #[track_caller]
    fn absent(&self, place: &str, text: &[u8]) {
        let text = String::from_utf8_lossy(text);
        for secret in &self.0 {
            assert!(!text.contains(secret.as_str()), "{place} holds {secret}:\n{text}");
        }
    }
}

fn planted(home: &Home, set: &Value) -> Planted {
    let mut planted = Planted::default();
    planted.set(set);
    planted.plant(KEY);
    let raw = STANDARD.decode(KEY).unwrap();
    planted.plant(core::str::from_utf8(&raw).unwrap());
    planted.plant(&home.server.current_refresh_token(ADA).unwrap());
    planted
}

#[test]
fn an_address_that_is_refused_for_its_password_is_logged_without_it() {
    let mut home = Home::new();
    for name in ["COTTER_BASE_URL", "COTTER_ISSUER", "COTTER_LOGIN_URL"] {
        home.set(name, "https://user:PLANTED@example.test/api/v0");
    }
    let ran = home.run(&["-vvv", "status"]);
    assert!(ran.code != 0 && ran.err.contains("example.test/api/v0"), "{ran:?}");
    assert!(!ran.err.contains("PLANTED"), "{ran:?}");
}

#[test]
fn no_output_at_the_highest_level_holds_a_secret_that_was_not_asked_for() {
    for store in ["file", "sled"] {
        let mut home = Home::on(store);
        home.set("COTTER_LOG", "trace").set("COTTER_TIMEOUT", "1s");
        let first = home.sign_in();
        for command in [
            &["-vvv", "token"] as &[&str],
            &["-vvv", "token", "--force-refresh"],
            &["token", "--id"],
            &["token", "--refresh"],
            &["-vvv", "exec", "true"],
            &["-vvv", "status"],
            &["--format", "json", "-vvv", "status"],
            &["-vvv", "sessions", "--everything"],
            &["-vvv", "doctor"],
            &["--format", "json", "-vvv", "doctor"],
            &["-vvv", "reseal"],
            &["-vvv", "logout"],
        ] {
            let planted = planted(&home, &first);
            let out = home.command(command).output().unwrap();
            assert!(out.status.success(), "{command:?} {out:?}");
            planted.absent("standard error", &out.stderr);
            assert!(!out.stderr.is_empty(), "{command:?}: there is a log to look at");
            if !command.contains(&"token") {
                planted.absent("standard output", &out.stdout);
            }
        }
        // What fails has more to say.
        for fault in ["drop", "half", "500", "reject", "html", "not-a-jwt", "oversized", "redirect"]
        {
            let set = home.sign_in_expired();
            home.server.fault(Fault::new(fault).after_commit());
            let planted = planted(&home, &set);
            for format in ["text", "json"] {
                let out = home.command(&["--format", format, "-vvv", "token"]).output().unwrap();
                planted.absent(fault, &out.stderr);
            }
        }
    }
}

#[test]
fn what_is_imported_is_not_repeated_where_it_cannot_be_read() {
    let home = Home::new();
    let good: Value = serde_json::from_str(&home.server.token_set(ADA)).unwrap();
    let secret = "PLANTED-SECRET";
    for bad in [
        format!("{{\"access_token\": \"{secret}\", \"refresh_token\": \"{secret}\"}}"),
        format!("{{\"access_token\": {{\"{secret}\": 1}}}}"),
        format!("{{\"access_token\": \"{secret}"),
        format!("{{\"oauth_token\": \"{secret}\"}}"),
        secret.to_owned(),
        good.to_string()
            .replace("\"token_type\":\"Bearer\"", "\"token_type\":7")
            .replace(part(&good, "access_token"), secret),
    ] {
        for format in ["text", "json"] {
            let ran = home.feed(&["--format", format, "-vvv", "import"], bad.as_bytes());
            assert_eq!(ran.code, 7, "{bad}: {ran:?}");
            assert!(!ran.err.contains("PLANTED") && ran.out.is_empty(), "{ran:?}");
        }
    }
}

/// While a request is under way everything is in the process that ever will be.
#[test]
#[cfg(target_os = "linux")]
fn no_secret_stands_in_the_arguments_or_in_a_file() {
    let home = Home::new();
    let set = home.sign_in_expired();
    home.server.pause();
    let child = home.spawn(&["-vvv", "token"]);
    assert!(home.server.wait_for_requests(1, Duration::from_secs(20)));
    let planted = planted(&home, &set);
    let arguments = std::fs::read(format!("/proc/{}/cmdline", child.id())).unwrap();
    assert!(!arguments.is_empty());
    planted.absent("the command line", &arguments);
    let mut environment = std::fs::read(format!("/proc/{}/environ", child.id())).unwrap();
    let key = environment.windows(KEY.len()).position(|at| at == KEY.as_bytes()).unwrap();
    // Where whoever started it has put it.
    environment.drain(key..key + KEY.len());
    planted.absent("the environment", &environment);
    home.server.resume();
    let out = child.wait_with_output().unwrap();
    assert!(out.status.success());
    let mut planted = self::planted(&home, &set);
    planted.plant(String::from_utf8(out.stdout).unwrap().trim());
    planted.plant(ADA);
    planted.plant(home.server.api_key_id());
    let files = files(home.dir.path());
    assert!(files.len() > 2, "{files:?}");
    for file in files {
        planted.absent(file.to_str().unwrap(), &std::fs::read(&file).unwrap());
        planted.absent("a file name", file.as_os_str().as_encoded_bytes());
        let mode = std::os::unix::fs::PermissionsExt::mode(&file.metadata().unwrap().permissions());
        assert_eq!(mode & 0o077, 0, "{file:?}");
    }
}

#[test]
fn a_command_gets_the_access_token_and_no_other_secret() {
    let mut home = Home::new();
    home.set("COTTER_STORE_KEY_OLD", KEY);
    let set = home.sign_in();
    let environment = home.ok(&["exec", "env"]);
    assert!(environment.contains(&format!("COTTER_ACCESS_TOKEN={}\n", part(&set, "access_token"))));
    for secret in [part(&set, "refresh_token"), part(&set, "id_token"), KEY, "STORE_KEY"] {
        assert!(!environment.contains(secret), "{secret}");
    }
    // Nothing that was open in the program stays open in the command.
    #[cfg(target_os = "linux")]
    {
        let open = home.ok(&["exec", "ls", "-l", "/proc/self/fd"]);
        assert!(!open.contains(&*home.dir.path().to_string_lossy()), "{open}");
    }
}

fn files(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found
}
