//! Models OAuth tokens, decides what to do next, and never does it.
//!
//! Core cannot reach a clock, a file, a socket or randomness: it is `no_std` with `alloc`, and what
//! it needs of the world it asks for as [`Step`]s. A driver (there is an async and a blocking one in
//! `cotter-session`) does what a step asks and answers it.

#![no_std]

extern crate alloc;

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
