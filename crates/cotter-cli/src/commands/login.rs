//! `cotter login`: a person signs in by the hosted page, in a browser.

use core::time::Duration;
use std::io::{self, BufRead as _, IsTerminal as _};
use std::process::ExitCode;
use std::sync::Arc;

use cotter::jwt::SignedObjects;
use cotter::login::{AuthMethod, HostedPage};
use cotter::loopback::{Loopback, Notice};

use super::{devices, status};
use crate::args::Login;
use crate::failure::Failure;
use crate::output;
use crate::settings::{self, Settings};
use crate::signatures;
use crate::world::World;

/// How long a person may take, unless said otherwise.
const PATIENCE: Duration = Duration::from_secs(300);

pub(super) fn run(settings: &Settings, wish: &Login) -> Result<ExitCode, Failure> {
    let page = page(settings, wish)?;
    let patience = settings::positive("--timeout", wish.patience.as_deref(), PATIENCE)?;
    // A store that cannot be made is found before anybody is sent to a browser.
    let world = World::create(settings)?;
    let session = world.session()?;
    if wish.device {
        devices::sign_in(settings, &session, identifier(wish), patience)?;
    } else {
        session.sign_in_with(page, &*agent(wish, patience)?).map_err(not_signed_in)?;
    }
    let report = status::Report::new(settings, &session.status()?, world.place)?;
    output::answer(settings, &report, || report.signed_in_text())
}

fn not_signed_in(error: cotter::Error) -> Failure {
    let kind = error.kind();
    let failure = Failure::from(error);
    match kind {
        cotter::ErrorKind::Denied | cotter::ErrorKind::Unavailable { .. } => {
            failure.with_hint("run cotter login again; nothing that was stored has changed")
        }
        _ => failure,
    }
}

/// The browser, the listener, and standard input for an address that is pasted.
fn agent(wish: &Login, patience: Duration) -> Result<Arc<Loopback>, Failure> {
    let mut builder = Loopback::builder().deadline(patience).tell(|notice| match notice {
        Notice::Link(link) => output::line_to_stderr(&format!("sign in here: {link}")),
        other => output::line_to_stderr(&format!("cotter: {other}")),
    });
    if let Some(port) = wish.port {
        builder = builder.port(port);
    }
    if wish.no_browser {
        builder = builder.no_browser();
    }
    let agent = Arc::new(builder.bind()?);
    if io::stdin().is_terminal() {
        let pasted = Arc::clone(&agent);
        // It ends with the program; without it there is no pasting, nothing else.
        let _ = std::thread::Builder::new().spawn(move || {
            for line in io::stdin().lock().lines().map_while(Result::ok) {
                pasted.paste(&line);
            }
        });
    }
    Ok(agent)
}

fn page(settings: &Settings, wish: &Login) -> Result<HostedPage, Failure> {
    let mut identity = SignedObjects::cotter_with(signatures::backend(), settings.api_key_id()?);
    if let Some(key) = &settings.identity_key {
        identity = identity.public_key(key).map_err(|_| {
            Failure::usage("--identity-key is no Ed25519 key")
                .with_hint("it is 32 bytes in standard base64, as the server shows them")
        })?;
    }
    let mut page = match wish.phone {
        Some(_) => HostedPage::phone(identity),
        None => HostedPage::email(identity),
    };
    if let Some(url) = &settings.login_url {
        page = page.login_url(url)?;
    }
    if wish.magic_link {
        page = page.auth_method(AuthMethod::MagicLink);
    } else if wish.otp {
        page = page.auth_method(AuthMethod::Otp);
    }
    Ok(match identifier(wish) {
        Some(input) => page.input(input).direct_login(),
        None => page,
    })
}

/// Who wants to sign in, if that was said.
fn identifier(wish: &Login) -> Option<&str> {
    wish.phone.as_ref().or(wish.email.as_ref())?.as_deref()
}
