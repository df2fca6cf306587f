use core::fmt;
use core::time::Duration;

/// Why a token was not accepted.
///
/// The token, its claims and its keys are in none of these, so they may be logged and answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// `alg` is none of the algorithms that were named.
    AlgorithmNotAllowed,
    /// None of the expected audiences is in `aud`.
    Audience,
    /// A claim has a value of the wrong type or out of all range.
    ClaimMalformed(Claim),
    /// A claim that has to be there is not.
    ClaimMissing(Claim),
    /// A claim stands twice.
    ClaimsDuplicate,
    /// The second part is not unpadded, canonical base64url.
    ClaimsEncoding,
    /// The second part is not a JSON object.
    ClaimsMalformed,
    /// The claims nest too deep.
    ClaimsTooDeep,
    /// The header asks for an extension (`crit`).
    CriticalHeader,
    /// `exp` has passed.
    Expired,
    /// A header member stands twice.
    HeaderDuplicate,
    /// The first part is not unpadded, canonical base64url.
    HeaderEncoding,
    /// The header is no JSON object, has no `alg`, or has a member of the wrong type.
    HeaderMalformed,
    /// The header nests too deep.
    HeaderTooDeep,
    /// `iat` lies in the future.
    IssuedInFuture,
    /// `iss` is another one.
    Issuer,
    /// The key is made for another algorithm than the token's.
    KeyAlgorithm,
    /// The key's `use` or `key_ops` does not let it check signatures.
    KeyUse,
    /// There are no keys yet: they could not be fetched. Try again.
    KeysUnavailable {
        /// When trying again may help.
        retry_after: Duration,
    },
    /// No key has this `kid`.
    KidUnknown,
    /// No key has this `kid` as far as is known, and it is too early to look again. Try again.
    KidUnknownForNow {
        /// When trying again may help.
        retry_after: Duration,
    },
    /// The token names no key, and none of the keys can be meant.
    NoKey,
    /// `nbf` lies in the future.
    NotYetValid,
    /// Not exactly three parts.
    NotThreeParts,
    /// The signature is not the key's.
    Signature,
    /// The third part is not unpadded, canonical base64url.
    SignatureEncoding,
    /// The signature cannot be one of this algorithm: DER, a wrong length, zeros.
    SignatureForm,
    /// The token is longer than any token should be.
    TooLarge,
    /// The token is of another type: an ID token where an access token is expected, say.
    TokenType,
    /// `alg` is `none`.
    Unsecured,
}

impl Reason {
    /// A stable name for programs: `expired`, `kid_unknown`, `exp_missing`...
    ///
    /// ```
    /// use cotter_jwt::{Claim, Reason};
    ///
    /// assert_eq!(Reason::Expired.code(), "expired");
    /// assert_eq!(Reason::ClaimMissing(Claim::Exp).code(), "exp_missing");
    /// ```
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::AlgorithmNotAllowed => "alg_not_allowed",
            Self::Audience => "wrong_audience",
            Self::ClaimMalformed(claim) => claim.codes().1,
            Self::ClaimMissing(claim) => claim.codes().0,
            Self::ClaimsDuplicate => "claims_duplicate",
            Self::ClaimsEncoding => "claims_encoding",
            Self::ClaimsMalformed => "claims_malformed",
            Self::ClaimsTooDeep => "claims_too_deep",
            Self::CriticalHeader => "crit",
            Self::Expired => "expired",
            Self::HeaderDuplicate => "header_duplicate",
            Self::HeaderEncoding => "header_encoding",
            Self::HeaderMalformed => "header_malformed",
            Self::HeaderTooDeep => "header_too_deep",
            Self::IssuedInFuture => "issued_in_future",
            Self::Issuer => "wrong_issuer",
            Self::KeyAlgorithm => "key_algorithm",
            Self::KeyUse => "key_use",
            Self::KeysUnavailable { .. } => "keys_unavailable",
            Self::KidUnknown => "kid_unknown",
            Self::KidUnknownForNow { .. } => "kid_unknown_for_now",
            Self::NoKey => "no_key",
            Self::NotYetValid => "not_yet_valid",
            Self::NotThreeParts => "not_three_parts",
            Self::Signature => "bad_signature",
            Self::SignatureEncoding => "signature_encoding",
            Self::SignatureForm => "signature_form",
            Self::TooLarge => "too_large",
            Self::TokenType => "wrong_token_type",
            Self::Unsecured => "alg_none",
        }
    }

    /// When trying the same token again may help; `None` for a verdict about the token itself.
    #[must_use]
    pub const fn retry_after(self) -> Option<Duration> {
        match self {
            Self::KeysUnavailable { retry_after } | Self::KidUnknownForNow { retry_after } => {
                Some(retry_after)
            }
            _ => None,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::AlgorithmNotAllowed => "the token's algorithm is not one that is accepted",
            Self::Audience => "the token is for another audience",
            Self::ClaimMalformed(claim) => return write!(f, "the claim {claim} is malformed"),
            Self::ClaimMissing(claim) => return write!(f, "the claim {claim} is missing"),
            Self::ClaimsDuplicate => "a claim stands twice",
            Self::ClaimsEncoding => "the claims are not canonical base64url",
            Self::ClaimsMalformed => "the claims are not a JSON object",
            Self::ClaimsTooDeep => "the claims nest too deep",
            Self::CriticalHeader => "the header asks for an extension",
            Self::Expired => "the token has expired",
            Self::HeaderDuplicate => "a header member stands twice",
            Self::HeaderEncoding => "the header is not canonical base64url",
            Self::HeaderMalformed => "the header is malformed",
            Self::HeaderTooDeep => "the header nests too deep",
            Self::IssuedInFuture => "the token was issued in the future",
            Self::Issuer => "the token is from another issuer",
            Self::KeyAlgorithm => "the key is made for another algorithm",
            Self::KeyUse => "the key is not for checking signatures",
            Self::KeysUnavailable { .. } => "the keys could not be fetched",
            Self::KidUnknown => "the token was signed with an unknown key",
            Self::KidUnknownForNow { .. } => {
                "the token was signed with a key that is not known yet"
            }
            Self::NoKey => "no key can have signed the token",
            Self::NotYetValid => "the token is not valid yet",
            Self::NotThreeParts => "the token does not have three parts",
            Self::Signature => "the signature does not match",
            Self::SignatureEncoding => "the signature is not canonical base64url",
            Self::SignatureForm => "the signature has the wrong form",
            Self::TooLarge => "the token is too large",
            Self::TokenType => "the token is of another type",
            Self::Unsecured => "the token is not signed",
        };
        f.write_str(text)
    }
}

macro_rules! claims {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)*) => {
        /// A claim that is looked at.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Claim {
            $($(#[$doc])* $variant,)*
        }

        impl Claim {
            /// Its name in a token.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }

            const fn codes(self) -> (&'static str, &'static str) {
                match self {
                    $(Self::$variant => (concat!($name, "_missing"), concat!($name, "_malformed")),)*
                }
            }
        }
    };
}

claims! {
    /// Whom the token is for.
    Aud = "aud",
    /// How the user signed in (Cotter).
    AuthenticationMethod = "authentication_method",
    /// The customer's own id of the user (Cotter, deprecated there).
    ClientUserId = "client_user_id",
    /// When the token ends.
    Exp = "exp",
    /// When it was issued.
    Iat = "iat",
    /// The user's address, number or name (Cotter).
    Identifier = "identifier",
    /// Who issued it.
    Iss = "iss",
    /// The token's own id.
    Jti = "jti",
    /// When it begins.
    Nbf = "nbf",
    /// What it may be used for.
    Scope = "scope",
    /// Whom it is about.
    Sub = "sub",
    /// What kind of token it is (Cotter).
    Type = "type",
}

impl fmt::Display for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A token was not accepted, for this reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Invalid(Reason);

impl Invalid {
    /// Why.
    #[must_use]
    pub const fn reason(&self) -> Reason {
        self.0
    }

    /// The stable name of the reason.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        self.0.code()
    }

    /// When trying the same token again may help; `None` for a verdict about the token itself.
    #[must_use]
    pub const fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after()
    }
}

impl From<Reason> for Invalid {
    fn from(reason: Reason) -> Self {
        Self(reason)
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl core::error::Error for Invalid {}
