//! Whether a set of tokens belongs here (rule 4, protocol page 5.A.9).

use core::fmt;

use crate::claims::{Peek, peek};
use crate::token::OAuthToken;

/// Why a set of tokens is not handed out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Unfit {
    /// There is no access token in it.
    NoAccessToken,
    /// It belongs to another user than the one who is signed in.
    OtherUser,
    /// It was issued for another client.
    OtherAudience,
    /// A token that has to be a JWT is none.
    NotAJwt,
    /// Its tokens belong to two users.
    MixedUsers,
    /// An ID token stands in place of the access token, or the other way round.
    WrongType,
    /// The session's verifier did not find the server's signature on it.
    Unverified,
}

impl Unfit {
    /// The number under which it is stored.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::NoAccessToken => 1,
            Self::OtherUser => 2,
            Self::OtherAudience => 3,
            Self::NotAJwt => 4,
            Self::MixedUsers => 5,
            Self::WrongType => 6,
            Self::Unverified => 7,
        }
    }

    /// What is stored under this number.
    #[must_use]
    pub const fn from_code(code: u8) -> Option<Self> {
        match code {
            1 => Some(Self::NoAccessToken),
            2 => Some(Self::OtherUser),
            3 => Some(Self::OtherAudience),
            4 => Some(Self::NotAJwt),
            5 => Some(Self::MixedUsers),
            6 => Some(Self::WrongType),
            7 => Some(Self::Unverified),
            _ => None,
        }
    }
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoAccessToken => "there is no access token in it",
            Self::OtherUser => "it belongs to another user than the one who is signed in",
            Self::OtherAudience => "it was issued for another project or client",
            Self::NotAJwt => "one of its tokens is not a JWT",
            Self::MixedUsers => "its tokens belong to two different users",
            Self::WrongType => "an ID token and an access token stand in each other's place",
            Self::Unverified => "it is not signed as this provider's tokens are",
        })
    }
}

/// The tokens of a set, looked into.
struct Set {
    access: Option<Peek>,
    id: Option<Peek>,
}

impl Set {
    fn of(set: &OAuthToken) -> Self {
        Self {
            access: set.access_token().map(|token| peek(token.expose())),
            id: set.id_token().map(|token| peek(token.expose())),
        }
    }

    fn users(&self) -> (Option<&str>, Option<&str>) {
        (
            self.access.as_ref().and_then(|peek| peek.user_id.as_deref()),
            self.id.as_ref().and_then(|peek| peek.user_id.as_deref()),
        )
    }

    /// Whose tokens they are comes first: a set of another user ends all exchanges. Where the two
    /// need not know the user by `one_name`, one of them has to know the stored one.
    fn check_user(&self, one_name: bool, stored: Option<&str>) -> Result<(), Unfit> {
        let (access, id) = self.users();
        if one_name && access.is_some() && id.is_some() && access != id {
            return Err(Unfit::MixedUsers);
        }
        let named = access.is_some() || id.is_some();
        match stored {
            Some(_) if named && access != stored && id != stored => Err(Unfit::OtherUser),
            _ => Ok(()),
        }
    }
}

/// Cotter's tokens are both JWTs, of one user, for this API key id.
pub(crate) fn cotter(set: &OAuthToken, api_key: &str, stored: Option<&str>) -> Result<(), Unfit> {
    let set = Set::of(set);
    set.check_user(true, stored)?;
    let access = set.access.as_ref().ok_or(Unfit::NoAccessToken)?;
    of_cotter(access, api_key, &["client_id_token", "id_token"])?;
    match &set.id {
        Some(id) => of_cotter(id, api_key, &["client_access_token", "access_token"]),
        None => Ok(()),
    }
}

fn of_cotter(token: &Peek, api_key: &str, wrong_types: &[&str]) -> Result<(), Unfit> {
    if !token.is_jwt {
        return Err(Unfit::NotAJwt);
    }
    // Only the other token's names are wrong; a name nobody has heard of is none (protocol page 5.5).
    if token.token_type.as_deref().is_some_and(|name| wrong_types.contains(&name)) {
        return Err(Unfit::WrongType);
    }
    if is_for(token, api_key) { Ok(()) } else { Err(Unfit::OtherAudience) }
}

/// An OAuth access token is nobody's business but the resource server's: it may be opaque, and its
/// `sub` may be another than the ID token's unless it is addressed to this client. The ID token is
/// addressed to it (OpenID Connect Core, 2 and 12.2).
pub(crate) fn oauth2(set: &OAuthToken, client: &str, stored: Option<&str>) -> Result<(), Unfit> {
    let set = Set::of(set);
    let speaks_to_us = set.access.as_ref().is_some_and(|access| is_for(access, client));
    set.check_user(speaks_to_us, stored)?;
    if set.access.is_none() {
        return Err(Unfit::NoAccessToken);
    }
    match &set.id {
        Some(id) if id.is_jwt && !is_for(id, client) => Err(Unfit::OtherAudience),
        _ => Ok(()),
    }
}

/// Whether the access token is a JWT for this client, and so the client's to look into.
pub(crate) fn speaks_to(set: &OAuthToken, client: &str) -> bool {
    set.access_token().is_some_and(|token| is_for(&peek(token.expose()), client))
}

fn is_for(token: &Peek, audience: &str) -> bool {
    token.audiences.iter().any(|one| one == audience)
}

#[cfg(test)]
#[path = "fit_tests.rs"]
mod tests;
