//! What there is to know about a session without touching the network or showing a token.

use alloc::borrow::ToOwned;
use alloc::string::String;
use core::time::Duration;

use crate::claims::peek;
use crate::life::{Freshness, Life};
use crate::policy::Policy;
use crate::record::{Fingerprint, Record};
use crate::revision::Revision;
use crate::time::{Now, Timestamp};

/// How a session stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum State {
    /// The access token is fresh.
    Fresh,
    /// The access token is usable and should be refreshed.
    Stale,
    /// The access token has ended.
    Expired,
    /// The server refused the refresh token.
    Rejected,
    /// Nothing is stored.
    SignedOut,
}

impl State {
    /// The state as one lower-case word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Fresh => "fresh",
            Self::Stale => "stale",
            Self::Expired => "expired",
            Self::Rejected => "rejected",
            Self::SignedOut => "signed_out",
        }
    }
}

/// A refresh whose outcome is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Pending {
    /// When the refresh token was last sent.
    pub since: Timestamp,
    /// The revision of the record that says so.
    pub revision: Revision,
}

/// What is stored about a session; never a token, and what is unknown is `None`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Status {
    /// Whether asking for a token need not end in "sign-in required".
    pub signed_in: bool,
    /// How the session stands.
    pub state: State,
    /// When the access token ends.
    pub access_expires_at: Option<Timestamp>,
    /// When the ID token ends.
    pub id_expires_at: Option<Timestamp>,
    /// Who the user is: `sub`, without the old `USER:` prefix.
    pub subject: Option<String>,
    /// The user's address, where a token says it (not verified).
    pub identifier: Option<String>,
    /// The revision of the record.
    pub revision: Option<Revision>,
    /// A refresh whose outcome is not known.
    pub pending_rotation: Option<Pending>,
    /// Whether the newest set lives in memory only.
    pub unpersisted: bool,
    /// Whether what the store has acknowledged survives a power cut, as the store itself declares.
    pub durable: bool,
    /// Whether the newest set is not handed out because it failed a check.
    pub held: bool,
}

impl Status {
    /// Nothing is stored.
    #[must_use]
    pub const fn signed_out() -> Self {
        Self {
            signed_in: false,
            state: State::SignedOut,
            access_expires_at: None,
            id_expires_at: None,
            subject: None,
            identifier: None,
            revision: None,
            pending_rotation: None,
            unpersisted: false,
            durable: false,
            held: false,
        }
    }

    pub(crate) fn of(record: &Record, revision: Revision, now: Now, policy: &Policy) -> Self {
        let freshness = record.access.as_ref().map_or(Freshness::Expired, |access| {
            if record.rejected == Some(Fingerprint::of(access.token.expose())) {
                Freshness::Expired
            } else {
                access.life.judge(now, policy)
            }
        });
        let refused = record.standing_refusal(now).is_some();
        let usable = freshness != Freshness::Expired;
        let state = match freshness {
            _ if refused => State::Rejected,
            Freshness::Fresh => State::Fresh,
            Freshness::Stale => State::Stale,
            Freshness::Expired => State::Expired,
        };
        let claims = record.access.as_ref().and_then(|access| access.token.claims().ok());
        let id_claims = record.id.as_ref().and_then(|id| id.token.claims().ok());
        let identifier = id_claims
            .as_ref()
            .and_then(|claims| claims.identifier())
            .or_else(|| claims.as_ref().and_then(|claims| claims.identifier()));
        Self {
            signed_in: usable || (record.refresh.is_some() && !refused),
            state,
            access_expires_at: record
                .access
                .as_ref()
                .map(|access| end(access.token.expose(), &access.life)),
            id_expires_at: record.id.as_ref().map(|id| end(id.token.expose(), &id.life)),
            subject: record.user.clone(),
            identifier: identifier.map(ToOwned::to_owned),
            revision: Some(revision),
            pending_rotation: record
                .journal
                .map(|journal| Pending { since: journal.attempted_at, revision }),
            unpersisted: false,
            durable: false,
            held: record.held.is_some(),
        }
    }
}

/// The token's own `exp` where it and the life agree; else the life, which is what counts here.
fn end(token: &str, life: &Life) -> Timestamp {
    let slack = Duration::from_secs(5);
    match peek(token).expires_at {
        Some(exp)
            if exp.saturating_since(life.ends_at) <= slack
                && life.ends_at.saturating_since(exp) <= slack =>
        {
            exp
        }
        _ => life.ends_at,
    }
}
