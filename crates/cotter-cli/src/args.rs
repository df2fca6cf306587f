//! What may stand on the command line.
//!
//! Values stay text here: the environment and the configuration file have a say as well, and
//! `settings` reads all three alike.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{ArgAction, Parser, Subcommand};

/// Hands out a valid token of a signed-in user.
///
/// Each option can also be given by an environment variable (in brackets; an empty one counts as
/// unset) or in config.toml in the configuration folder, under the option's long name with `_` for
/// `-`. An option wins over the variable, that over the file.
#[derive(Debug, Parser)]
#[command(name = "cotter", version, max_term_width = 100, after_help = AFTER)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) globals: Globals,
    #[command(subcommand)]
    pub(crate) command: Command,
}

const AFTER: &str = "\
Exit codes: 0 done; 1 output could not be written; 2 usage; 3 sign-in required; 4 unavailable or
uncertain, try again; 5 store; 6 invalid token; 7 protocol or configuration.

COTTER_STORE_KEY holds the sealing key (base64 of 32 bytes), COTTER_STORE_KEY_OLD older ones,
separated by commas; without it the key is kept in the keyring or in a file of the configuration
folder.";

#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct Globals {
    /// The project's API key id [COTTER_API_KEY_ID]
    #[arg(long, global = true, value_name = "ID", help_heading = "Global options")]
    pub(crate) api_key_id: Option<String>,
    /// The API; http only to this machine [COTTER_BASE_URL; https://www.cotter.app/api/v0]
    #[arg(long, global = true, value_name = "URL", help_heading = "Global options")]
    pub(crate) base_url: Option<String>,
    /// Which session, where one user has several [COTTER_SESSION; default]
    #[arg(long, global = true, value_name = "NAME", help_heading = "Global options")]
    pub(crate) session: Option<String>,
    /// Where tokens rest: auto, file, keyring or sled [COTTER_STORE; auto]
    #[arg(long, global = true, value_name = "KIND", help_heading = "Global options")]
    pub(crate) store: Option<String>,
    /// The store's folder [COTTER_STORE_PATH; cotter in the platform's data folder]
    #[arg(long, global = true, value_name = "DIR", help_heading = "Global options")]
    pub(crate) store_path: Option<PathBuf>,
    /// What the server does with refresh tokens: strict, none or grace=TIME
    /// [COTTER_ROTATION; strict]
    #[arg(long, global = true, value_name = "R", help_heading = "Global options")]
    pub(crate) rotation: Option<String>,
    /// How answers and errors are written: text or json [COTTER_FORMAT; text]
    #[arg(long, global = true, value_name = "FORMAT", help_heading = "Global options")]
    pub(crate) format: Option<String>,
    /// What one request may take, connecting included [COTTER_TIMEOUT; 10s]
    #[arg(long, global = true, value_name = "TIME", help_heading = "Global options")]
    pub(crate) timeout: Option<String>,
    /// How long to wait for another process that has the session [COTTER_LOCK_TIMEOUT; 60s]
    #[arg(long, global = true, value_name = "TIME", help_heading = "Global options")]
    pub(crate) lock_timeout: Option<String>,
    /// The login page of a server that isn't the public one [COTTER_LOGIN_URL]
    #[arg(long, global = true, value_name = "URL", help_heading = "Global options")]
    pub(crate) login_url: Option<String>,
    /// The verify worker of a server that isn't the public one [COTTER_WORKER_URL]
    #[arg(long, global = true, value_name = "URL", help_heading = "Global options")]
    pub(crate) worker_url: Option<String>,
    /// The issuer of a server that isn't the public one [COTTER_ISSUER]
    #[arg(long, global = true, value_name = "URL", help_heading = "Global options")]
    pub(crate) issuer: Option<String>,
    /// The identity key of a server that isn't the public one [COTTER_IDENTITY_KEY]
    #[arg(long, global = true, value_name = "KEY", help_heading = "Global options")]
    pub(crate) identity_key: Option<String>,
    /// Say more on standard error: -v, -vv, -vvv; never a secret [COTTER_LOG: a tracing filter]
    #[arg(short, long, global = true, action = ArgAction::Count, help_heading = "Global options")]
    pub(crate) verbose: u8,
    /// Say nothing on standard error but errors
    #[arg(
        short,
        long,
        global = true,
        action = ArgAction::SetTrue,
        conflicts_with = "verbose",
        help_heading = "Global options"
    )]
    pub(crate) quiet: bool,
}

#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Login {
    /// By email address; with one, the form is skipped
    #[arg(long, value_name = "ADDRESS", num_args = 0..=1, conflicts_with = "phone")]
    pub(crate) email: Option<Option<String>>,
    /// By phone number, with + and country code; with one, the form is skipped
    #[arg(long, value_name = "NUMBER", num_args = 0..=1)]
    pub(crate) phone: Option<Option<String>>,
    /// By a code that is entered
    #[arg(long, conflicts_with = "magic_link")]
    pub(crate) otp: bool,
    /// By a link that is followed
    #[arg(long)]
    pub(crate) magic_link: bool,
    /// Open no browser; print the link only
    #[arg(long)]
    pub(crate) no_browser: bool,
    /// The port to come back to, for a project with a list of allowed URLs
    #[arg(long, value_name = "N")]
    pub(crate) port: Option<u16>,
    /// By this machine's own key if it is a trusted device; with --email or --phone, by asking that
    /// user's trusted devices
    #[arg(long, conflicts_with_all = ["otp", "magic_link", "no_browser", "port"])]
    pub(crate) device: bool,
    /// What --timeout says here: how long the person may take [5m]
    #[arg(skip)]
    pub(crate) patience: Option<String>,
}

#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Verify {
    /// The issuer's keys: a JWK Set in a file or at a URL; the server's own otherwise
    #[arg(long, value_name = "FILE|URL")]
    pub(crate) jwks: Option<String>,
    /// Whom the token has to be for; the API key id otherwise
    #[arg(long, value_name = "AUD")]
    pub(crate) audience: Option<String>,
    /// Expect an ID token; an access token otherwise
    #[arg(long)]
    pub(crate) id_token: bool,
    /// How far the issuer's clock may be from this one [30s]
    #[arg(long, value_name = "TIME")]
    pub(crate) leeway: Option<String>,
    /// The token; better `-`, or none, which reads one a line: arguments are visible to others
    pub(crate) token: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Devices {
    /// Whether this machine is one, and what waits for its answer
    List,
    /// Make this machine a trusted device of whoever is signed in
    #[command(visible_alias = "enrol")]
    Enroll {
        /// What the user will know it by; this machine's name otherwise
        #[arg(long)]
        name: Option<String>,
    },
    /// Let the machine in that asks
    Approve {
        /// Only this request, by the number that `list` shows
        id: Option<u64>,
    },
    /// Turn the machine away that asks
    Refuse {
        /// Only this request, by the number that `list` shows
        id: Option<u64>,
    },
    /// Forget this machine's key: at the server if it can be reached, here in any case
    Forget,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Store the tokens of a login: its oauth_token object, bare or under that name
    Import {
        /// The file; `-`, or none, reads standard input (at most 1 MiB)
        file: Option<PathBuf>,
    },
    /// Sign in by the hosted page, in a browser
    ///
    /// Without a browser on this machine, open the link on another one and paste the address that it
    /// ends at. Whoever was signed in before stays so until this login is stored.
    Login(Login),
    /// Say who is signed in, as the stored tokens tell
    Whoami,
    /// This machine as a trusted device, which signs in silently and answers for other machines
    Devices {
        #[command(subcommand)]
        what: Option<Devices>,
    },
    /// Print one token and a newline: the access token, refreshed if it must be
    Token {
        /// The ID token instead
        #[arg(long, conflicts_with = "refresh")]
        id: bool,
        /// The refresh token instead, as it is stored
        #[arg(long, conflicts_with_all = ["min_ttl", "force_refresh"])]
        refresh: bool,
        /// One that stays valid for this long
        #[arg(long, value_name = "TIME")]
        min_ttl: Option<String>,
        /// Exchange the refresh token now, whatever the state of the access token
        #[arg(long)]
        force_refresh: bool,
    },
    /// Say how the session stands, without the network and without a token
    Status,
    /// List the sessions of this server and API key id, and how they stand
    Sessions {
        /// Those of other servers and API key ids as well
        #[arg(long)]
        everything: bool,
    },
    /// Forget the session
    Logout {
        /// All sessions of this server and API key id
        #[arg(long)]
        all: bool,
        /// With --all: those of other servers and API key ids as well
        #[arg(long, requires = "all")]
        everything: bool,
    },
    /// Run a program with COTTER_ACCESS_TOKEN in its environment, and become it
    Exec {
        /// The program and its arguments
        #[arg(
            required = true,
            trailing_var_arg = true,
            allow_hyphen_values = true,
            value_name = "CMD"
        )]
        command: Vec<OsString>,
    },
    /// Show what a token says, without checking whether it is true
    Decode {
        /// The token; better `-`, or none, which reads standard input: arguments are visible to others
        token: Option<String>,
    },
    /// Say whether tokens are what they claim: signed by the issuer, for this audience, not ended
    ///
    /// The issuer is Cotter's, or that of --issuer. Each token gets one line of answer.
    Verify(Verify),
    /// Look for problems and say what to do about each
    Doctor,
    /// Seal every record anew with the newest key
    Reseal,
    /// Print a completion script
    Completions {
        /// For which shell
        shell: clap_complete::Shell,
    },
    /// Print the manual page
    Man,
}
