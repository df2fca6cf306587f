use alloc::string::String;
use alloc::vec::Vec;

use crate::claims::Claims;
use crate::json::Value;
use crate::reason::{Claim, Reason};

/// How one kind of token is told from the others, so that an ID token never passes as an access
/// token.
///
/// ```
/// use cotter_jwt::TypeRule;
///
/// // Cotter: the claim `type`. Amazon Cognito: the claim `token_use`. RFC 9068: the header's `typ`.
/// let cotter = TypeRule::claim("type", ["client_access_token", "access_token"]);
/// let cognito = TypeRule::claim("token_use", ["access"]);
/// let standard = TypeRule::at_jwt();
/// ```
#[derive(Clone, Debug)]
pub struct TypeRule(Rule);

#[derive(Clone, Debug)]
enum Rule {
    AudienceAlone,
    Claim { name: String, values: Vec<String> },
    Header { values: Vec<String> },
    OidcIdToken,
}

impl TypeRule {
    /// The claim `name` has one of these values.
    #[must_use]
    pub fn claim<S: Into<String>>(
        name: impl Into<String>,
        values: impl IntoIterator<Item = S>,
    ) -> Self {
        let values = values.into_iter().map(Into::into).collect();
        Self(Rule::Claim { name: name.into(), values })
    }

    /// The header's `typ` has one of these values, in any case and with or without `application/`.
    ///
    /// **Not `JWT`**: nearly every token says that of itself, ID tokens among them, so that one and
    /// the same token would pass as either kind. Where the header has no better word, go by a
    /// [`claim`](Self::claim), or by [`audience_alone`](Self::audience_alone) if it holds there.
    #[must_use]
    pub fn header<S: Into<String>>(values: impl IntoIterator<Item = S>) -> Self {
        Self(Rule::Header { values: values.into_iter().map(Into::into).collect() })
    }

    /// The header's `typ` is `at+jwt`: an access token by RFC 9068.
    #[must_use]
    pub fn at_jwt() -> Self {
        Self::header(["at+jwt"])
    }

    /// The header's `typ` is `JWT` or absent, and there is a `sub` and an `iat`, as OpenID Connect
    /// wants it.
    #[must_use]
    pub const fn oidc_id_token() -> Self {
        Self(Rule::OidcIdToken)
    }

    /// Anything that shows no sign of being an ID token (`nonce`, `at_hash`, `c_hash`, `s_hash`).
    ///
    /// Sound only with an issuer that never issues an ID token for the audience of an access
    /// token: then the audience alone keeps them apart. Never use it where the two are the same.
    #[must_use]
    pub const fn audience_alone() -> Self {
        Self(Rule::AudienceAlone)
    }

    pub(crate) fn judge(&self, typ: Option<&str>, claims: &Claims<'_>) -> Result<(), Reason> {
        let bare = |typ: &str| -> String {
            let lower = typ.to_ascii_lowercase();
            lower.strip_prefix("application/").map(String::from).unwrap_or(lower)
        };
        let right = match &self.0 {
            Rule::Claim { name, values } => match claims.named(name) {
                Some(Value::String(text)) => values.iter().any(|value| value == text),
                Some(_) if name == Claim::Type.name() => {
                    return Err(Reason::ClaimMalformed(Claim::Type));
                }
                _ => false,
            },
            Rule::Header { values } => typ.is_some_and(|typ| {
                let typ = bare(typ);
                values.iter().any(|value| bare(value) == typ)
            }),
            Rule::OidcIdToken => {
                typ.is_none_or(|typ| bare(typ) == "jwt") && claims.has("sub") && claims.has("iat")
            }
            Rule::AudienceAlone => {
                !["nonce", "at_hash", "c_hash", "s_hash"].iter().any(|name| claims.has(name))
            }
        };
        if right { Ok(()) } else { Err(Reason::TokenType) }
    }

    /// Whether a claim that `other` does not read says that this kind of token is meant: `other` may
    /// go by so little that it would take the token as well.
    pub(crate) fn claims_besides(&self, other: &Self, claims: &Claims<'_>) -> bool {
        match (&self.0, &other.0) {
            (Rule::Claim { name, .. }, Rule::Claim { name: read, .. }) if name == read => false,
            (Rule::Claim { name, values }, _) => match claims.named(name) {
                Some(Value::String(text)) => values.iter().any(|value| value == text),
                _ => false,
            },
            _ => false,
        }
    }
}
