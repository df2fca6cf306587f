//! Models OAuth tokens, decides what to do next, and never does it.
//!
//! Core cannot reach a clock, a file, a socket or randomness: it is `no_std` with `alloc`, and what
//! it needs of the world it asks for as [`Step`]s. A driver (there is an async and a blocking one in
//! `cotter-session`) does what a step asks and answers it.
//!
//! ```
//! use std::sync::Arc;
//! use cotter_core::{
//!     BootId, BootTime, Capabilities, Now, Policy, Provider, State, Step, Timestamp, flow,
//! };
//!
//! let provider = Provider::oauth2("https://auth.example/token", "my-app")?;
//! let cx = flow::Context {
//!     key: provider.store_key("ada")?,
//!     provider: Arc::new(provider),
//!     policy: Arc::new(Policy::default()),
//!     store: Capabilities::new(),
//!     seed: 7,
//!     verifier: None,
//! };
//! // How does ada's session stand? The flow asks for her record ...
//! let Step::Load(load) = flow::inspect(cx) else { panic!("it asks for the record") };
//! assert_eq!(load.question().session(), "ada");
//!
//! // ... and, told what there is and what time it is, goes on, here to its end.
//! let now = Now {
//!     wall: Timestamp::from_unix_seconds(1_767_225_600),
//!     boot: BootTime::from_millis(3_600_000),
//!     boot_id: BootId::from_bytes([1; 16]),
//! };
//! let (_, then) = load.split();
//! let Step::Done(status) = then.answer(now, Ok(None)) else { panic!("nothing is left to ask") };
//! assert_eq!(status?.state, State::SignedOut);
//! # Ok::<(), cotter_core::Error>(())
//! ```
//!
//! Programs use the crate `cotter`; this one is for people who write a store, a transport, a driver
//! or a flow.

#![no_std]

extern crate alloc;

mod address;
mod claims;
pub mod device;
pub mod entropy;
mod error;
mod event;
pub mod flow;
mod key;
mod life;
pub mod login;
mod policy;
mod provider;
pub mod record;
mod revision;
mod secret;
mod status;
mod step;
mod store;
mod time;
mod token;
mod transport;
mod verify;
mod view;
pub mod wire;

pub use address::{PlainHttp, check_address, is_loopback};
pub use claims::{AccessClaims, IdClaims};
pub use entropy::Entropy;
pub use error::{Error, ErrorKind, ServerSaid, SignInReason};
pub use event::Event;
pub use key::{MAX_SESSION_NAME, StoreKey};
pub use life::{Freshness, Life};
pub use policy::Policy;
pub use provider::{ClientAuth, Provider, Rotation, Unfit};
pub use record::{Fingerprint, Record};
pub use revision::{Lineage, Revision};
pub use secret::{AccessToken, ClientSecret, IdToken, RefreshToken, SecretBytes};
pub use status::{Pending, State, Status};
pub use step::{Ask, GiveLease, Remove, Save, Send, Step, TakeLease, Then};
pub use store::{
    BlockingTokenStore, Capabilities, Expected, Holder, Lease, LeaseAnswer, LeaseOwner, Loaded,
    StoreError, StoreErrorKind, Swap, TokenStore,
};
pub use time::{BootId, BootTime, Clock, Now, Timestamp};
pub use token::{OAuthToken, OAuthTokenParts};
pub use transport::{BlockingTransport, MAX_RESPONSE, Sent, Transport, TransportError};
pub use verify::{Handed, Verified, Verify};
pub use view::{Force, Goal, Memory, Trouble, Verdict, View, Visible, Want};
