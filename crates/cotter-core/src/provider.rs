//! Who issues the tokens: a provider as a value.

use alloc::borrow::ToOwned;
use alloc::string::String;
use core::time::Duration;

use http::{Request, Response};

use crate::address::PlainHttp;
use crate::claims::Peek;
use crate::error::Error;
use crate::key::StoreKey;
use crate::secret::{ClientSecret, RefreshToken, SecretBytes};
use crate::time::Timestamp;
use crate::token::OAuthToken;
use crate::verify::Handed;
pub use crate::wire::fit::Unfit;
use crate::wire::{Answer, address, cotter, fit, oauth2};

/// Cotter's public API base and issuer.
const COTTER_API: &str = "https://www.cotter.app/api/v0";
const COTTER_ISSUER: &str = "https://www.cotter.app";

/// The shortest grace that may be declared: requests get a third of it.
const SHORTEST_GRACE: Duration = Duration::from_secs(1);

/// Whether, and how, a provider replaces refresh tokens.
///
/// ```
/// use core::time::Duration;
/// use cotter_core::{Provider, Rotation};
///
/// // A server that answers a repeated refresh with the same tokens for 30 seconds.
/// let provider = Provider::oauth2("https://auth.example/token", "my-app")?
///     .with_rotation(Rotation::Grace(Duration::from_secs(30)));
/// assert_eq!(provider.rotation(), Rotation::Grace(Duration::from_secs(30)));
/// # Ok::<(), cotter_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Rotation {
    /// The refresh token stays the same.
    None,
    /// Each refresh brings a new one, and the old one is dead at once.
    Strict,
    /// Each refresh brings a new one, and the old one is still answered for this long.
    Grace(Duration),
}

/// How a client says who it is (RFC 6749 section 2.3.1).
#[derive(Debug)]
#[non_exhaustive]
pub enum ClientAuth {
    /// A public client: `client_id` in the body.
    None,
    /// HTTP Basic.
    Basic(ClientSecret),
    /// `client_id` and `client_secret` in the body.
    Post(ClientSecret),
}

impl Clone for ClientAuth {
    fn clone(&self) -> Self {
        match self {
            Self::None => Self::None,
            Self::Basic(secret) => Self::Basic(secret.duplicate()),
            Self::Post(secret) => Self::Post(secret.duplicate()),
        }
    }
}

/// Who issues the tokens: addresses, dialect, client, and what is declared of its rotation.
///
/// ```
/// use core::time::Duration;
/// use cotter_core::{Provider, Rotation};
///
/// let cotter = Provider::cotter("7d0c6a52-5d0e-4c0f-9a57-2b1f5f6a1c01")?;
/// assert_eq!(cotter.rotation(), Rotation::Strict);
///
/// let other = Provider::oauth2("https://auth.example/token", "my-client")?
///     .with_rotation(Rotation::Grace(Duration::from_secs(30)));
/// assert_eq!(other.client_id(), "my-client");
/// # Ok::<(), cotter_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Provider {
    dialect: Dialect,
    /// Cotter: the API base. OAuth: the token endpoint.
    address: String,
    client_id: String,
    auth: ClientAuth,
    rotation: Rotation,
    issuer: Option<String>,
    scope: Option<String>,
    revocation: Option<String>,
    single_token_revocation: bool,
    jwks: Option<String>,
    plain_http: PlainHttp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Dialect {
    Cotter,
    OAuth2,
}

impl Provider {
    /// Cotter, by the API key id of a project; the public service until
    /// [`with_base_url`](Self::with_base_url) says otherwise.
    ///
    /// Declared: rotation without grace, no revocation (protocol page 2.1, 2.2).
    ///
    /// # Errors
    /// `Config` if the id is empty or cannot stand in a header and a path.
    pub fn cotter(api_key_id: &str) -> Result<Self, Error> {
        let fits =
            |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~');
        if api_key_id.is_empty() || api_key_id.len() > 256 || !api_key_id.bytes().all(fits) {
            return Err(Error::config(
                "the API key id must be 1 to 256 letters, digits, hyphens, dots or underscores",
            ));
        }
        if api_key_id.bytes().all(|byte| byte == b'.') {
            return Err(Error::config("the API key id must not consist of dots"));
        }
        Ok(Self {
            dialect: Dialect::Cotter,
            issuer: Some(COTTER_ISSUER.to_owned()),
            ..Self::new(COTTER_API.to_owned(), api_key_id)
        })
    }

    /// Any OAuth 2.0 provider, by its token endpoint (RFC 6749 section 6); a public client unless
    /// [`with_client_auth`](Self::with_client_auth) says otherwise.
    ///
    /// # Errors
    /// `Config` if the endpoint is no https URL (or http to this machine), or the id is empty.
    pub fn oauth2(token_endpoint: &str, client_id: &str) -> Result<Self, Error> {
        if client_id.is_empty() {
            return Err(Error::config("the client id is empty"));
        }
        Ok(Self::new(address::endpoint(token_endpoint, PlainHttp::Loopback)?, client_id))
    }

    fn new(address: String, client_id: &str) -> Self {
        Self {
            dialect: Dialect::OAuth2,
            address,
            client_id: client_id.to_owned(),
            auth: ClientAuth::None,
            rotation: Rotation::Strict,
            issuer: None,
            scope: None,
            revocation: None,
            single_token_revocation: false,
            jwks: None,
            plain_http: PlainHttp::Loopback,
        }
    }

    /// Another server: the API base (`.../api/v0`) of Cotter, the token endpoint of others.
    ///
    /// # Errors
    /// `Config` if it is no https URL; http is allowed to this machine (loopback), and everywhere
    /// after [`danger_allow_plain_http`](Self::danger_allow_plain_http).
    pub fn with_base_url(mut self, url: &str) -> Result<Self, Error> {
        self.address = match self.dialect {
            Dialect::Cotter => address::base(url, self.plain_http)?,
            Dialect::OAuth2 => address::endpoint(url, self.plain_http)?,
        };
        Ok(self)
    }

    /// What is known of the provider's refresh tokens.
    #[must_use]
    pub const fn with_rotation(mut self, rotation: Rotation) -> Self {
        self.rotation = rotation;
        self
    }

    /// Whether what was declared can be kept to; sessions ask when they are built.
    ///
    /// # Errors
    /// `Config` if the grace is below 1 s: a third of it is what a request may take, so that the same
    /// request can be sent again while it lasts. Declare [`Rotation::Strict`] then.
    pub fn validate(&self) -> Result<(), Error> {
        match self.rotation {
            Rotation::Grace(grace) if grace < SHORTEST_GRACE => Err(Error::config(
                "a grace below 1 s leaves no time to send a request twice; declare strict rotation",
            )),
            _ => Ok(()),
        }
    }

    /// How the client says who it is; for OAuth providers. Cotter's API secret belongs to a backend
    /// and is never sent (protocol page 5.3).
    #[must_use]
    pub fn with_client_auth(mut self, auth: ClientAuth) -> Self {
        self.auth = auth;
        self
    }

    /// The issuer, which also names the provider in stores.
    #[must_use]
    pub fn with_issuer(mut self, issuer: &str) -> Self {
        self.issuer = Some(issuer.to_owned());
        self
    }

    /// The scope to ask for at each refresh; for OAuth providers.
    #[must_use]
    pub fn with_scope(mut self, scope: &str) -> Self {
        self.scope = Some(scope.to_owned());
        self
    }

    /// Where refresh tokens are revoked (RFC 7009).
    ///
    /// # Errors
    /// `Config` as for [`with_base_url`](Self::with_base_url), and for Cotter, which revokes by cookie
    /// only (protocol page 2.2).
    pub fn with_revocation_endpoint(mut self, url: &str) -> Result<Self, Error> {
        if self.is_cotter() {
            return Err(Error::config("Cotter revokes by cookie only; it has no such endpoint"));
        }
        self.revocation = Some(address::endpoint(url, self.plain_http)?);
        Ok(self)
    }

    /// Declares that revoking one refresh token leaves the user's other sign-ins alone.
    #[must_use]
    pub const fn with_single_token_revocation(mut self) -> Self {
        self.single_token_revocation = true;
        self
    }

    /// Where the signing keys are (RFC 7517).
    ///
    /// # Errors
    /// `Config` as for [`with_base_url`](Self::with_base_url).
    pub fn with_jwks_uri(mut self, url: &str) -> Result<Self, Error> {
        self.jwks = Some(address::endpoint(url, self.plain_http)?);
        Ok(self)
    }

    /// Allows addresses given after this call to be plain http to other machines: whoever is on the
    /// way reads the tokens. The transport has to be told as well.
    #[must_use]
    pub const fn danger_allow_plain_http(mut self) -> Self {
        self.plain_http = PlainHttp::Anywhere;
        self
    }

    /// What is declared of the provider's refresh tokens.
    #[must_use]
    pub const fn rotation(&self) -> Rotation {
        self.rotation
    }

    /// The client id; Cotter's API key id.
    #[must_use]
    pub fn client_id(&self) -> &str {
        &self.client_id
    }

    /// The API base of Cotter, the token endpoint of others.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The issuer, where it is known.
    #[must_use]
    pub fn issuer(&self) -> Option<&str> {
        self.issuer.as_deref()
    }

    /// Whether this is Cotter's dialect.
    #[must_use]
    pub fn is_cotter(&self) -> bool {
        self.dialect == Dialect::Cotter
    }

    /// The key under which `session` is stored: for Cotter by the API base, for others by the
    /// issuer, else the token endpoint.
    ///
    /// # Errors
    /// `Config` if the name is too long or the issuer no URL.
    pub fn store_key(&self, session: &str) -> Result<StoreKey, Error> {
        let address = match (self.dialect, &self.issuer) {
            (Dialect::OAuth2, Some(issuer)) => issuer,
            _ => &self.address,
        };
        if address.contains('?') {
            return Err(Error::config(
                "a token endpoint with a query cannot name a session; declare the issuer",
            ));
        }
        StoreKey::new(address, &self.client_id, session)
    }

    /// The request that spends this refresh token.
    ///
    /// Cotter: `POST {API}/token/{API_KEY_ID}` with a JSON body (protocol page 2.1). OAuth: a form
    /// (RFC 6749 section 6). The user agent is the transport's to add.
    #[must_use]
    pub fn refresh_request(&self, token: &RefreshToken) -> Request<SecretBytes> {
        match self.dialect {
            Dialect::Cotter => cotter::refresh(&self.address, &self.client_id, token),
            Dialect::OAuth2 => oauth2::refresh(
                &self.address,
                &self.client_id,
                &self.auth,
                self.scope.as_deref(),
                token,
            ),
        }
    }

    /// What an answer to it means for the refresh token that was sent. `secrets` are cut out of what
    /// the server said: that token and all others that the record holds.
    ///
    /// A 2xx is [`Granted`](Answer::Granted) if it is a JSON object at all, even one without an
    /// access token: whatever refresh token is in it must not be lost.
    #[must_use]
    pub fn judge(&self, response: &Response<SecretBytes>, secrets: &[&str]) -> Answer {
        self.judge_at(response, secrets, None)
    }

    /// As [`judge`](Self::judge), by a clock for a `Retry-After` whose answer has no `Date`.
    pub(crate) fn judge_at(
        &self,
        response: &Response<SecretBytes>,
        secrets: &[&str],
        now: Option<Timestamp>,
    ) -> Answer {
        match self.dialect {
            Dialect::Cotter => cotter::judge(response, secrets, now),
            Dialect::OAuth2 => {
                let secret = match &self.auth {
                    ClientAuth::None => None,
                    ClientAuth::Basic(secret) | ClientAuth::Post(secret) => Some(secret.expose()),
                };
                oauth2::judge(response, secrets, secret, now)
            }
        }
    }

    /// The request that revokes this refresh token, where the provider can (RFC 7009).
    #[must_use]
    pub fn revoke_request(&self, token: &RefreshToken) -> Option<Request<SecretBytes>> {
        let endpoint = self.revocation.as_deref()?;
        Some(oauth2::revoke(endpoint, &self.client_id, &self.auth, token))
    }

    /// Whether revoking one refresh token leaves the user's other sign-ins alone.
    #[must_use]
    pub const fn revokes_single_tokens(&self) -> bool {
        self.single_token_revocation
    }

    /// The request for the signing keys, where they can be had; it needs no key and no token.
    #[must_use]
    pub fn jwks_request(&self) -> Option<Request<SecretBytes>> {
        match (self.dialect, &self.jwks) {
            (_, Some(url)) => Some(cotter::get(url)),
            (Dialect::Cotter, None) => {
                Some(cotter::get(&alloc::format!("{}/token/jwks", self.address)))
            }
            (Dialect::OAuth2, None) => None,
        }
    }

    /// What of a set is this client's to verify: the ID token, and an access token addressed to it.
    /// Cotter's always is (protocol page 3.2); others address theirs to resource servers.
    pub(crate) fn handed(&self, set: &OAuthToken) -> Handed {
        let ours = self.is_cotter() || fit::speaks_to(set, &self.client_id);
        Handed::new(set.access_token().filter(|_| ours).cloned(), set.id_token().cloned())
    }

    /// Whether an access token is this client's to look into; see [`check`](Self::check).
    pub(crate) fn may_look_into(&self, access: &Peek) -> bool {
        self.is_cotter() || access.audiences.contains(&self.client_id)
    }

    /// Whether a set belongs to this client and to one user; `stored_user` is who is signed in, as
    /// [`AccessClaims::user_id`](crate::AccessClaims::user_id) reads it.
    ///
    /// Cotter's tokens must both be JWTs for this API key id. An OAuth access token may be opaque,
    /// and is compared with the ID token only if it is addressed to this client: for a resource
    /// server of its own, a provider may give the user another `sub`.
    ///
    /// # Errors
    /// The first thing that does not fit.
    pub fn check(&self, set: &OAuthToken, stored_user: Option<&str>) -> Result<(), Unfit> {
        match self.dialect {
            Dialect::Cotter => fit::cotter(set, &self.client_id, stored_user),
            Dialect::OAuth2 => fit::oauth2(set, &self.client_id, stored_user),
        }
    }
}
