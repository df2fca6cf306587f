//! `cotter token`: one token and a newline, nothing else.

use core::time::Duration;
use std::process::ExitCode;

use cotter::blocking::Session;
use cotter::{AccessToken, Error, ErrorKind, SignInReason};
use zeroize::Zeroizing;

use crate::failure::{Code, Failure};
use crate::output;
use crate::settings::{self, Settings};
use crate::world::World;

/// Which token is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Which {
    Access,
    Id,
    Refresh,
}

pub(super) fn run(
    settings: &Settings,
    which: Which,
    min_ttl: Option<&str>,
    force: bool,
) -> Result<ExitCode, Failure> {
    let min_ttl = min_ttl.map(|given| settings::duration("--min-ttl", given)).transpose()?;
    let world = World::need(settings)?;
    let session = world.session()?;
    if which == Which::Refresh {
        output::secret_line(session.refresh_token().map_err(without_refresh_token)?.expose())?;
        return Ok(ExitCode::SUCCESS);
    }
    let granted = world.rested(|| grant(&session, which, min_ttl, force));
    world.progress.done();
    // A token is good whether or not it could be stored; that it could not is said all the same.
    let durable = world.make_durable(&session);
    let (token, shorter) = granted?;
    if let Some(why) = shorter {
        // That none lives so long, or what is wrong with the set-up, says it by itself.
        let what = match why.code {
            Code::Config => why.message,
            _ => format!("this token does not live as long as was asked for: {}", why.message),
        };
        output::warn(settings, &what);
    }
    output::secret_line(&token)?;
    durable.map(|()| ExitCode::SUCCESS)
}

/// A token that works now.
pub(super) fn access(session: &Session) -> Result<AccessToken, Failure> {
    Ok(session.access_token()?)
}

/// A token, and why it lives shorter than it was to, if so.
type Granted = (Zeroizing<String>, Option<Failure>);

fn grant(
    session: &Session,
    which: Which,
    min_ttl: Option<Duration>,
    force: bool,
) -> Result<Granted, Failure> {
    if force {
        session.refresh().map_err(without_refresh_token)?;
    }
    let Some(span) = min_ttl else { return Ok((usable(session, which)?, None)) };
    let lasting = match which {
        Which::Id => session.id_token_valid_for(span).map(|token| secret(token.expose())),
        _ => session.access_token_valid_for(span).map(|token| secret(token.expose())),
    };
    lasting.map(|token| (token, None)).or_else(|error| {
        if is_refusal(&error) {
            return Err(error.into());
        }
        // Whatever else keeps a longer one away, one that works is handed out.
        let at_hand = session.cached_access_token().filter(|_| which == Which::Access);
        let at_hand = at_hand.map(|token| secret(token.expose()));
        match at_hand.map_or_else(|| usable(session, which), Ok) {
            Ok(token) => Ok((token, Some(without_refresh_token(error)))),
            Err(_) => Err(error.into()),
        }
    })
}

fn usable(session: &Session, which: Which) -> Result<Zeroizing<String>, Error> {
    match which {
        Which::Id => session.id_token().map(|token| secret(token.expose())),
        _ => session.access_token().map(|token| secret(token.expose())),
    }
}

fn secret(token: &str) -> Zeroizing<String> {
    Zeroizing::new(token.to_owned())
}

fn is_refusal(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Denied
            | ErrorKind::SignInRequired(SignInReason::Refused | SignInReason::RotationLost)
    )
}

/// That there is no refresh token says nothing of the access token where nobody asked for that one.
fn without_refresh_token(error: Error) -> Failure {
    match error.kind() {
        ErrorKind::SignInRequired(SignInReason::NoRefreshToken) => {
            Failure::new(Code::SignInRequired, "there is no refresh token")
        }
        _ => error.into(),
    }
}
