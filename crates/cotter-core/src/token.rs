//! The oauth_token object: what a login or a refresh returns.

use alloc::borrow::ToOwned;
use alloc::string::String;
use core::fmt;
use core::str::FromStr;
use core::time::Duration;

use serde_json::{Map, Value};

use crate::error::Error;
use crate::secret::{AccessToken, IdToken, RefreshToken};

/// The longest `expires_in` that is believed: a hundred years, in seconds.
const LONGEST: u64 = 100 * 365 * 86_400;

/// What a login or a refresh returns: the tokens, and how long the access token lives.
///
/// Cotter's oauth_token object and RFC 6749 section 5.1. Unknown fields are ignored.
///
/// ```
/// use cotter_core::OAuthToken;
///
/// let login = br#"{"oauth_token":{"access_token":"a.b.c","refresh_token":"1:x","expires_in":3600}}"#;
/// let tokens = OAuthToken::parse(login)?;
/// assert_eq!(tokens.access_token().unwrap().expose(), "a.b.c");
/// assert_eq!(tokens.token_type(), "Bearer");
/// # Ok::<(), cotter_core::Error>(())
/// ```
pub struct OAuthToken(OAuthTokenParts);

/// An [`OAuthToken`] taken apart.
#[expect(clippy::exhaustive_structs, reason = "taken apart to be used up")]
pub struct OAuthTokenParts {
    /// The access token.
    pub access_token: Option<AccessToken>,
    /// The ID token.
    pub id_token: Option<IdToken>,
    /// The refresh token; absent where it has not changed.
    pub refresh_token: Option<RefreshToken>,
    /// How long the access token lives from now.
    pub expires_in: Option<Duration>,
    /// How the access token is presented.
    pub token_type: String,
    /// How the user signed in.
    pub auth_method: Option<String>,
    /// What the access token is good for.
    pub scope: Option<String>,
}

impl OAuthToken {
    /// A set with this access token and nothing else.
    #[must_use]
    pub fn new(access_token: AccessToken) -> Self {
        Self(OAuthTokenParts {
            access_token: Some(access_token),
            id_token: None,
            refresh_token: None,
            expires_in: None,
            token_type: "Bearer".to_owned(),
            auth_method: None,
            scope: None,
        })
    }

    /// Reads the object, bare or under `oauth_token` as in a login response.
    ///
    /// Tolerant: fields of an unexpected type count as absent, `null` and `""` too; `expires_in` may
    /// be a number or a string of one.
    ///
    /// # Errors
    /// `Protocol` if this is no JSON object; the error says where, never what.
    pub fn parse(json: &[u8]) -> Result<Self, Error> {
        match serde_json::from_slice(json) {
            Ok(Value::Object(mut object)) => match object.remove("oauth_token") {
                Some(Value::Object(inner)) => Ok(Self::from_object(inner)),
                Some(_) => Err(Error::protocol("`oauth_token` is not an object")),
                None => Ok(Self::from_object(object)),
            },
            Ok(_) => Err(Error::protocol("the tokens are not a JSON object")),
            Err(error) => Err(Error::protocol("the tokens are not JSON").with_source(NotJson::from(error))),
        }
    }

    pub(crate) fn from_object(mut object: Map<String, Value>) -> Self {
        let mut text = |name: &str| match object.remove(name) {
            Some(Value::String(text)) if !text.is_empty() => Some(text),
            _ => None,
        };
        let access_token = text("access_token").map(AccessToken::new);
        let id_token = text("id_token").map(IdToken::new);
        let refresh_token = text("refresh_token").map(RefreshToken::new);
        let token_type = text("token_type").unwrap_or_else(|| "Bearer".to_owned());
        let auth_method = text("auth_method");
        let scope = text("scope");
        let expires_in = object.get("expires_in").and_then(seconds);
        Self(OAuthTokenParts {
            access_token,
            id_token,
            refresh_token,
            expires_in,
            token_type,
            auth_method,
            scope,
        })
    }

    /// The same set with this ID token.
    #[must_use]
    pub fn with_id_token(mut self, token: IdToken) -> Self {
        self.0.id_token = Some(token);
        self
    }

    /// The same set with this refresh token.
    #[must_use]
    pub fn with_refresh_token(mut self, token: RefreshToken) -> Self {
        self.0.refresh_token = Some(token);
        self
    }

    /// The same set with this life of the access token.
    #[must_use]
    pub const fn with_expires_in(mut self, life: Duration) -> Self {
        self.0.expires_in = Some(life);
        self
    }

    /// The same set with this scope.
    #[must_use]
    pub fn with_scope(mut self, scope: &str) -> Self {
        self.0.scope = Some(scope.to_owned());
        self
    }

    /// The access token.
    #[must_use]
    pub const fn access_token(&self) -> Option<&AccessToken> {
        self.0.access_token.as_ref()
    }

    /// The ID token.
    #[must_use]
    pub const fn id_token(&self) -> Option<&IdToken> {
        self.0.id_token.as_ref()
    }

    /// The refresh token; `None` where it has not changed.
    #[must_use]
    pub const fn refresh_token(&self) -> Option<&RefreshToken> {
        self.0.refresh_token.as_ref()
    }

    /// How long the access token lives, counted from its receipt.
    #[must_use]
    pub const fn expires_in(&self) -> Option<Duration> {
        self.0.expires_in
    }

    /// How the access token is presented; `Bearer` where the server does not say.
    #[must_use]
    pub fn token_type(&self) -> &str {
        &self.0.token_type
    }

    /// How the user signed in, as the server calls it.
    #[must_use]
    pub fn auth_method(&self) -> Option<&str> {
        self.0.auth_method.as_deref()
    }

    /// What the access token is good for, where the server says it.
    #[must_use]
    pub fn scope(&self) -> Option<&str> {
        self.0.scope.as_deref()
    }

    /// The parts, to own.
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
        self.0.fmt(f)
    }
}

impl fmt::Debug for OAuthTokenParts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OAuthToken")
            .field("access_token", &self.access_token)
            .field("id_token", &self.id_token)
            .field("refresh_token", &self.refresh_token)
            .field("expires_in", &self.expires_in)
            .finish_non_exhaustive()
    }
}

/// A number of seconds, as a number or as text; what is negative, absurd or no number is absent.
fn seconds(value: &Value) -> Option<Duration> {
    let whole = match value {
        Value::Number(number) => {
            number.as_u64().or_else(|| number.as_f64().and_then(whole_seconds))?
        }
        Value::String(text) => text.trim().parse().ok()?,
        _ => return None,
    };
    Some(Duration::from_secs(whole.min(LONGEST)))
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the value is between zero and the longest life"
)]
fn whole_seconds(float: f64) -> Option<u64> {
    (float.is_finite() && float >= 0.0).then(|| float.min(LONGEST as f64) as u64)
}

/// Where JSON ended to be JSON; what stood there is not repeated (rule 23).
#[derive(Debug)]
pub(crate) struct NotJson {
    category: &'static str,
    line: usize,
    column: usize,
}

impl From<serde_json::Error> for NotJson {
    fn from(error: serde_json::Error) -> Self {
        let category = match error.classify() {
            serde_json::error::Category::Io => "read error",
            serde_json::error::Category::Syntax => "syntax error",
            serde_json::error::Category::Data => "unexpected type",
            serde_json::error::Category::Eof => "unexpected end",
        };
        Self { category, line: error.line(), column: error.column() }
    }
}

impl fmt::Display for NotJson {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in line {}, column {}", self.category, self.line, self.column)
    }
}

impl core::error::Error for NotJson {}
