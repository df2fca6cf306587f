//! Says whether a token is what it claims.
//!
//! A back end that receives Cotter's access tokens needs three lines, and any other issuer's some
//! more: see [`Verifier`]. What comes out is the token's claims, typed, or a [`Reason`] with a
//! stable name; there is no bool to forget.
//!
//! The crate is pure. It does not read the clock (`now` is a parameter), fetches nothing ([`Remote`]
//! decides when the keys are to be fetched, `cotter-jwks` fetches them) and installs no process-wide
//! crypto provider (a [`Backend`] is a value).
//!
//! | judged | how |
//! |---|---|
//! | form | exactly three parts, unpadded canonical base64url, at most 16 KiB, JSON objects without duplicate members and not nested deeper than 16 |
//! | header | `alg` is one that was named; `crit` is refused; `jwk`, `jku`, `x5u`, `x5c` are not read |
//! | key | the one of that `kid`; several are tried only when the header has none; made for this algorithm, `use` and `key_ops` respected |
//! | claims | issuer, audience, type, `exp` (must be there), `nbf`, `iat` |

#![no_std]

extern crate alloc;

mod algorithm;
mod backend;
mod cache;
mod claims;
mod compact;
mod freshness;
mod identity;
mod json;
mod keyset;
mod reason;
mod remote;
mod rule;
mod session;
mod signed;
mod verifier;

pub use algorithm::Algorithm;
pub use backend::{Backend, BadSignature, PublicKey, SignatureCheck};
pub use cache::{CachedVerifier, Judged};
pub use claims::{AccessClaims, CustomClaimsError, IdClaims};
pub use keyset::{Key, KeySet, KeySetError};
pub use reason::{Claim, Invalid, Reason};
pub use remote::{Flight, Plan, Remote, RemotePolicy, Ticket, Wanted};
pub use rule::TypeRule;
pub use signed::{Event, EventUser, Identity, SignedError, SignedObjects};
pub use verifier::{AccessText, IdText, Verifier};
