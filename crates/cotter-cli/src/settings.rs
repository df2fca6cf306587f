//! What the options, the environment and the configuration file say together.

use core::fmt;
use core::time::Duration;
use std::env;
use std::path::{Path, PathBuf};

use cotter::{Policy, Provider, Rotation};
use zeroize::Zeroizing;

use crate::args::Globals;
use crate::config_file::ConfigFile;
use crate::failure::Failure;
use crate::text;
use crate::world::CONNECT;

/// What an offline machine has to be told so within, less what is not waiting.
const SOON: Duration = Duration::from_millis(4_500);

/// How answers and errors are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Format {
    #[default]
    Text,
    Json,
}

/// Which store was asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Kind {
    #[default]
    Auto,
    File,
    Keyring,
    Sled,
}

impl Kind {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::File => "file",
            Self::Keyring => "keyring",
            Self::Sled => "sled",
        }
    }
}

/// Everything that was settled before a command runs.
pub(crate) struct Settings {
    api_key_id: Option<String>,
    base_url: Option<String>,
    pub(crate) issuer: Option<String>,
    pub(crate) login_url: Option<String>,
    pub(crate) identity_key: Option<String>,
    rotation: Rotation,
    pub(crate) session: String,
    pub(crate) store: Kind,
    store_path: Option<PathBuf>,
    pub(crate) format: Format,
    pub(crate) timeout: Duration,
    pub(crate) lock_timeout: Duration,
    pub(crate) quiet: bool,
    pub(crate) log: Log,
}

/// What is written to standard error beside errors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Log {
    Nothing,
    Level(u8),
    Filter(String),
}

/// What a log may show: an address can hold a password, also where it is refused later for that.
impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let address = |url: &Option<String>| url.as_deref().map(text::address);
        f.debug_struct("Settings")
            .field("api_key_id", &self.api_key_id.as_deref().map(text::unless_long))
            .field("base_url", &address(&self.base_url))
            .field("issuer", &address(&self.issuer))
            .field("login_url", &address(&self.login_url))
            .field("rotation", &self.rotation)
            .field("session", &text::unless_long(&self.session))
            .field("store", &self.store)
            .field("store_path", &self.store_path)
            .field("format", &self.format)
            .field("timeout", &self.timeout)
            .field("lock_timeout", &self.lock_timeout)
            .field("quiet", &self.quiet)
            .field("log", &self.log)
            .finish_non_exhaustive()
    }
}

impl Settings {
    pub(crate) fn gather(globals: &Globals) -> Result<Self, Failure> {
        let file = match config_dir() {
            Some(dir) => ConfigFile::read(&dir.join("config.toml"))?,
            None => ConfigFile::default(),
        };
        let pick = |flag: &Option<String>, name: &str| -> Result<Option<String>, Failure> {
            if flag.is_some() {
                return Ok(flag.clone());
            }
            let variable = format!("COTTER_{}", name.to_ascii_uppercase());
            Ok(variable_text(&variable)?.or_else(|| file.text(name)))
        };
        let timeout = pick(&globals.timeout, "timeout")?;
        let lock_timeout = pick(&globals.lock_timeout, "lock_timeout")?;
        let rotation = pick(&globals.rotation, "rotation")?;
        let store = pick(&globals.store, "store")?;
        let format = pick(&globals.format, "format")?;
        // No command asks the worker yet; read here so that a wrong spelling is found all the same.
        pick(&globals.worker_url, "worker_url")?;
        Ok(Self {
            api_key_id: pick(&globals.api_key_id, "api_key_id")?,
            base_url: pick(&globals.base_url, "base_url")?,
            issuer: pick(&globals.issuer, "issuer")?,
            login_url: pick(&globals.login_url, "login_url")?,
            identity_key: pick(&globals.identity_key, "identity_key")?,
            rotation: rotation.as_deref().map_or(Ok(Rotation::Strict), parse_rotation)?,
            session: pick(&globals.session, "session")?.unwrap_or_else(|| "default".to_owned()),
            store: store.as_deref().map_or(Ok(Kind::Auto), parse_kind)?,
            store_path: globals
                .store_path
                .clone()
                .or_else(|| variable_path("COTTER_STORE_PATH"))
                .or_else(|| file.text("store_path").map(PathBuf::from)),
            format: format.as_deref().map_or(Ok(Format::Text), parse_format)?,
            timeout: positive("--timeout", timeout.as_deref(), Duration::from_secs(10))?,
            lock_timeout: match lock_timeout.as_deref() {
                None => Duration::from_secs(60),
                Some(given) => duration("--lock-timeout", given)?,
            },
            quiet: globals.quiet,
            log: match (globals.quiet, globals.verbose) {
                (true, _) => Log::Nothing,
                (false, 0) => variable_text("COTTER_LOG")?.map_or(Log::Nothing, Log::Filter),
                (false, level) => Log::Level(level),
            },
        })
    }

    pub(crate) fn api_key_id(&self) -> Result<&str, Failure> {
        self.api_key_id.as_deref().filter(|id| !id.is_empty()).ok_or_else(|| {
            Failure::usage("no API key id was given")
                .with_hint("give --api-key-id ID, or set COTTER_API_KEY_ID")
        })
    }

    pub(crate) fn provider(&self) -> Result<Provider, Failure> {
        let mut provider = Provider::cotter(self.api_key_id()?)?;
        if let Some(url) = &self.base_url {
            provider = provider.with_base_url(url)?;
        }
        if let Some(issuer) = &self.issuer {
            provider = provider.with_issuer(issuer);
        }
        Ok(provider.with_rotation(self.rotation))
    }

    /// The session's numbers: a flight is as long as an exchange may be, and a lease longer. What a
    /// token that may be spent is waited for leaves time to find out that the machine is offline.
    pub(crate) fn policy(&self) -> Policy {
        let plain = Policy::default();
        let flight = plain.flight_budget.max(self.timeout.saturating_add(Duration::from_secs(5)));
        let lease = plain.lease_ttl.max(flight.saturating_add(Duration::from_secs(30)));
        // The keyring's own deadline comes first: it says better what is wrong.
        let store = plain.store_deadline.saturating_mul(3);
        plain
            .with_send_budget(self.timeout)
            .with_flight_budget(flight)
            .with_lease_ttl(lease)
            .with_lock_wait(self.lock_timeout)
            .with_store_deadline(store)
            .with_rest_wait(SOON.saturating_sub(CONNECT.min(self.timeout).saturating_mul(2)))
    }

    /// The store's folder; whether it exists is another question.
    pub(crate) fn store_path(&self) -> Result<PathBuf, Failure> {
        let path = self.store_path.clone().or_else(data_dir).ok_or_else(|| {
            Failure::usage("there is no data folder: neither HOME nor XDG_DATA_HOME is set")
                .with_hint("give --store-path DIR")
        })?;
        // What is reported, and locked, must not depend on who asks from where.
        std::path::absolute(&path)
            .map_err(|error| Failure::usage(format!("--store-path cannot be used: {error}")))
    }
}

/// How errors are to be written when the options themselves are what is wrong.
pub(crate) fn format_at_a_glance(args: &[std::ffi::OsString]) -> Format {
    let args: Vec<&str> = args.iter().filter_map(|arg| arg.to_str()).collect();
    let end = args.iter().position(|arg| *arg == "--").unwrap_or(args.len());
    let flag = args[..end].iter().enumerate().rev().find_map(|(place, arg)| {
        arg.strip_prefix("--format=")
            .or_else(|| (*arg == "--format").then(|| args.get(place + 1).copied()).flatten())
    });
    let variable = variable_text("COTTER_FORMAT").ok().flatten();
    let file = || ConfigFile::read(&config_dir()?.join("config.toml")).ok()?.text("format");
    // One that is none must not hide the next: it is said in the form that was asked for otherwise.
    let known = |given: &str| parse_format(given).ok();
    flag.and_then(known)
        .or_else(|| known(&variable?))
        .or_else(|| known(&file()?))
        .unwrap_or_default()
}

/// The format that was asked for, as far as it can be told; `gather` says what is wrong with it.
pub(crate) fn format_of(globals: &Globals) -> Format {
    let known = globals.format.as_deref().and_then(|given| parse_format(given).ok());
    known.unwrap_or_else(|| format_at_a_glance(&[]))
}

fn parse_format(given: &str) -> Result<Format, Failure> {
    match given {
        "text" => Ok(Format::Text),
        "json" => Ok(Format::Json),
        _ => Err(one_of("--format", given, "text or json")),
    }
}

fn parse_kind(given: &str) -> Result<Kind, Failure> {
    [Kind::Auto, Kind::File, Kind::Keyring, Kind::Sled]
        .into_iter()
        .find(|kind| kind.as_str() == given)
        .ok_or_else(|| one_of("--store", given, "auto, file, keyring or sled"))
}

fn parse_rotation(given: &str) -> Result<Rotation, Failure> {
    match given.split_once('=') {
        None if given == "strict" => Ok(Rotation::Strict),
        None if given == "none" => Ok(Rotation::None),
        Some(("grace", time)) => {
            Ok(Rotation::Grace(positive("--rotation", Some(time), Duration::ZERO)?))
        }
        _ => Err(one_of("--rotation", given, "strict, none or grace=TIME")),
    }
}

fn one_of(name: &str, given: &str, choices: &str) -> Failure {
    Failure::usage(format!("{name} cannot be {:?}", text::printable(text::unless_long(given))))
        .with_hint(format!("it is {choices}"))
}

/// Reads `30`, `30s`, `500ms`, `2m`, `1h` or `1d`.
pub(crate) fn duration(name: &str, given: &str) -> Result<Duration, Failure> {
    let digits = given.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = given.split_at(digits);
    let factor: u64 = match unit {
        "ms" => 1,
        "" | "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => 0,
    };
    let millis = number.parse::<u64>().ok().and_then(|number| number.checked_mul(factor));
    match millis {
        Some(millis) if factor > 0 && millis <= 366 * 86_400_000 => {
            Ok(Duration::from_millis(millis))
        }
        _ => Err(one_of(name, given, "a time like 30s, 500ms, 2m or 1h, at most a year")),
    }
}

pub(crate) fn positive(
    name: &str,
    given: Option<&str>,
    default: Duration,
) -> Result<Duration, Failure> {
    let Some(given) = given else { return Ok(default) };
    let time = duration(name, given)?;
    if time.is_zero() {
        return Err(one_of(name, given, "more than nothing"));
    }
    Ok(time)
}

/// A variable of the environment; an empty one counts as unset.
fn variable_text(name: &str) -> Result<Option<String>, Failure> {
    match env::var(name) {
        Ok(value) if value.is_empty() => Ok(None),
        Ok(value) => Ok(Some(value)),
        Err(env::VarError::NotPresent) => Ok(None),
        Err(env::VarError::NotUnicode(_)) => Err(Failure::usage(format!("{name} is not UTF-8"))
            .with_hint(format!("set {name} anew, or unset it"))),
    }
}

/// A secret in the environment.
pub(crate) fn variable_secret(name: &str) -> Result<Option<Zeroizing<String>>, Failure> {
    Ok(variable_text(name)?.map(Zeroizing::new))
}

fn variable_path(name: &str) -> Option<PathBuf> {
    env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}

/// As the XDG base directory specification has it, a relative path counts as unset.
fn variable_folder(name: &str) -> Option<PathBuf> {
    variable_path(name).filter(|path| path.is_absolute())
}

fn home() -> Option<PathBuf> {
    variable_folder(if cfg!(windows) { "USERPROFILE" } else { "HOME" })
}

/// Where config.toml, and a key file if there is one, are.
pub(crate) fn config_dir() -> Option<PathBuf> {
    let roaming = || variable_folder("APPDATA").filter(|_| cfg!(windows));
    variable_folder("XDG_CONFIG_HOME")
        .or_else(roaming)
        .or_else(|| home().map(|home| home.join(".config")))
        .map(|dir| dir.join("cotter"))
}

fn data_dir() -> Option<PathBuf> {
    let local = || variable_folder("LOCALAPPDATA").filter(|_| cfg!(windows));
    let beneath =
        if cfg!(target_os = "macos") { "Library/Application Support" } else { ".local/share" };
    variable_folder("XDG_DATA_HOME")
        .or_else(local)
        .or_else(|| home().map(|home| home.join(Path::new(beneath))))
        .map(|dir| dir.join("cotter"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::Code;

    #[test]
    fn times_are_read_with_their_units() {
        for (given, millis) in [
            ("30", 30_000),
            ("30s", 30_000),
            ("500ms", 500),
            ("2m", 120_000),
            ("1h", 3_600_000),
            ("0", 0),
        ] {
            assert_eq!(duration("x", given).unwrap(), Duration::from_millis(millis), "{given}");
        }
        for bad in
            ["", "s", "-1", "1.5s", "1 s", "1w", "99999999999999999999", "400d", "1000000000000h"]
        {
            assert_eq!(duration("x", bad).unwrap_err().code, Code::Usage, "{bad}");
        }
    }

    #[test]
    fn rotation_is_read() {
        assert_eq!(parse_rotation("strict").unwrap(), Rotation::Strict);
        assert_eq!(parse_rotation("none").unwrap(), Rotation::None);
        let grace = parse_rotation("grace=30s").unwrap();
        assert_eq!(grace, Rotation::Grace(Duration::from_secs(30)));
        for bad in ["", "lax", "grace", "grace=", "grace=0s", "strict=1"] {
            assert!(parse_rotation(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_format_is_known_before_the_options_are() {
        let glance = |args: &[&str]| {
            format_at_a_glance(&args.iter().map(std::ffi::OsString::from).collect::<Vec<_>>())
        };
        assert_eq!(glance(&["cotter", "--format", "json", "nonsense"]), Format::Json);
        assert_eq!(glance(&["cotter", "nonsense", "--format=json"]), Format::Json);
        assert_eq!(glance(&["cotter", "exec", "--", "x", "--format=json"]), Format::Text);
    }
}
