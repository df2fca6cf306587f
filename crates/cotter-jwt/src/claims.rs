use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use cotter_core::Timestamp;
use serde::de::DeserializeOwned;

use crate::json::{self, Fault, Map, Value};
use crate::reason::{Claim, Reason};

/// The claims of an access token that was verified; nothing else makes one.
///
/// Claims of your own are read with [`custom`](Self::custom).
#[derive(Clone, PartialEq, Eq)]
pub struct AccessClaims {
    common: Common,
    authentication_method: Option<String>,
    scopes: Vec<String>,
}

/// The claims of an ID token that was verified; nothing else makes one.
#[derive(Clone, PartialEq, Eq)]
pub struct IdClaims {
    common: Common,
    auth_time: Option<Timestamp>,
}

/// Whose claims they are: some names mean something at Cotter, and anything elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    Cotter,
    General,
}

/// What both kinds have.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Common {
    aud: Vec<String>,
    client_user_id: Option<String>,
    dialect: Dialect,
    pub(crate) exp: Timestamp,
    pub(crate) iat: Option<Timestamp>,
    identifier: Option<String>,
    iss: String,
    jti: Option<String>,
    pub(crate) nbf: Option<Timestamp>,
    sub: Option<String>,
    token_type: Option<String>,
    json: String,
}

macro_rules! common_accessors {
    ($name:ident) => {
        impl $name {
            /// Everybody the token is for; the expected audience is among them.
            #[must_use]
            pub fn audiences(&self) -> &[String] {
                &self.common.aud
            }

            /// When the token ends.
            #[must_use]
            pub const fn expires_at(&self) -> Timestamp {
                self.common.exp
            }

            /// The user's email address, phone number or name, where the token has it. It may
            /// change; [`user_id`](Self::user_id) does not.
            #[must_use]
            pub fn identifier(&self) -> Option<&str> {
                self.common.identifier.as_deref()
            }

            /// When the token was issued.
            #[must_use]
            pub const fn issued_at(&self) -> Option<Timestamp> {
                self.common.iat
            }

            /// Who issued it, as the token spells it.
            #[must_use]
            pub fn issuer(&self) -> &str {
                &self.common.iss
            }

            /// The token's own id.
            #[must_use]
            pub fn token_id(&self) -> Option<&str> {
                self.common.jti.as_deref()
            }

            /// What the token says it is, in a claim `type`.
            #[must_use]
            pub fn token_type(&self) -> Option<&str> {
                self.common.token_type.as_deref()
            }

            /// `sub` as it stands in the token.
            #[must_use]
            pub fn subject(&self) -> Option<&str> {
                self.common.sub.as_deref()
            }

            /// Whom the token is about: `sub`. Of a Cotter token without the prefix `USER:` that
            /// old ones have, or else the `client_user_id`.
            #[must_use]
            pub fn user_id(&self) -> Option<&str> {
                let filled = |text: &&str| !text.is_empty();
                if self.common.dialect == Dialect::General {
                    return self.subject().filter(filled);
                }
                self.subject()
                    .map(|sub| sub.strip_prefix("USER:").unwrap_or(sub))
                    .filter(filled)
                    .or_else(|| self.common.client_user_id.as_deref().filter(filled))
            }

            /// The claims as JSON, exactly as they were signed.
            #[must_use]
            pub fn as_json(&self) -> &str {
                &self.common.json
            }

            /// Claims of your own, read into a type of yours.
            ///
            /// # Errors
            /// [`CustomClaimsError`] if they do not fit it.
            pub fn custom<T: DeserializeOwned>(&self) -> Result<T, CustomClaimsError> {
                serde_json::from_str(&self.common.json).map_err(|_| CustomClaimsError)
            }

            pub(crate) const fn common(&self) -> &Common {
                &self.common
            }
        }

        /// Leaves out what names a person.
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($name))
                    .field("audiences", &self.common.aud)
                    .field("expires_at", &self.common.exp)
                    .field("issuer", &self.common.iss)
                    .field("token_type", &self.common.token_type)
                    .finish_non_exhaustive()
            }
        }
    };
}

common_accessors!(AccessClaims);
common_accessors!(IdClaims);

impl AccessClaims {
    /// How the user signed in: `OTP`, `MAGIC_LINK`, `TRUSTED_DEVICE`, `WEBAUTHN`, `PIN`,
    /// `BIOMETRIC`, `SOCIAL_LOGIN`, or something newer.
    #[must_use]
    pub fn authentication_method(&self) -> Option<&str> {
        self.authentication_method.as_deref()
    }

    /// What the token may be used for. Issuers other than Cotter may write a list instead of words.
    pub fn scopes(&self) -> impl Iterator<Item = &str> {
        self.scopes.iter().map(String::as_str)
    }

    /// Whether the token may be used for `scope`.
    #[must_use]
    pub fn has_scope(&self, scope: &str) -> bool {
        self.scopes().any(|granted| granted == scope)
    }

    pub(crate) fn read(mut claims: Claims<'_>, dialect: Dialect) -> Result<Self, Reason> {
        let authentication_method = claims.own(Claim::AuthenticationMethod, dialect)?;
        let scopes = claims.scopes(dialect)?;
        Ok(Self { common: claims.common(dialect)?, authentication_method, scopes })
    }
}

impl IdClaims {
    /// When the user signed in, where the issuer knows.
    #[must_use]
    pub const fn authenticated_at(&self) -> Option<Timestamp> {
        self.auth_time
    }

    pub(crate) fn read(claims: Claims<'_>, dialect: Dialect) -> Result<Self, Reason> {
        // Cotter writes a string, and Go's zero time for "unknown": no reason to refuse a token.
        let auth_time = claims.members.get("auth_time").and_then(|value| match value {
            Value::String(text) => text.parse().ok().map(Timestamp::from_unix_seconds),
            value => time(value),
        });
        let auth_time = auth_time.filter(|at| at.is_plausible() && *at > Timestamp::EPOCH);
        Ok(Self { common: claims.common(dialect)?, auth_time })
    }
}

/// The claims did not fit the type they were read into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "saying more could print a claim")]
pub struct CustomClaimsError;

impl fmt::Display for CustomClaimsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the claims do not fit the type")
    }
}

impl core::error::Error for CustomClaimsError {}

/// Claims while they are read.
pub(crate) struct Claims<'a> {
    members: Map<'a>,
    json: &'a str,
}

impl<'a> Claims<'a> {
    pub(crate) fn parse(payload: &'a [u8]) -> Result<Self, Reason> {
        let members = json::object(payload).map_err(|fault| match fault {
            Fault::Malformed => Reason::ClaimsMalformed,
            Fault::Duplicate => Reason::ClaimsDuplicate,
            Fault::TooDeep => Reason::ClaimsTooDeep,
        })?;
        let json = core::str::from_utf8(payload).map_err(|_| Reason::ClaimsMalformed)?;
        Ok(Self { members, json })
    }

    /// The text of a claim that only a rule knows.
    pub(crate) fn named(&self, name: &str) -> Option<&Value<'a>> {
        self.members.get(name)
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.members.has(name)
    }

    fn text(&mut self, claim: Claim) -> Result<Option<String>, Reason> {
        match self.members.take(claim.name()) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.into_owned())),
            Some(_) => Err(Reason::ClaimMalformed(claim)),
        }
    }

    /// A claim of Cotter's own. What another issuer means by that name is not judged.
    fn own(&mut self, claim: Claim, dialect: Dialect) -> Result<Option<String>, Reason> {
        match self.text(claim) {
            Err(_) if dialect == Dialect::General => Ok(None),
            text => text,
        }
    }

    /// Words with spaces between them (RFC 9068 section 2.2.3); elsewhere than at Cotter they may
    /// stand in an array, where each is taken as it is.
    fn scopes(&mut self, dialect: Dialect) -> Result<Vec<String>, Reason> {
        let bad = Reason::ClaimMalformed(Claim::Scope);
        match self.members.take(Claim::Scope.name()) {
            None => Ok(Vec::new()),
            Some(Value::String(text)) => {
                let words = text.split(' ').filter(|word| !word.is_empty());
                Ok(words.map(String::from).collect())
            }
            Some(Value::Array(many)) if dialect == Dialect::General => texts(many, bad),
            Some(_) => Err(bad),
        }
    }

    fn moment(&self, claim: Claim) -> Result<Option<Timestamp>, Reason> {
        match self.members.get(claim.name()) {
            None => Ok(None),
            Some(value) => match time(value).filter(|at| at.is_plausible()) {
                Some(at) => Ok(Some(at)),
                None => Err(Reason::ClaimMalformed(claim)),
            },
        }
    }

    fn audiences(&mut self) -> Result<Vec<String>, Reason> {
        let bad = Reason::ClaimMalformed(Claim::Aud);
        match self.members.take(Claim::Aud.name()) {
            None => Err(Reason::ClaimMissing(Claim::Aud)),
            Some(Value::String(one)) => Ok(alloc::vec![one.into_owned()]),
            Some(Value::Array(many)) => texts(many, bad),
            Some(_) => Err(bad),
        }
    }

    fn common(mut self, dialect: Dialect) -> Result<Common, Reason> {
        Ok(Common {
            aud: self.audiences()?,
            client_user_id: self.own(Claim::ClientUserId, dialect)?,
            dialect,
            exp: self.moment(Claim::Exp)?.ok_or(Reason::ClaimMissing(Claim::Exp))?,
            iat: self.moment(Claim::Iat)?,
            identifier: self.own(Claim::Identifier, dialect)?,
            iss: self.text(Claim::Iss)?.ok_or(Reason::ClaimMissing(Claim::Iss))?,
            jti: self.text(Claim::Jti)?,
            nbf: self.moment(Claim::Nbf)?,
            sub: self.text(Claim::Sub)?,
            token_type: self.own(Claim::Type, dialect)?,
            json: self.json.into(),
        })
    }
}

impl Common {
    pub(crate) fn is_from(&self, issuer: &str) -> bool {
        without_slash(&self.iss) == without_slash(issuer)
    }

    pub(crate) fn is_for_any(&self, audiences: &[String]) -> bool {
        self.aud.iter().any(|aud| audiences.contains(aud))
    }
}

/// An array of nothing but texts.
fn texts(values: Vec<Value<'_>>, bad: Reason) -> Result<Vec<String>, Reason> {
    let text = |value| match value {
        Value::String(text) => Ok(text.into_owned()),
        _ => Err(bad),
    };
    values.into_iter().map(text).collect()
}

fn without_slash(issuer: &str) -> &str {
    issuer.strip_suffix('/').unwrap_or(issuer)
}

/// A NumericDate (RFC 7519 section 2): a number, which may have a fraction.
fn time(value: &Value<'_>) -> Option<Timestamp> {
    match value {
        Value::Integer(seconds) => Some(Timestamp::from_unix_seconds(*seconds)),
        // A cast saturates; what is out of range is refused by the caller.
        #[expect(clippy::cast_possible_truncation, reason = "saturates, and is judged afterwards")]
        Value::Float(seconds) => Some(Timestamp::from_unix_millis((seconds * 1000.0) as i64)),
        _ => None,
    }
}
