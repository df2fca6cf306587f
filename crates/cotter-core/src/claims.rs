//! What a token says of itself, decoded and **not verified**.
//!
//! Good for showing a name or finding an end; never for letting anybody in. The crate `cotter-jwt`
//! verifies.

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use crate::error::Error;
use crate::secret::{AccessToken, IdToken};
use crate::time::Timestamp;
use crate::token::NotJson;

/// The longest token that is decoded, in bytes.
const LONGEST: usize = 1024 * 1024;

macro_rules! claims {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone)]
        pub struct $name(Map<String, Value>);

        impl $name {
            /// `sub` as it stands.
            #[must_use]
            pub fn subject(&self) -> Option<&str> {
                text(&self.0, "sub")
            }

            /// Who the user is: `sub` without the `USER:` of 2020, else `client_user_id`.
            #[must_use]
            pub fn user_id(&self) -> Option<&str> {
                user_id(&self.0)
            }

            /// `aud`, whether it is one text or a list.
            #[must_use]
            pub fn audiences(&self) -> Vec<&str> {
                audiences(&self.0)
            }

            /// Whether `aud` names this audience.
            #[must_use]
            pub fn has_audience(&self, audience: &str) -> bool {
                self.audiences().contains(&audience)
            }

            /// `iss`.
            #[must_use]
            pub fn issuer(&self) -> Option<&str> {
                text(&self.0, "iss")
            }

            /// `exp`; `None` where it is missing or no number, which means expired.
            #[must_use]
            pub fn expires_at(&self) -> Option<Timestamp> {
                moment(&self.0, "exp")
            }

            /// `iat`.
            #[must_use]
            pub fn issued_at(&self) -> Option<Timestamp> {
                moment(&self.0, "iat")
            }

            /// `nbf`.
            #[must_use]
            pub fn not_before(&self) -> Option<Timestamp> {
                moment(&self.0, "nbf")
            }

            /// The claim `type`: `client_access_token`, say.
            #[must_use]
            pub fn token_type(&self) -> Option<&str> {
                text(&self.0, "type")
            }

            /// The user's address or number, where the token says it; no stable key.
            #[must_use]
            pub fn identifier(&self) -> Option<&str> {
                text(&self.0, "identifier")
            }

            /// `jti`.
            #[must_use]
            pub fn jwt_id(&self) -> Option<&str> {
                text(&self.0, "jti")
            }

            /// Any claim by its name.
            #[must_use]
            pub fn get(&self, name: &str) -> Option<&Value> {
                self.0.get(name)
            }

            /// All claims.
            #[must_use]
            pub fn to_json(&self) -> Value {
                Value::Object(self.0.clone())
            }
        }

        /// Prints the names of the claims; what they say is about a person.
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), " "))?;
                f.debug_set().entries(self.0.keys()).finish()
            }
        }
    };
}

claims!(
    /// The claims of an access token, decoded and **not verified** (protocol page 3.2).
    AccessClaims
);
claims!(
    /// The claims of an ID token, decoded and **not verified** (protocol page 3.3).
    IdClaims
);

impl AccessClaims {
    /// How the user signed in: `OTP`, `MAGIC_LINK`, ... an open set.
    #[must_use]
    pub fn authentication_method(&self) -> Option<&str> {
        text(&self.0, "authentication_method")
    }

    /// `scope`.
    #[must_use]
    pub fn scope(&self) -> Option<&str> {
        text(&self.0, "scope")
    }
}

impl IdClaims {
    /// When the user signed in; a number or the text of one, and `None` where it is not known.
    #[must_use]
    pub fn auth_time(&self) -> Option<Timestamp> {
        let value = self.0.get("auth_time")?;
        let seconds = match value {
            Value::String(text) => text.trim().parse().ok()?,
            other => whole_seconds(other)?,
        };
        Some(Timestamp::from_unix_seconds(seconds)).filter(|time| seconds > 0 && time.is_plausible())
    }
}

impl AccessToken {
    /// What the token says of itself; decoded, not verified.
    ///
    /// # Errors
    /// `Protocol` if it is no JWT.
    pub fn claims(&self) -> Result<AccessClaims, Error> {
        payload(self.expose()).map(AccessClaims)
    }
}

impl IdToken {
    /// What the token says of itself; decoded, not verified.
    ///
    /// # Errors
    /// `Protocol` if it is no JWT.
    pub fn claims(&self) -> Result<IdClaims, Error> {
        payload(self.expose()).map(IdClaims)
    }
}

/// What the flows need to know of a token; never fails.
#[derive(Debug, Default)]
pub(crate) struct Peek {
    pub(crate) is_jwt: bool,
    pub(crate) user_id: Option<String>,
    pub(crate) audiences: Vec<String>,
    pub(crate) expires_at: Option<Timestamp>,
    pub(crate) issued_at: Option<Timestamp>,
}

pub(crate) fn peek(token: &str) -> Peek {
    let Ok(claims) = payload(token) else { return Peek::default() };
    Peek {
        is_jwt: true,
        user_id: user_id(&claims).map(ToOwned::to_owned),
        audiences: audiences(&claims).into_iter().map(ToOwned::to_owned).collect(),
        expires_at: moment(&claims, "exp"),
        issued_at: moment(&claims, "iat"),
    }
}

/// The claims of a JWS in compact form (RFC 7515 section 7.1): three parts, unpadded base64url.
fn payload(token: &str) -> Result<Map<String, Value>, Error> {
    if token.len() > LONGEST {
        return Err(Error::protocol("the token is longer than 1 MiB"));
    }
    let mut parts = token.split('.');
    let (Some(header), Some(payload), Some(_), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(Error::protocol("the token is no JWT: it has not three parts"));
    };
    object(header)?;
    object(payload)
}

fn object(part: &str) -> Result<Map<String, Value>, Error> {
    let bytes = URL_SAFE_NO_PAD
        .decode(part)
        .map_err(|_| Error::protocol("the token is no JWT: a part is not base64url"))?;
    match serde_json::from_slice(&bytes) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err(Error::protocol("the token is no JWT: a part is not a JSON object")),
        Err(error) => Err(Error::protocol("the token is no JWT: a part is not JSON")
            .with_source(NotJson::from(error))),
    }
}

fn text<'a>(claims: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    claims.get(name)?.as_str()
}

fn user_id(claims: &Map<String, Value>) -> Option<&str> {
    let bare = |sub: &'_ str| sub.strip_prefix("USER:").unwrap_or(sub).len();
    text(claims, "sub")
        .map(|sub| &sub[sub.len() - bare(sub)..])
        .or_else(|| text(claims, "client_user_id"))
        .filter(|user| !user.is_empty())
}

fn audiences(claims: &Map<String, Value>) -> Vec<&str> {
    match claims.get("aud") {
        Some(Value::String(one)) => Vec::from([one.as_str()]),
        Some(Value::Array(many)) => many.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

/// A NumericDate (RFC 7519 section 2); what is no number, or no date, is missing.
fn moment(claims: &Map<String, Value>, name: &str) -> Option<Timestamp> {
    let time = Timestamp::from_unix_seconds(whole_seconds(claims.get(name)?)?);
    time.is_plausible().then_some(time)
}

#[expect(clippy::cast_possible_truncation, reason = "a float is clamped by the cast, and checked after")]
fn whole_seconds(value: &Value) -> Option<i64> {
    let number = value.as_number()?;
    number.as_i64().or_else(|| number.as_f64().filter(|float| float.is_finite()).map(|float| float as i64))
}
