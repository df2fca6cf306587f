#![doc = include_str!("../README.md")]

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
mod log;
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
