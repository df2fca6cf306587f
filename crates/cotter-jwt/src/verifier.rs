use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use cotter_core::{AccessToken, IdToken, Timestamp};

use crate::algorithm::Algorithm;
use crate::backend::{Backend, well_formed};
use crate::claims::{AccessClaims, Claims, Common, Dialect, IdClaims};
use crate::compact::Compact;
use crate::keyset::KeySet;
use crate::reason::{Invalid, Reason};
use crate::rule::TypeRule;

/// How far apart two clocks may be, by default.
const LEEWAY: Duration = Duration::from_secs(30);

/// Says whether a token is what it claims: whose, for whom, until when, and signed by a key of the
/// issuer's.
///
/// What it answers is the token's claims or a [`Reason`], never a bool that can be forgotten.
///
/// ```
/// # #[cfg(feature = "aws_lc_rs")] {
/// use cotter_core::Timestamp;
/// use cotter_jwt::{KeySet, Verifier};
///
/// # let vectors: serde_json::Value =
/// #     serde_json::from_str(include_str!("../tests/vectors/cotter-vectors.json")).unwrap();
/// # let (jwks, api_key_id) = (vectors["jwks"].to_string(), vectors["api_key_id"].as_str().unwrap());
/// # let (token, id_token) =
/// #     (vectors["access_token"].as_str().unwrap(), vectors["id_token"].as_str().unwrap());
/// let verifier = Verifier::cotter(api_key_id).keys(KeySet::from_json(jwks)?);
/// let now = Timestamp::from_unix_seconds(1_767_225_600);
/// let claims = verifier.verify_access_token(token, now)?;
/// assert_eq!(claims.user_id(), Some("3f5b8c1e-9a77-4d0b-8a55-6a1c0de5f00d"));
///
/// let refused = verifier.verify_access_token(id_token, now).unwrap_err();
/// assert_eq!(refused.code(), "wrong_token_type");
/// # }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Verifier {
    access: Expected,
    algorithms: Vec<Algorithm>,
    backend: Backend,
    dialect: Dialect,
    id: Expected,
    issuer: String,
    keys: Arc<KeySet>,
    leeway: Duration,
}

/// What differs between the two kinds of tokens.
#[derive(Clone, Debug)]
struct Expected {
    audiences: Vec<String>,
    rule: TypeRule,
}

impl Verifier {
    /// For the tokens of one Cotter project, checked by AWS-LC.
    #[cfg(feature = "aws_lc_rs")]
    #[must_use]
    pub fn cotter(api_key_id: impl Into<String>) -> Self {
        Self::cotter_with(Backend::aws_lc_rs(), api_key_id)
    }

    /// For the tokens of one Cotter project, checked by the backend of your choice.
    #[must_use]
    pub fn cotter_with(backend: Backend, api_key_id: impl Into<String>) -> Self {
        let any = Self::new(backend, "https://www.cotter.app");
        Self { dialect: Dialect::Cotter, ..any }
            .audience(api_key_id)
            .access_tokens(TypeRule::claim("type", ["client_access_token", "access_token"]))
            .id_tokens(TypeRule::claim("type", ["client_id_token", "id_token"]))
    }

    /// For the tokens of any issuer. Name at least one [`audience`](Self::audience), or nothing
    /// verifies.
    ///
    /// Access tokens have to be typed as RFC 9068 says (`at+jwt`) until you say how your issuer
    /// marks them with [`access_tokens`](Self::access_tokens). Claims whose names mean something at
    /// Cotter alone (`type`, `identifier`, `client_user_id`, `authentication_method`) may be
    /// anything here, and come out typed where they are text.
    ///
    /// ```
    /// # #[cfg(feature = "aws_lc_rs")] {
    /// use cotter_jwt::{Algorithm, Backend, TypeRule, Verifier};
    ///
    /// let verifier = Verifier::new(Backend::aws_lc_rs(), "https://issuer.example")
    ///     .audience("https://api.example")
    ///     .client_id("web-app")
    ///     .algorithms([Algorithm::Es256, Algorithm::Rs256])
    ///     .access_tokens(TypeRule::claim("token_use", ["access"]));
    /// # }
    /// ```
    #[must_use]
    pub fn new(backend: Backend, issuer: impl Into<String>) -> Self {
        let expected = |rule| Expected { audiences: Vec::new(), rule };
        Self {
            access: expected(TypeRule::at_jwt()),
            algorithms: alloc::vec![Algorithm::Es256],
            backend,
            dialect: Dialect::General,
            id: expected(TypeRule::oidc_id_token()),
            issuer: issuer.into(),
            keys: Arc::new(KeySet::empty()),
            leeway: LEEWAY,
        }
    }

    /// How access tokens are told from others.
    #[must_use]
    pub fn access_tokens(mut self, rule: TypeRule) -> Self {
        self.access.rule = rule;
        self
    }

    /// Accepts these algorithms and no others; by default ES256 alone.
    #[must_use]
    pub fn algorithms(mut self, algorithms: impl IntoIterator<Item = Algorithm>) -> Self {
        self.algorithms = algorithms.into_iter().collect();
        self
    }

    /// Accepts tokens for this audience too.
    #[must_use]
    pub fn audience(mut self, audience: impl Into<String>) -> Self {
        self.access.audiences.push(audience.into());
        self
    }

    /// Whom ID tokens are for, where that is not whom access tokens are for.
    #[must_use]
    pub fn client_id(mut self, client_id: impl Into<String>) -> Self {
        self.id.audiences.push(client_id.into());
        self
    }

    /// How ID tokens are told from others.
    #[must_use]
    pub fn id_tokens(mut self, rule: TypeRule) -> Self {
        self.id.rule = rule;
        self
    }

    /// Expects this issuer: a staging server's, say. One trailing slash more or less is no
    /// difference.
    #[must_use]
    pub fn issuer(mut self, issuer: impl Into<String>) -> Self {
        self.issuer = issuer.into();
        self
    }

    /// The keys to verify with.
    #[must_use]
    pub fn keys(mut self, keys: impl Into<Arc<KeySet>>) -> Self {
        self.keys = keys.into();
        self
    }

    /// How far the issuer's clock and this one may be apart; 30 seconds by default.
    #[must_use]
    pub const fn leeway(mut self, leeway: Duration) -> Self {
        self.leeway = leeway;
        self
    }

    /// The keys it verifies with.
    #[must_use]
    pub const fn key_set(&self) -> &Arc<KeySet> {
        &self.keys
    }

    /// Verifies an access token.
    ///
    /// # Errors
    /// [`Invalid`], with the reason.
    pub fn verify_access_token<'a>(
        &self,
        token: impl Into<AccessText<'a>>,
        now: Timestamp,
    ) -> Result<AccessClaims, Invalid> {
        Ok(self.access(token.into().0, now)?.claims)
    }

    /// Verifies an ID token.
    ///
    /// # Errors
    /// [`Invalid`], with the reason.
    pub fn verify_id_token<'a>(
        &self,
        token: impl Into<IdText<'a>>,
        now: Timestamp,
    ) -> Result<IdClaims, Invalid> {
        Ok(self.id(token.into().0, now)?.claims)
    }

    /// Checks the form and the signature of a JWS and gives what was signed, **whatever it says**:
    /// not for whom, until when or of which kind. For things that are no tokens.
    ///
    /// # Errors
    /// [`Invalid`], with the reason.
    pub fn verify_signature(&self, jws: &str) -> Result<Vec<u8>, Invalid> {
        Ok(self.signed(jws)?.payload)
    }

    /// Which key a token says it was signed with, if there is a key that could save it.
    ///
    /// For whoever fetches keys: a token of another algorithm, without a signature or with one that
    /// cannot be any is refused here, by the same reason as by the verifier that has its key.
    ///
    /// # Errors
    /// [`Invalid`], with the reason; none that a key would turn.
    ///
    /// ```
    /// # #[cfg(feature = "aws_lc_rs")] {
    /// # let verifier = cotter_jwt::Verifier::cotter("<API_KEY_ID>");
    /// assert_eq!(verifier.claimed_kid("no token").unwrap_err().code(), "not_three_parts");
    /// // {"alg":"none","kid":"1"}
    /// let unsigned = "eyJhbGciOiJub25lIiwia2lkIjoiMSJ9.e30.";
    /// assert_eq!(verifier.claimed_kid(unsigned).unwrap_err().code(), "alg_none");
    /// # }
    /// ```
    pub fn claimed_kid(&self, token: &str) -> Result<Option<String>, Invalid> {
        Ok(self.form(token)?.0.header.kid)
    }

    /// Why no key can make this a good access token, where its form or its claims say so.
    ///
    /// For the time in which keys cannot be had, since that leaves open the signature alone. `None`
    /// is **no verdict**: nobody has looked at the signature.
    ///
    /// ```
    /// # #[cfg(feature = "aws_lc_rs")] {
    /// # use cotter_core::Timestamp;
    /// # use cotter_jwt::Verifier;
    /// # let vectors: serde_json::Value =
    /// #     serde_json::from_str(include_str!("../tests/vectors/cotter-vectors.json")).unwrap();
    /// # let api_key_id = vectors["api_key_id"].as_str().unwrap();
    /// # let token = vectors["access_token"].as_str().unwrap();
    /// let now = Timestamp::from_unix_seconds(1_767_225_600);
    /// assert_eq!(Verifier::cotter(api_key_id).rule_out_access_token(token, now), None);
    ///
    /// let why = Verifier::cotter("<ANOTHER>").rule_out_access_token(token, now).unwrap();
    /// assert_eq!(why.code(), "wrong_audience");
    /// # }
    /// ```
    #[must_use]
    pub fn rule_out_access_token<'a>(
        &self,
        token: impl Into<AccessText<'a>>,
        now: Timestamp,
    ) -> Option<Invalid> {
        let claims = |jws: Compact<'_>| {
            self.access_claims(jws.header.typ.as_deref(), &jws.payload, now).map(drop)
        };
        self.form(token.into().0).and_then(|(jws, _)| claims(jws)).err().map(Invalid::from)
    }

    /// Why no key can make this a good ID token; see
    /// [`rule_out_access_token`](Self::rule_out_access_token).
    #[must_use]
    pub fn rule_out_id_token<'a>(
        &self,
        token: impl Into<IdText<'a>>,
        now: Timestamp,
    ) -> Option<Invalid> {
        let claims = |jws: Compact<'_>| {
            self.id_claims(jws.header.typ.as_deref(), &jws.payload, now).map(drop)
        };
        self.form(token.into().0).and_then(|(jws, _)| claims(jws)).err().map(Invalid::from)
    }

    pub(crate) fn access(
        &self,
        token: &str,
        now: Timestamp,
    ) -> Result<Verified<AccessClaims>, Reason> {
        let signed = self.signed(token)?;
        let claims = self.access_claims(signed.typ.as_deref(), &signed.payload, now)?;
        Ok(Verified { claims, key: signed.key })
    }

    pub(crate) fn id(&self, token: &str, now: Timestamp) -> Result<Verified<IdClaims>, Reason> {
        let signed = self.signed(token)?;
        let claims = self.id_claims(signed.typ.as_deref(), &signed.payload, now)?;
        Ok(Verified { claims, key: signed.key })
    }

    pub(crate) const fn leeway_of(&self) -> Duration {
        self.leeway
    }

    /// All that can be said against a token before any key is looked at.
    fn form<'a>(&self, token: &'a str) -> Result<(Compact<'a>, Algorithm), Reason> {
        let jws = Compact::parse(token)?;
        if jws.header.alg == "none" {
            return Err(Reason::Unsecured);
        }
        let algorithm = Algorithm::from_name(&jws.header.alg)
            .filter(|algorithm| self.algorithms.contains(algorithm))
            .ok_or(Reason::AlgorithmNotAllowed)?;
        if !well_formed(algorithm, &jws.signature) {
            return Err(Reason::SignatureForm);
        }
        Ok((jws, algorithm))
    }

    fn signed(&self, token: &str) -> Result<Signed, Reason> {
        let (jws, algorithm) = self.form(token)?;
        let candidates = self.keys.candidates(jws.header.kid.as_deref(), algorithm)?;
        let key = candidates
            .into_iter()
            .find(|key| self.backend.check(algorithm, key, jws.message, &jws.signature).is_ok())
            .ok_or(Reason::Signature)?;
        Ok(Signed { payload: jws.payload, typ: jws.header.typ, key: *key.id() })
    }

    fn access_claims(
        &self,
        typ: Option<&str>,
        payload: &[u8],
        now: Timestamp,
    ) -> Result<AccessClaims, Reason> {
        let claims = Claims::parse(payload)?;
        self.access.rule.judge(typ, &claims)?;
        let claims = AccessClaims::read(claims, self.dialect)?;
        self.judge(claims.common(), &self.access.audiences, now)?;
        Ok(claims)
    }

    fn id_claims(
        &self,
        typ: Option<&str>,
        payload: &[u8],
        now: Timestamp,
    ) -> Result<IdClaims, Reason> {
        let claims = Claims::parse(payload)?;
        self.id.rule.judge(typ, &claims)?;
        if self.access.rule.claims_besides(&self.id.rule, &claims) {
            return Err(Reason::TokenType);
        }
        let claims = IdClaims::read(claims, self.dialect)?;
        let own = &self.id.audiences;
        let audiences = if own.is_empty() { &self.access.audiences } else { own };
        self.judge(claims.common(), audiences, now)?;
        Ok(claims)
    }

    fn judge(&self, claims: &Common, audiences: &[String], now: Timestamp) -> Result<(), Reason> {
        if !claims.is_from(&self.issuer) {
            return Err(Reason::Issuer);
        }
        if !claims.is_for_any(audiences) {
            return Err(Reason::Audience);
        }
        if now >= claims.exp.saturating_add(self.leeway) {
            return Err(Reason::Expired);
        }
        let latest = now.saturating_add(self.leeway);
        if claims.nbf.is_some_and(|nbf| nbf > latest) {
            return Err(Reason::NotYetValid);
        }
        if claims.iat.is_some_and(|iat| iat > latest) {
            return Err(Reason::IssuedInFuture);
        }
        Ok(())
    }
}

struct Signed {
    payload: Vec<u8>,
    typ: Option<String>,
    key: [u8; 32],
}

/// Claims, and the key that vouches for them.
pub(crate) struct Verified<C> {
    pub(crate) claims: C,
    pub(crate) key: [u8; 32],
}

/// The text of what is to be an access token: an [`AccessToken`] or a string.
#[derive(Clone, Copy)]
pub struct AccessText<'a>(pub(crate) &'a str);

/// The text of what is to be an ID token: an [`IdToken`] or a string.
#[derive(Clone, Copy)]
pub struct IdText<'a>(pub(crate) &'a str);

macro_rules! text {
    ($name:ident, $token:ty) => {
        impl<'a> From<&'a str> for $name<'a> {
            fn from(text: &'a str) -> Self {
                Self(text)
            }
        }

        impl<'a> From<&'a String> for $name<'a> {
            fn from(text: &'a String) -> Self {
                Self(text)
            }
        }

        impl<'a> From<&'a $token> for $name<'a> {
            fn from(token: &'a $token) -> Self {
                Self(token.expose())
            }
        }

        impl<'a> $name<'a> {
            /// The text, to hand on.
            #[must_use]
            pub const fn as_str(&self) -> &'a str {
                self.0
            }
        }

        impl core::fmt::Debug for $name<'_> {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.write_str(concat!(stringify!($name), "([redacted])"))
            }
        }
    };
}

text!(AccessText, AccessToken);
text!(IdText, IdToken);
