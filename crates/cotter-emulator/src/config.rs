//! What the protocol page leaves open, as switches.

use core::time::Duration;

/// The API key id of an emulator that is told none.
pub const DEFAULT_API_KEY_ID: &str = "7d0c6a52-5d0e-4c0f-9a57-2b1f5f6a1c01";

/// What a refresh does with the refresh token it was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Rotation {
    /// A new one replaces it at once.
    Strict,
    /// It stays, and the answer has none.
    None,
    /// A new one replaces it; for this long the old one still answers the same successor.
    Grace(Duration),
}

/// What the presentation of a superseded refresh token brings about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnReuse {
    /// A rejection, no more.
    Reject,
    /// A rejection, and the whole family is dead.
    RevokeFamily,
}

/// The claims of a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Profile {
    /// April 2020: no `kid`, no `jti`, `sub` begins with `USER:`.
    V2020_04,
    /// August 2020, as observed: `auth_time` is Go's zero time, no `identifier` in the access token.
    V2020_08,
    /// The newest docs: `type` is `access_token`, `identifier` is there.
    Latest,
}

/// The body of a rejected refresh.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RejectBody {
    /// `{"msg","type"}`.
    Json,
    /// Nothing.
    Empty,
    /// A page, as of a proxy.
    Html,
    /// JSON `null`.
    Null,
}

/// How `DELETE /token/{key}` learns which session to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DeleteToken {
    /// By the cookie alone.
    Cookie,
    /// By the cookie, else by `refresh_token` in the body.
    Body,
    /// Not at all: 200 and nothing is revoked.
    Ignore,
}

/// How an emulator behaves. Each default is the protocol page's.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// Address to listen at; port 0 takes a free one.
    pub listen: String,
    /// The project's public id.
    pub api_key_id: String,
    /// `iss` of both JWTs.
    pub issuer: String,
    /// Life of access and ID tokens, rounded up to whole seconds.
    pub access_ttl: Duration,
    /// Life of a refresh-token family.
    pub refresh_ttl: Duration,
    /// Whether each refresh begins `refresh_ttl` anew.
    pub refresh_sliding: bool,
    /// What a refresh does with the token it was given.
    pub rotation: Rotation,
    /// How long each refresh is in hand before it is processed, so that requests can overlap.
    pub hold: Duration,
    /// Whether a replay within the grace gets a successor of its own instead of the same one.
    pub grace_new_successor: bool,
    /// What a replay outside the grace brings about.
    pub on_reuse: OnReuse,
    /// The claims of a time.
    pub profile: Profile,
    /// `expires_in` to say, whatever `exp - iat` is.
    pub expires_in: Option<i64>,
    /// Status of a rejected refresh.
    pub reject_status: u16,
    /// Body of a rejected refresh.
    pub reject_body: RejectBody,
    /// `msg` of a rejected refresh.
    pub reject_msg: String,
    /// Whether the cookie wins over the body where both name a refresh token.
    pub cookie_wins: bool,
    /// Whether the signing key stands first in the JWKS.
    pub active_key_first: bool,
    /// Whether JWKs have `alg` and `use`.
    pub jwks_alg_use: bool,
    /// Key id of the first signing key, for clients that hard-code one.
    pub kid: Option<String>,
    /// Whether an unknown user is a 404 instead of an all-zero id.
    pub unknown_user_404: bool,
    /// Whether tokens come without `oauth_token=true`.
    pub always_tokens: bool,
    /// How a sign-out names its session.
    pub delete_token: DeleteToken,
    /// Life of an authorization code.
    pub code_ttl: Duration,
    /// Whether a failed exchange leaves the code usable.
    pub code_survives_failure: bool,
    /// Life of a pending event.
    pub event_ttl: Duration,
    /// Whether events of a `user_id` have an empty `client_user_id` and are signed with `user_id`.
    pub event_blank_client_id: bool,
    /// Where a login may return to: prefixes. Empty: loopback and custom schemes.
    pub allowed_redirects: Vec<String>,
    /// Whether each request is one line on standard error.
    pub log: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:0".into(),
            api_key_id: DEFAULT_API_KEY_ID.into(),
            issuer: "https://www.cotter.app".into(),
            access_ttl: Duration::from_secs(3600),
            refresh_ttl: Duration::from_secs(30 * 86_400),
            refresh_sliding: false,
            rotation: Rotation::Strict,
            hold: Duration::ZERO,
            grace_new_successor: false,
            on_reuse: OnReuse::Reject,
            profile: Profile::V2020_08,
            expires_in: None,
            reject_status: 400,
            reject_body: RejectBody::Json,
            reject_msg: "Refresh token is not valid".into(),
            cookie_wins: false,
            active_key_first: false,
            jwks_alg_use: true,
            kid: None,
            unknown_user_404: false,
            always_tokens: false,
            delete_token: DeleteToken::Cookie,
            code_ttl: Duration::from_secs(300),
            code_survives_failure: false,
            event_ttl: Duration::from_secs(180),
            event_blank_client_id: false,
            allowed_redirects: Vec::new(),
            log: false,
        }
    }
}

macro_rules! with {
    ($($with:ident $field:ident: $type:ty;)*) => {
        impl Config {
            $(
                #[doc = concat!("Sets [`", stringify!($field), "`](Self::", stringify!($field), ").")]
                #[must_use]
                pub fn $with(mut self, $field: impl Into<$type>) -> Self {
                    self.$field = $field.into();
                    self
                }
            )*
        }
    };
}

with! {
    with_listen listen: String;
    with_api_key_id api_key_id: String;
    with_issuer issuer: String;
    with_access_ttl access_ttl: Duration;
    with_refresh_ttl refresh_ttl: Duration;
    with_refresh_sliding refresh_sliding: bool;
    with_rotation rotation: Rotation;
    with_hold hold: Duration;
    with_grace_new_successor grace_new_successor: bool;
    with_on_reuse on_reuse: OnReuse;
    with_profile profile: Profile;
    with_expires_in expires_in: Option<i64>;
    with_reject_status reject_status: u16;
    with_reject_body reject_body: RejectBody;
    with_reject_msg reject_msg: String;
    with_cookie_wins cookie_wins: bool;
    with_active_key_first active_key_first: bool;
    with_jwks_alg_use jwks_alg_use: bool;
    with_kid kid: Option<String>;
    with_unknown_user_404 unknown_user_404: bool;
    with_always_tokens always_tokens: bool;
    with_delete_token delete_token: DeleteToken;
    with_code_ttl code_ttl: Duration;
    with_code_survives_failure code_survives_failure: bool;
    with_event_ttl event_ttl: Duration;
    with_event_blank_client_id event_blank_client_id: bool;
    with_allowed_redirects allowed_redirects: Vec<String>;
    with_log log: bool;
}
