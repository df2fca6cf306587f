//! What a made-up sign-in may ask for.

use core::time::Duration;

use crate::config::Profile;

/// A sign-in without the ceremony: what [`token_set_with`](crate::Emulator::token_set_with) makes.
#[derive(Clone, Debug, Default)]
#[expect(clippy::exhaustive_structs, reason = "written as a literal with `..Default::default()`")]
pub struct TokenSetOptions {
    /// Whose: email address, phone number or user name. The user is made if there is none.
    pub identifier: String,
    /// Life of this set's access and ID tokens; sets from later refreshes live as configured.
    pub access_ttl: Option<Duration>,
    /// Claims of this family, its refreshes included.
    pub profile: Option<Profile>,
    /// `auth_method`, `OTP` unless told.
    pub auth_method: Option<String>,
}

impl TokenSetOptions {
    /// A sign-in of `identifier`.
    #[must_use]
    pub fn new(identifier: impl Into<String>) -> Self {
        Self { identifier: identifier.into(), ..Self::default() }
    }

    /// Sets [`access_ttl`](Self::access_ttl).
    #[must_use]
    pub const fn with_access_ttl(mut self, ttl: Duration) -> Self {
        self.access_ttl = Some(ttl);
        self
    }

    /// Sets [`profile`](Self::profile).
    #[must_use]
    pub const fn with_profile(mut self, profile: Profile) -> Self {
        self.profile = Some(profile);
        self
    }

    /// Sets [`auth_method`](Self::auth_method).
    #[must_use]
    pub fn with_auth_method(mut self, method: impl Into<String>) -> Self {
        self.auth_method = Some(method.into());
        self
    }
}
