//! Keeps a signed-in user's OAuth tokens and hands out one that works.
//!
//! A user signs in once; from then on `session.access_token()` returns a token that is valid now,
//! having refreshed, stored and, if needed, waited for another thread, task or process that was
//! already refreshing. The first provider is Cotter (passwordless login); any OAuth 2.0 provider is
//! the second.
//!
//! This crate names things; it decides nothing. `Session` is the async face (feature `async`),
//! `blocking::Session` the one for threads (feature `blocking`).

pub use cotter_core::{
    AccessClaims, AccessToken, BlockingTokenStore, BlockingTransport, Capabilities, ClientAuth,
    ClientSecret, Clock, Entropy, Error, ErrorKind, Event, IdClaims, IdToken, Now, OAuthToken,
    Policy, Provider, RefreshToken, Rotation, SecretBytes, ServerSaid, SignInReason, State, Status,
    StoreError, StoreErrorKind, StoreKey, Timestamp, TokenStore, Transport, TransportError, Verify,
    flow::SignedOut,
};
#[cfg(feature = "async")]
pub use cotter_session::{Keeper, KeeperBuilder, Offload, Session, SessionBuilder, Sleeper};
pub use cotter_session::{Observer, OsEntropy, Shutdown, SignedIn, SystemClock};

#[cfg(feature = "blocking")]
pub use cotter_session::blocking;

#[cfg(all(feature = "file", feature = "keyring"))]
mod auto;

pub use cotter_core::login;

/// Trusted devices.
pub mod device {
    pub use cotter_core::device::{
        Device, DeviceEvent, DeviceSeed, Ed25519, Forgotten, Standing,
    };
    #[cfg(feature = "device")]
    pub use cotter_device::Signer;
    #[cfg(feature = "async")]
    pub use cotter_session::TrustedDevice;
}

/// Everything, for people who write a store, a transport or a driver.
pub use cotter_core as core;

#[cfg(feature = "axum")]
pub use cotter_axum as axum;
#[cfg(feature = "jwks")]
pub use cotter_jwks as jwks;
#[cfg(feature = "jwt")]
pub use cotter_jwt as jwt;
#[cfg(feature = "loopback")]
pub use cotter_loopback as loopback;
#[cfg(feature = "seal")]
pub use cotter_seal as seal;

/// Where tokens rest.
pub mod store {
    #[cfg(all(feature = "file", feature = "keyring"))]
    pub use crate::auto::auto;
    pub use cotter_session::{
        Candidate, Chosen, NoStore, Outcome, Protection, Report, Tried, choose,
    };
    #[cfg(feature = "file")]
    pub use cotter_store_file::{FileStore as File, KeyFile};
    #[cfg(feature = "keyring")]
    pub use cotter_store_keyring::{
        KeyringKey, KeyringStore as Keyring, OsKeyring, runtime_folder,
    };
    #[cfg(feature = "memory")]
    pub use cotter_store_memory::Memory;
    #[cfg(feature = "sled")]
    pub use cotter_store_sled::{SledOptions, SledStore as Sled};
}

/// Who carries requests.
pub mod transport {
    #[cfg(feature = "reqwest")]
    pub use cotter_transport_reqwest::Reqwest;
    #[cfg(feature = "ureq")]
    pub use cotter_transport_ureq::Ureq;
}

/// The README's examples, compiled as tests.
#[cfg(all(
    doctest,
    feature = "async",
    feature = "blocking",
    feature = "memory",
    feature = "reqwest",
    feature = "ureq"
))]
#[doc = include_str!("../../../README.md")]
pub struct Readme;

/// The guides' examples, compiled as tests.
#[cfg(all(
    doctest,
    feature = "blocking",
    feature = "device",
    feature = "jwt",
    feature = "loopback"
))]
#[doc = include_str!("../../../docs/guides/sign-in.md")]
pub struct SignInGuide;

/// The guide to verification, its examples compiled as tests.
#[cfg(all(
    doctest,
    feature = "axum",
    feature = "blocking",
    feature = "memory",
    feature = "reqwest",
    feature = "ureq"
))]
#[doc = include_str!("../../../docs/guides/verify.md")]
pub struct VerifyGuide;
