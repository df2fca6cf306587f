//! A Cotter server to test against, and one that misbehaves on request.
//!
//! Written from the protocol page alone: no crate of the client is in its tree, so that a mistake
//! on one side is not mirrored on the other. Nothing here is fit for production: keys are made at
//! start, everything lives in memory, and the control interface hands out secrets.
//!
//! ```
//! use cotter_emulator::{Config, Emulator, Fault};
//!
//! let emulator = Emulator::start(Config::default()).expect("loopback is there");
//! let oauth_token = emulator.token_set("ada@example.test");
//! assert!(oauth_token.contains("refresh_token"));
//! // The next refresh rotates, but its answer never arrives.
//! emulator.fault(Fault::new("drop").after_commit());
//! assert_eq!(emulator.counters().exchanges, 0);
//! ```
//!
//! * [`Config`] and [`SWITCHES`]: every choice that the protocol page leaves open.
//! * [`Fault`] and [`FAULTS`]: what can go wrong, by name.
//! * [`Emulator`]: the running server.
//!
//! The same server is the program `cotter-emulator`; the crate's README has its tables.

mod body;
mod claims;
mod clock;
mod codec;
mod config;
mod counters;
mod emulator;
mod endpoints;
mod event;
mod fault;
mod faulty;
mod keys;
mod login;
mod options;
mod redirect;
mod reply;
mod server;
mod state;
mod switches;
mod tokens;
mod users;

pub use crate::config::{
    Config, DEFAULT_API_KEY_ID, DeleteToken, OnReuse, Profile, RejectBody, Rotation,
};
pub use crate::counters::Counters;
pub use crate::emulator::Emulator;
pub use crate::fault::{FAULTS, Fault};
pub use crate::options::TokenSetOptions;
pub use crate::switches::{SWITCHES, Switch};
