//! Trusted devices: a key of this machine's own that the user has let in (protocol page 2.8, 2.9).
//!
//! ```text
//! enrol      keep the key as pending -> PUT user/methods -> keep it as enrolled
//! sign in    sign "user, project, event, time, method, true" -> POST event/create -> tokens
//! ask        POST event/create_pending -> GET event/get/{id}, once a second -> tokens
//! answer     GET event/new -> sign with "true" or "false" -> POST event/respond/{id}
//! ```
//!
//! The key is drawn here and rests where the tokens rest, sealed as they are, under a key of the store that
//! no session has. Core cannot sign; an [`Ed25519`] does (the crate `cotter-device` has one).

mod event;
mod record;

use alloc::string::String;
use core::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

pub use self::event::DeviceEvent;
pub(crate) use self::event::{APPROVED, LOGIN, METHOD, REFUSED, signed_text};
pub(crate) use self::record::Kept;

/// The private key of a device (RFC 8032 section 5.1.5): 32 random bytes, wiped when dropped.
pub struct DeviceSeed(Zeroizing<[u8; 32]>);

impl DeviceSeed {
    /// These bytes, drawn at random.
    #[must_use]
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The bytes, for whoever signs.
    #[must_use]
    pub fn expose(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for DeviceSeed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DeviceSeed([redacted])")
    }
}

/// Does the arithmetic of Ed25519 (RFC 8032).
pub trait Ed25519: Send + Sync + fmt::Debug {
    /// The public key that belongs to this seed.
    fn public_key(&self, seed: &DeviceSeed) -> [u8; 32];

    /// The signature over `message`.
    fn sign(&self, seed: &DeviceSeed, message: &[u8]) -> [u8; 64];
}

/// This machine as a trusted device.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Device {
    /// Whose device it is.
    pub user_id: String,
    /// Its public key, as the server knows it: standard base64 of 32 bytes.
    pub public_key: String,
    /// Whether the server has taken the key. A key that is kept and not taken comes of an enrolment that
    /// was cut off; enrolling again goes on with it.
    pub enrolled: bool,
}

/// What the server knows of this machine's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "there is no fourth")]
pub enum Standing {
    /// This machine has no key.
    NoKey,
    /// There is a key here, and the server does not have it: not yet, or not any more.
    Unknown,
    /// The server knows it.
    Known,
}

/// Where this machine's key was forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "there is no fourth")]
pub enum Forgotten {
    /// There was none.
    NoKey,
    /// Here; the server was not reached, or refused, and may list it still.
    HereOnly,
    /// Here and at the server.
    Everywhere,
}

impl Device {
    pub(crate) fn of(kept: &Kept, by: &dyn Ed25519) -> Self {
        Self {
            user_id: kept.user_id.clone(),
            public_key: STANDARD.encode(by.public_key(&kept.seed)),
            enrolled: kept.enrolled,
        }
    }
}
