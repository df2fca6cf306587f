//! Keeps a signed-in user's OAuth tokens and hands out one that works.
//!
//! A user signs in once; from then on `session.access_token()` returns a token that is valid now,
//! having refreshed, stored and, if needed, waited for another thread, task or process that was
//! already refreshing. The first provider is Cotter (passwordless login); any OAuth 2.0 provider is
//! the second.
//!
//! ```
//! # #[cfg(all(feature = "async", feature = "memory"))]
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use cotter::{OAuthToken, Provider, Session, store};
//! # let transport = cotter_testkit::ScriptedTransport::new();
//! # transport.reply(200, r#"{"access_token":"second","refresh_token":"r2","expires_in":3600}"#);
//!
//! let session = Session::builder(Provider::oauth2("https://auth.example/token", "my-app")?)
//!     .store(store::Memory::new()) // forgets at exit; `store::File` does not
//!     .transport(transport) // `transport::Reqwest::new()?` in a program
//!     .build()?;
//! assert!(session.access_token().await.is_err_and(|error| error.needs_sign_in()));
//!
//! let login = r#"{"access_token":"first","refresh_token":"r1","expires_in":3600}"#;
//! session.sign_in(login.parse::<OAuthToken>()?).await?; // what a login returned
//! let token = session.access_token().await?;
//! assert_eq!(token.expose(), "first"); // still good: nobody was asked
//!
//! let token = session.refresh().await?; // by hand; `access_token` does it when it is due
//! assert_eq!(token.expose(), "second");
//!
//! // Before the program ends: a refresh in the background is waited for.
//! session.shutdown(std::time::Duration::from_secs(10)).await;
//! # Ok(())
//! # }
//! # #[cfg(not(all(feature = "async", feature = "memory")))]
//! # fn main() {}
//! ```
//!
//! `Session` is the async face (feature `async`), `blocking::Session` the one for threads (feature
//! `blocking`); they share every name. A server with many users has a `Keeper`. This crate names
//! things; it decides nothing.
//!
//! The [README] has whole programs, with the lines for `Cargo.toml`. Guides: [storage], [errors],
//! [testing], [servers], [other providers][providers], [signing in][sign-in], [verifying][verify].
//!
//! [README]: https://github.com/cotter-rs/cotter#use-it
//! [storage]: https://github.com/cotter-rs/cotter/blob/main/docs/guides/storage.md
//! [errors]: https://github.com/cotter-rs/cotter/blob/main/docs/guides/errors.md
//! [testing]: https://github.com/cotter-rs/cotter/blob/main/docs/guides/testing.md
//! [servers]: https://github.com/cotter-rs/cotter/blob/main/docs/guides/servers.md
//! [providers]: https://github.com/cotter-rs/cotter/blob/main/docs/guides/providers.md
//! [sign-in]: https://github.com/cotter-rs/cotter/blob/main/docs/guides/sign-in.md
//! [verify]: https://github.com/cotter-rs/cotter/blob/main/docs/guides/verify.md
//!
//! # Features
//!
//! | feature | default | adds |
//! |---|---|---|
//! | `async` | yes | `Session`, `Keeper`, `Offload`, on tokio |
//! | `reqwest` | yes | `transport::Reqwest` |
//! | `memory` | yes | `store::Memory` |
//! | `blocking` | | `blocking::Session`, `blocking::Keeper`, without a runtime |
//! | `ureq` | | `transport::Ureq` |
//! | `file` | | `store::File`: sealed, for many processes; `store::KeyFile` and `store::Environment` for its key; turns on `seal` |
//! | `sled` | | `store::Sled`: sealed, for one process; turns on `seal` |
//! | `keyring` | | `store::Keyring`, and `store::KeyringKey` for the sealing key alone; turns on `seal` |
//! | `seal` | | `seal`: sealing keys and where they come from |
//! | `jwt` | | `jwt`: verification of tokens, for the other end of the wire |
//! | `jwks` | | `jwks`: the issuer's keys, fetched when a token calls for them; turns on `jwt` |
//! | `axum` | | `axum`: a layer and an extractor that let good access tokens in; turns on `async` and `jwks` |
//! | `loopback` | | `loopback`: a browser and a listener, for signing in |
//! | `device` | | `device::Signer`: this machine as a trusted device |
//! | `tracing` | | events through `tracing`, never a secret in them |
//!
//! Features only add items: none chooses a back end or changes what was there.

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
    pub use cotter_core::device::{Device, DeviceEvent, DeviceSeed, Ed25519, Forgotten, Standing};
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
    pub use cotter_store_file::{Environment, FileStore as File, KeyFile, Resealed, Surveyed};
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
    feature = "file",
    feature = "reqwest",
    feature = "ureq"
))]
#[doc = include_str!("../../../README.md")]
pub struct Readme;

/// The guide to storage, its examples compiled as tests; as are those below.
#[cfg(all(
    doctest,
    feature = "async",
    feature = "file",
    feature = "keyring",
    feature = "reqwest",
    feature = "sled"
))]
#[doc = include_str!("../../../docs/guides/storage.md")]
pub struct StorageGuide;

/// The guide to errors.
#[cfg(all(doctest, feature = "blocking"))]
#[doc = include_str!("../../../docs/guides/errors.md")]
pub struct ErrorsGuide;

/// The guide to testing.
#[cfg(all(doctest, feature = "blocking", feature = "memory"))]
#[doc = include_str!("../../../docs/guides/testing.md")]
pub struct TestingGuide;

/// The guide to servers.
#[cfg(all(doctest, feature = "async", feature = "file", feature = "reqwest"))]
#[doc = include_str!("../../../docs/guides/servers.md")]
pub struct ServersGuide;

/// The guide to other providers.
#[cfg(all(doctest, feature = "blocking"))]
#[doc = include_str!("../../../docs/guides/providers.md")]
pub struct ProvidersGuide;

/// The guide to signing in.
#[cfg(all(
    doctest,
    feature = "blocking",
    feature = "device",
    feature = "jwt",
    feature = "loopback"
))]
#[doc = include_str!("../../../docs/guides/sign-in.md")]
pub struct SignInGuide;

/// The guide to verification.
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
