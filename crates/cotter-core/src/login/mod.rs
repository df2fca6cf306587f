//! Signing in by Cotter's hosted page: a person proves an email address or a phone number in a
//! browser, which comes back with a code that buys tokens (protocol page 2.5, 2.6; RFC 7636).
//!
//! ```text
//! HostedPage --begin--> PendingLogin --url--> the user's browser
//!                            |                       |
//!                            |<--take-- the address it came back to
//!                            v
//!                    AuthorizationCode --flow::login--> tokens, identity --flow::sign_in--> stored
//! ```
//!
//! A [`UserAgent`] is the part in the middle: it shows the address and catches what comes back.

mod agent;
mod identity;
mod page;
mod pending;
mod redirect;
mod user;

pub use self::agent::{BlockingUserAgent, UserAgent};
pub use self::identity::{SignedIdentity, VerifyIdentity};
pub use self::page::{AuthMethod, Channel, ENTROPY, HostedPage};
pub use self::pending::{AuthorizationCode, Landing, PendingLogin};
pub use self::user::{SignedInUser, User};
