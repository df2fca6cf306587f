//! Lets requests with a good access token through to axum handlers, and answers the others as
//! RFC 6750 says.
//!
//! [`BearerLayer`] is a tower layer: it verifies, checks what is required, and puts the claims where
//! the extractor [`Bearer`] finds them.
//!
//! ```
//! # fn example(transport: impl cotter_core::Transport + 'static) -> Result<(), cotter_core::Error> {
//! use axum::{Router, routing::get};
//! use cotter_axum::{Bearer, BearerLayer};
//! use cotter_jwks::Jwks;
//! use cotter_jwt::{AccessClaims, Verifier};
//!
//! async fn hello(Bearer(claims): Bearer<AccessClaims>) -> String {
//!     format!("hello, {}", claims.user_id().unwrap_or("stranger"))
//! }
//!
//! let verifier = Jwks::at("https://www.cotter.app/api/v0/token/jwks")?
//!     .remember(10_000)
//!     .verify_with(Verifier::cotter("<API_KEY_ID>"), transport);
//! let app: Router = Router::new()
//!     .route("/hello", get(hello))
//!     .layer(BearerLayer::new(verifier).require_scope("access"));
//! # Ok(())
//! # }
//! ```
//!
//! | the request has | the answer |
//! |---|---|
//! | no bearer token | 401, a challenge without an error |
//! | two `Authorization` headers, or no token after `Bearer` | 400 `invalid_request` |
//! | a token that does not verify | 401 `invalid_token` and why |
//! | a token whose key is not known yet, or keys that cannot be fetched | 503 and `Retry-After` |
//! | a user who signed in by another method than is required | 401 `insufficient_user_authentication` (RFC 9470) |
//! | too little scope | 403 `insufficient_scope` and which it takes |
//!
//! Tokens are read from the header `Authorization` alone, never from a query or a body.

mod answer;
mod extract;
mod layer;
mod verify;

pub use extract::Bearer;
pub use layer::{BearerLayer, BearerService};
pub use verify::{StaticVerifier, Verdict, VerifyAccess};
