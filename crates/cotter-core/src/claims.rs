//! What a JWT says about itself: decoded, not verified.

use alloc::borrow::{Cow, ToOwned};
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use crate::error::Error;
use crate::secret::{AccessToken, IdToken};
use crate::time::Timestamp;
use crate::wire::json::Object;

/// The longest text that is looked into.
const LONGEST: usize = 1024 * 1024;

impl AccessToken {
    /// What this token says about itself. **Nobody has checked that it is true.**
    ///
    /// Good enough to show, or to know when it ends; not good enough to let anybody in.
    ///
    /// # Errors
    /// `Protocol` if it is no JWT (three parts of unpadded base64url, header and payload JSON
    /// objects, at most 1 MiB). An opaque access token is none, and need not be one (RFC 6749
    /// section 1.4).
    pub fn claims(&self) -> Result<AccessClaims, Error> {
        decode(self.expose()).map(AccessClaims).map_err(Why::into_error)
    }
}

impl IdToken {
    /// What this token says about itself. **Nobody has checked that it is true.**
    ///
    /// # Errors
    /// `Protocol` if it is no JWT (three parts of unpadded base64url, header and payload JSON
    /// objects, at most 1 MiB).
    pub fn claims(&self) -> Result<IdClaims, Error> {
        decode(self.expose()).map(IdClaims).map_err(Why::into_error)
    }
}

/// The claims of an access token (protocol page 3.2); decoded, not verified.
///
/// Prints the names of its claims, not their values.
///
/// ```
/// use cotter_core::AccessToken;
///
/// # let vectors: serde_json::Value =
/// #     serde_json::from_str(include_str!("../tests/vectors/cotter-vectors.json"))?;
/// # let text = vectors["access_token"].as_str().unwrap_or_default();
/// let token = AccessToken::new(text);
/// let claims = token.claims()?; // what it says; nobody has checked it
/// assert_eq!(claims.user_id(), Some("3f5b8c1e-9a77-4d0b-8a55-6a1c0de5f00d"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq)]
pub struct AccessClaims(Claims);

/// The claims of an ID token (protocol page 3.3); decoded, not verified.
///
/// Prints the names of its claims, not their values.
///
/// ```
/// use cotter_core::IdToken;
///
/// # let vectors: serde_json::Value =
/// #     serde_json::from_str(include_str!("../tests/vectors/cotter-vectors.json"))?;
/// # let text = vectors["id_token"].as_str().unwrap_or_default();
/// let token = IdToken::new(text);
/// assert_eq!(token.claims()?.identifier(), Some("ada@example.test"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq)]
pub struct IdClaims(Claims);

macro_rules! shared_claims {
    ($name:ident) => {
        impl $name {
            /// The subject, as it stands there (`sub`).
            #[must_use]
            pub fn subject(&self) -> Option<&str> {
                self.0.text("sub")
            }

            /// Who the user is: `sub` less one leading `USER:`, else a `client_user_id` that is not
            /// empty (protocol page 5.4).
            #[must_use]
            pub fn user_id(&self) -> Option<&str> {
                self.0.user_id()
            }

            /// Whom it is for (`aud`, a text or a list); empty where it does not say.
            #[must_use]
            pub fn audiences(&self) -> Vec<&str> {
                self.0.audiences()
            }

            /// Whether it is for this audience.
            #[must_use]
            pub fn has_audience(&self, audience: &str) -> bool {
                self.audiences().contains(&audience)
            }

            /// Who issued it (`iss`), as it stands there.
            #[must_use]
            pub fn issuer(&self) -> Option<&str> {
                self.0.text("iss")
            }

            /// When it ends (`exp`); `None` for what is no number or no date between 1970 and 9999.
            #[must_use]
            pub fn expires_at(&self) -> Option<Timestamp> {
                self.0.time("exp")
            }

            /// When it was issued (`iat`).
            #[must_use]
            pub fn issued_at(&self) -> Option<Timestamp> {
                self.0.time("iat")
            }

            /// From when on it holds (`nbf`).
            #[must_use]
            pub fn not_before(&self) -> Option<Timestamp> {
                self.0.time("nbf")
            }

            /// What kind of token it says it is (`type`).
            #[must_use]
            pub fn token_type(&self) -> Option<&str> {
                self.0.text("type")
            }

            /// The user's email address, phone number or name (`identifier`); no stable key.
            #[must_use]
            pub fn identifier(&self) -> Option<&str> {
                self.0.text("identifier")
            }

            /// The token's own id (`jti`).
            #[must_use]
            pub fn jwt_id(&self) -> Option<&str> {
                self.0.text("jti")
            }

            /// The claim of this name.
            ///
            /// A claim that no JSON value can hold here (a number beyond every float, a list nested
            /// too deeply) is left out.
            #[must_use]
            pub fn get(&self, name: &str) -> Option<&Value> {
                self.0.0.get(name)
            }

            /// All claims as one JSON object.
            #[must_use]
            pub fn to_json(&self) -> Value {
                Value::Object(self.0.0.clone())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), " "))?;
                f.debug_set().entries(self.0.0.keys()).finish()
            }
        }
    };
}

shared_claims!(AccessClaims);
shared_claims!(IdClaims);

impl AccessClaims {
    /// The scope (`scope`).
    #[must_use]
    pub fn scope(&self) -> Option<&str> {
        self.0.text("scope")
    }

    /// How the user signed in (`authentication_method`).
    #[must_use]
    pub fn authentication_method(&self) -> Option<&str> {
        self.0.text("authentication_method")
    }
}

impl IdClaims {
    /// When the user signed in (`auth_time`, a number or its text).
    ///
    /// `None` where it is unknown: absent, unreadable, or not after 1970, as in Cotter's zero value
    /// (protocol page 5.6).
    #[must_use]
    pub fn auth_time(&self) -> Option<Timestamp> {
        let claim = self.0.0.get("auth_time")?;
        let seconds = match claim {
            Value::String(text) => text.parse().ok()?,
            number => number.as_i64().or_else(|| number.as_f64().and_then(whole))?,
        };
        Some(Timestamp::from_unix_seconds(seconds))
            .filter(|time| *time > Timestamp::EPOCH && time.is_plausible())
    }
}

#[derive(Clone, PartialEq)]
struct Claims(Map<String, Value>);

impl Claims {
    fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.as_str()
    }

    fn user_id(&self) -> Option<&str> {
        let subject = self.text("sub").map(|sub| sub.strip_prefix("USER:").unwrap_or(sub));
        subject
            .filter(|user| !user.is_empty())
            .or_else(|| self.text("client_user_id").filter(|user| !user.is_empty()))
    }

    fn audiences(&self) -> Vec<&str> {
        match self.0.get("aud") {
            Some(Value::String(one)) => Vec::from([one.as_str()]),
            Some(Value::Array(many)) => many.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        }
    }

    fn time(&self, name: &str) -> Option<Timestamp> {
        let claim = self.0.get(name)?;
        let time = match claim.as_i64() {
            Some(seconds) => Timestamp::from_unix_seconds(seconds),
            None => Timestamp::from_unix_millis(whole(claim.as_f64()? * 1000.0)?),
        };
        Some(time).filter(|time| time.is_plausible())
    }
}

/// The whole part of what is a number at all; the cast clamps, and what is no date is judged after.
#[expect(clippy::cast_possible_truncation, reason = "the cast clamps")]
fn whole(number: f64) -> Option<i64> {
    number.is_finite().then_some(number as i64)
}

/// Why a text is no JWT; made into an error only for whom wants one.
enum Why {
    TooLong,
    Parts,
    Encoding,
    Json(crate::wire::json::JsonError),
}

impl Why {
    fn into_error(self) -> Error {
        match self {
            Self::TooLong => Error::protocol("the token is longer than 1 MiB"),
            Self::Parts => Error::protocol("the token is not a JWT: it has not three parts"),
            Self::Encoding => Error::protocol("the token is not a JWT: it is not base64url"),
            Self::Json(error) => {
                Error::protocol("the token is not a JWT: header or payload is no JSON object")
                    .with_source(error)
            }
        }
    }
}

fn decode(token: &str) -> Result<Claims, Why> {
    if token.len() > LONGEST {
        return Err(Why::TooLong);
    }
    let mut parts = token.split('.');
    let (Some(header), Some(payload), Some(signature), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(Why::Parts);
    };
    let header = part(header)?;
    Object::parse(&header).map_err(Why::Json)?;
    part(signature)?;
    let payload = part(payload)?;
    let members = Object::parse(&payload).map_err(Why::Json)?.into_members();
    let claims = members.filter_map(|(name, value)| {
        let value = serde_json::from_str(value.get()).ok()?;
        Some((Cow::into_owned(name), value))
    });
    Ok(Claims(claims.collect()))
}

fn part(text: &str) -> Result<Zeroizing<Vec<u8>>, Why> {
    URL_SAFE_NO_PAD.decode(text).map(Zeroizing::new).map_err(|_| Why::Encoding)
}

/// What the flows need to know of a token; nothing where it is no JWT.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Peek {
    /// Whether it is a JWT at all.
    pub(crate) is_jwt: bool,
    /// Who the user is (protocol page 5.4).
    pub(crate) user_id: Option<String>,
    /// Whom it is for.
    pub(crate) audiences: Vec<String>,
    /// When it ends.
    pub(crate) expires_at: Option<Timestamp>,
    /// When it was issued.
    pub(crate) issued_at: Option<Timestamp>,
    /// What kind of token it says it is.
    pub(crate) token_type: Option<String>,
}

/// Looks into a token; never fails.
pub(crate) fn peek(token: &str) -> Peek {
    let Ok(claims) = decode(token) else { return Peek::default() };
    Peek {
        is_jwt: true,
        user_id: claims.user_id().map(ToOwned::to_owned),
        audiences: claims.audiences().into_iter().map(ToOwned::to_owned).collect(),
        expires_at: claims.time("exp"),
        issued_at: claims.time("iat"),
        token_type: claims.text("type").map(ToOwned::to_owned),
    }
}

#[cfg(test)]
#[path = "wire/claims_tests.rs"]
mod tests;
