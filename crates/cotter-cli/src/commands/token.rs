//! `cotter token`: one token and a newline, nothing else.

use core::time::Duration;
use std::process::ExitCode;

use cotter::blocking::Session;
use cotter::{AccessToken, Clock as _, IdToken, SystemClock};

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
    let granted = match which {
        Which::Refresh => {
            output::secret_line(session.refresh_token()?.expose())?;
            return Ok(ExitCode::SUCCESS);
        }
        Which::Access => access(&session, min_ttl, force).map(|token| token.expose().to_owned()),
        Which::Id => id(&session, min_ttl, force).map(|token| token.expose().to_owned()),
    };
    world.progress.done();
    // A token is good whether or not it could be stored; that it could not is said all the same.
    let durable = world.make_durable(&session);
    let token = zeroize::Zeroizing::new(granted.map_err(|failure| match failure.code {
        Code::Config if min_ttl.is_some() => failure.with_hint("ask for less with --min-ttl"),
        _ => failure,
    })?);
    output::secret_line(&token)?;
    durable.map(|()| ExitCode::SUCCESS)
}

pub(super) fn access(
    session: &Session,
    min_ttl: Option<Duration>,
    force: bool,
) -> Result<AccessToken, Failure> {
    if force {
        session.refresh()?;
    }
    Ok(match min_ttl {
        Some(span) => session.access_token_valid_for(span)?,
        None => session.access_token()?,
    })
}

fn id(session: &Session, min_ttl: Option<Duration>, force: bool) -> Result<IdToken, Failure> {
    if force {
        session.refresh()?;
    }
    let token = session.id_token()?;
    let Some(span) = min_ttl else { return Ok(token) };
    let wanted = SystemClock::new().now().wall.saturating_add(span);
    let ends = token.claims().ok().and_then(|claims| claims.expires_at());
    if force || ends.is_none_or(|ends| ends >= wanted) {
        return Ok(token);
    }
    session.refresh()?;
    Ok(session.id_token()?)
}
