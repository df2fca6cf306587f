//! A set of tokens as a provider sends it.

use alloc::borrow::ToOwned;
use alloc::string::String;
use core::fmt;
use core::str::FromStr;
use core::time::Duration;

use serde_json::value::RawValue;

use crate::error::Error;
use crate::secret::{AccessToken, IdToken, RefreshToken};
use crate::wire::json::{Object, text};

/// The longest life that a set is believed to have: a hundred years.
const LONGEST: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

/// What a set is presented as where the provider does not say.
const BEARER: &str = "Bearer";

/// A set of tokens as a provider sends it (RFC 6749 section 5.1, Cotter's `oauth_token`).
///
/// Nothing in it has been checked: [`Provider::check`](crate::Provider::check) does that. Not
/// `Clone`, because it holds a refresh token; [`duplicate`](Self::duplicate) copies on purpose.
///
/// ```
/// use cotter_core::OAuthToken;
///
/// let set: OAuthToken = r#"{"access_token": "a", "expires_in": 3600, "new": [1]}"#.parse()?;
/// assert_eq!(set.expires_in().map(|life| life.as_secs()), Some(3600));
/// assert_eq!(set.token_type(), "Bearer");
/// assert!(set.refresh_token().is_none());
/// # Ok::<(), cotter_core::Error>(())
/// ```
pub struct OAuthToken(OAuthTokenParts);

/// What an [`OAuthToken`] consists of.
#[non_exhaustive]
pub struct OAuthTokenParts {
    /// The access token; a set without one is a protocol error, told by whoever judges the set.
    pub access_token: Option<AccessToken>,
    /// The ID token.
    pub id_token: Option<IdToken>,
    /// The refresh token; absent means that the present one stays.
    pub refresh_token: Option<RefreshToken>,
    /// How long the access token lasts, from receipt.
    pub expires_in: Option<Duration>,
    /// How the access token is presented: `Bearer` unless the provider says otherwise.
    pub token_type: String,
    /// How the user signed in, as Cotter calls it: `OTP`, say.
    pub auth_method: Option<String>,
    /// The scope, where the provider says one.
    pub scope: Option<String>,
}

impl OAuthToken {
    /// A set of nothing but this access token; an empty one counts as none.
    #[must_use]
    pub fn new(access: AccessToken) -> Self {
        Self(OAuthTokenParts {
            access_token: Some(access).filter(|token| !token.expose().is_empty()),
            id_token: None,
            refresh_token: None,
            expires_in: None,
            token_type: BEARER.to_owned(),
            auth_method: None,
            scope: None,
        })
    }

    /// The same set with this ID token; an empty one counts as none.
    #[must_use]
    pub fn with_id_token(mut self, token: IdToken) -> Self {
        self.0.id_token = Some(token).filter(|token| !token.expose().is_empty());
        self
    }

    /// The same set with this refresh token; an empty one counts as none.
    #[must_use]
    pub fn with_refresh_token(mut self, token: RefreshToken) -> Self {
        self.0.refresh_token = Some(token).filter(|token| !token.expose().is_empty());
        self
    }

    /// The same set, whose access token lasts this long from receipt (at most a hundred years).
    #[must_use]
    pub fn with_expires_in(mut self, life: Duration) -> Self {
        self.0.expires_in = Some(life.min(LONGEST));
        self
    }

    /// The same set, presented as this type; an empty one means `Bearer`.
    #[must_use]
    pub fn with_token_type(mut self, token_type: &str) -> Self {
        self.0.token_type = if token_type.is_empty() { BEARER } else { token_type }.to_owned();
        self
    }

    /// The same set with this method of signing in.
    #[must_use]
    pub fn with_auth_method(mut self, method: &str) -> Self {
        self.0.auth_method = Some(method.to_owned()).filter(|method| !method.is_empty());
        self
    }

    /// The same set with this scope.
    #[must_use]
    pub fn with_scope(mut self, scope: &str) -> Self {
        self.0.scope = Some(scope.to_owned()).filter(|scope| !scope.is_empty());
        self
    }

    /// Reads the JSON of a token answer, or of a login answer that has one under `oauth_token`.
    ///
    /// Unknown members are ignored. A member that is absent, `null`, empty or of a wrong type counts
    /// as absent, so that one odd member does not cost the others. `expires_in` may be a number or
    /// its text; a negative one counts as absent.
    ///
    /// # Errors
    /// `Protocol` if the text is not a JSON object. The error tells what went wrong and where, and
    /// repeats nothing of the text.
    pub fn parse(json: &[u8]) -> Result<Self, Error> {
        let object = Object::parse(json).map_err(|error| {
            Error::protocol("the set of tokens cannot be read").with_source(error)
        })?;
        Ok(Self::from_object(&object))
    }

    /// The set in this object, or in its member `oauth_token` if the object itself has no token.
    pub(crate) fn from_object(object: &Object<'_>) -> Self {
        let bare = Self::from_bare(object);
        let empty = bare.access_token().is_none() && bare.refresh_token().is_none();
        match object.object("oauth_token").filter(|_| empty) {
            Some(inner) => Self::from_bare(&inner),
            None => bare,
        }
    }

    fn from_bare(object: &Object<'_>) -> Self {
        let secret = |name| object.text(name).filter(|token| !token.is_empty());
        let plain = |name| secret(name).map(|text| text.as_str().to_owned());
        Self(OAuthTokenParts {
            access_token: secret("access_token").map(|token| AccessToken::new(token.as_str())),
            id_token: secret("id_token").map(|token| IdToken::new(token.as_str())),
            refresh_token: secret("refresh_token").map(|token| RefreshToken::new(token.as_str())),
            expires_in: object.get("expires_in").and_then(seconds),
            token_type: plain("token_type").unwrap_or_else(|| BEARER.to_owned()),
            auth_method: plain("auth_method"),
            scope: plain("scope"),
        })
    }

    /// The access token.
    #[must_use]
    pub fn access_token(&self) -> Option<&AccessToken> {
        self.0.access_token.as_ref()
    }

    /// The ID token.
    #[must_use]
    pub fn id_token(&self) -> Option<&IdToken> {
        self.0.id_token.as_ref()
    }

    /// The refresh token; `None` means that the present one stays (protocol page 5.1).
    #[must_use]
    pub fn refresh_token(&self) -> Option<&RefreshToken> {
        self.0.refresh_token.as_ref()
    }

    /// How long the access token lasts, from receipt.
    #[must_use]
    pub fn expires_in(&self) -> Option<Duration> {
        self.0.expires_in
    }

    /// How the access token is presented; compare without regard to case.
    #[must_use]
    pub fn token_type(&self) -> &str {
        &self.0.token_type
    }

    /// How the user signed in, as Cotter calls it.
    #[must_use]
    pub fn auth_method(&self) -> Option<&str> {
        self.0.auth_method.as_deref()
    }

    /// The scope, where the provider said one.
    #[must_use]
    pub fn scope(&self) -> Option<&str> {
        self.0.scope.as_deref()
    }

    /// The parts, to be moved out one by one.
    #[must_use]
    pub fn into_parts(self) -> OAuthTokenParts {
        self.0
    }

    /// A second copy, made on purpose.
    #[must_use]
    pub fn duplicate(&self) -> Self {
        Self(OAuthTokenParts {
            access_token: self.0.access_token.clone(),
            id_token: self.0.id_token.clone(),
            refresh_token: self.0.refresh_token.as_ref().map(RefreshToken::duplicate),
            expires_in: self.0.expires_in,
            token_type: self.0.token_type.clone(),
            auth_method: self.0.auth_method.clone(),
            scope: self.0.scope.clone(),
        })
    }
}

impl FromStr for OAuthToken {
    type Err = Error;

    fn from_str(json: &str) -> Result<Self, Error> {
        Self::parse(json.as_bytes())
    }
}

impl fmt::Debug for OAuthToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.describe(f, "OAuthToken")
    }
}

impl fmt::Debug for OAuthTokenParts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.describe(f, "OAuthTokenParts")
    }
}

impl OAuthTokenParts {
    /// The texts come from outside and may hold anything, a token too: only the life is shown.
    fn describe(&self, f: &mut fmt::Formatter<'_>, name: &str) -> fmt::Result {
        f.debug_struct(name)
            .field("access_token", &self.access_token)
            .field("id_token", &self.id_token)
            .field("refresh_token", &self.refresh_token)
            .field("expires_in", &self.expires_in)
            .finish_non_exhaustive()
    }
}

/// A number of seconds, or the text of one; `None` for what is negative or no number.
fn seconds(value: &RawValue) -> Option<Duration> {
    let quoted = text(value);
    let digits = quoted.as_deref().map_or_else(|| value.get(), |text| text.trim());
    // Rust reads words like `inf` as numbers, too.
    if !digits.bytes().all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte)) {
        return None;
    }
    let seconds: f64 = digits.parse().ok()?;
    if seconds.is_sign_negative() && seconds != 0.0 {
        return None;
    }
    Some(Duration::try_from_secs_f64(seconds).unwrap_or(LONGEST).min(LONGEST))
}

#[cfg(test)]
#[path = "wire/token_tests.rs"]
mod tests;
