//! `cotter import`: stores what a login returned.

use std::path::Path;
use std::process::ExitCode;

use cotter::OAuthToken;

use super::{input, status};
use crate::failure::Failure;
use crate::output;
use crate::settings::Settings;
use crate::world::World;

pub(super) fn run(settings: &Settings, file: Option<&Path>) -> Result<ExitCode, Failure> {
    // What is wrong with the set-up is said before anybody pastes a secret.
    settings.provider()?;
    let json = input::read(settings, file, "the login response")?;
    let tokens = OAuthToken::parse(&json).map_err(|error| {
        Failure::from(error)
            .with_hint("give the login response, or the oauth_token object in it, as JSON")
    })?;
    // Nothing is made on disk for a set that will be refused anyway.
    check(settings, &tokens)?;
    let world = World::create(settings)?;
    let session = world.session()?;
    session.sign_in(tokens).map_err(refused)?;
    let report = status::Report::new(settings, &session.status()?, world.place)?;
    output::answer(settings, &report, || report.signed_in_text())
}

fn check(settings: &Settings, tokens: &OAuthToken) -> Result<(), Failure> {
    let scratch = cotter::blocking::Session::builder(settings.provider()?)
        .store(cotter::store::Memory::new())
        .transport(crate::world::Nowhere)
        .build()?;
    scratch.sign_in(tokens.duplicate()).map_err(refused)
}

fn refused(error: cotter::Error) -> Failure {
    let config = error.kind() == cotter::ErrorKind::Config;
    let failure = Failure::from(error);
    if config {
        failure.with_hint("nothing was changed; import a newer login response of this API key id")
    } else {
        failure
    }
}
