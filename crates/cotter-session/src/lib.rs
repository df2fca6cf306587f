//! Does what `cotter-core` asks, once, for everyone who waits.
//!
//! Two faces over one machine: [`Session`] and [`Keeper`] for async code on tokio, and
//! [`blocking::Session`] and [`blocking::Keeper`] for threads; they share every name. Use them
//! through the crate `cotter`.
//!
//! ```
//! # #[cfg(feature = "blocking")]
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use cotter_core::{OAuthToken, Provider};
//! use cotter_session::blocking::Session;
//! use cotter_store_memory::Memory;
//! use cotter_testkit::{ManualClock, ScriptedTransport};
//!
//! let (server, clock) = (ScriptedTransport::new(), ManualClock::new());
//! let session = Session::builder(Provider::oauth2("https://auth.example/token", "my-app")?)
//!     .store(Memory::new())
//!     .transport(server.clone())
//!     .clock(clock.clone())
//!     .build()?;
//! let login = r#"{"access_token":"first","refresh_token":"r1","expires_in":3600}"#;
//! session.sign_in(login.parse::<OAuthToken>()?)?;
//!
//! // An hour later a hundred threads find it ended: the server is asked once, for all of them.
//! clock.advance(core::time::Duration::from_secs(3600));
//! server.reply(200, r#"{"access_token":"second","refresh_token":"r2","expires_in":3600}"#);
//! std::thread::scope(|scope| {
//!     for _ in 0..100 {
//!         scope.spawn(|| assert_eq!(session.access_token().unwrap().expose(), "second"));
//!     }
//! });
//! assert_eq!(server.count(), 1);
//! # Ok(())
//! # }
//! # #[cfg(not(feature = "blocking"))]
//! # fn main() {}
//! ```

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
