//! Fetches an issuer's keys when a token calls for it, once for everyone who waits.
//!
//! What is decided (how long keys are good for, what an unknown `kid` may cause, what serves in an
//! outage) is decided by [`cotter_jwt::Remote`]; here it is done, over the same transports as
//! everything else. An outage of the keys ends no session, and leaves nothing open but the signature:
//! what no key could save is refused at once and causes no fetch. Why there are no keys,
//! `last_failure` says.
//!
//! ```
//! # #[cfg(feature = "async")]
//! # fn example(transport: impl cotter_core::Transport + 'static) -> Result<(), cotter_core::Error> {
//! use cotter_jwks::Jwks;
//! use cotter_jwt::Verifier;
//!
//! let verifier = Jwks::at("https://www.cotter.app/api/v0/token/jwks")?
//!     .remember(10_000)
//!     .verify_with(Verifier::cotter("<API_KEY_ID>"), transport);
//! // let claims = verifier.verify_access_token(&token).await?;
//! # Ok(())
//! # }
//! ```

#[cfg(feature = "async")]
mod asynchronous;
#[cfg(feature = "blocking")]
pub mod blocking;
mod clock;
mod failure;
mod jwks;
mod session;
#[cfg_attr(
    not(any(feature = "async", feature = "blocking")),
    allow(dead_code, reason = "sessions alone remember no tokens")
)]
mod shared;

#[cfg(feature = "async")]
pub use asynchronous::RemoteVerifier;
pub use failure::{FetchFailure, FetchFailureKind};
pub use jwks::Jwks;
pub use session::SessionVerifier;
