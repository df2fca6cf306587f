//! Does what `cotter-core` asks, once, for everyone who waits.
//!
//! Two faces over one machine: [`Session`] and [`Keeper`] for async code on tokio, and
//! [`blocking::Session`] and [`blocking::Keeper`] for threads; they share every name. Use them
//! through the crate `cotter`.

// Without a face there is nobody to use the machine; with the blocking one alone, nobody serves in the
// background.
#![cfg_attr(not(feature = "async"), allow(dead_code))]

#[cfg(feature = "blocking")]
pub mod blocking;
mod choose;
mod clock;
mod entropy;
mod entry;
mod keeper_map;
mod observer;
mod settings;
mod sync;

#[cfg(all(test, feature = "blocking"))]
mod model;

#[cfg(feature = "async")]
mod device;
#[cfg(feature = "async")]
mod drive;
#[cfg(feature = "async")]
mod flight;
#[cfg(feature = "async")]
mod keeper;
#[cfg(feature = "async")]
mod login;
#[cfg(feature = "async")]
mod offload;
#[cfg(feature = "async")]
mod session;
#[cfg(feature = "async")]
mod world;

pub use choose::{Candidate, Chosen, choose};
pub use clock::SystemClock;
pub use cotter_core::flow::choose::{NoStore, Outcome, Protection, Report, Tried};
#[cfg(feature = "async")]
pub use device::TrustedDevice;
pub use entropy::OsEntropy;
#[cfg(feature = "async")]
pub use keeper::{Keeper, KeeperBuilder, SessionBuilder};
pub use observer::Observer;
#[cfg(feature = "async")]
pub use offload::Offload;
#[cfg(feature = "async")]
pub use session::Session;
pub use settings::{Shutdown, SignedIn};
#[cfg(feature = "async")]
pub use world::Sleeper;
