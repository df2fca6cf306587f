//! `cotter devices`: this machine as a trusted device, and what waits for its answer.

use std::process::ExitCode;

use cotter::ErrorKind;
use cotter::blocking::{Session, TrustedDevice};
use cotter::device::{DeviceEvent, Forgotten, Signer, Standing};
use serde::Serialize;

use crate::args::Devices;
use crate::failure::{Code, Failure};
use crate::output;
use crate::settings::Settings;
use crate::text;
use crate::world::World;

/// This machine's own key; Cotter shows nobody the keys of their other devices.
#[derive(Debug, Serialize)]
struct Own {
    user_id: String,
    public_key: String,
    enrolled: bool,
    /// Whether the server has it; `None` where that was not asked, or could not be.
    known: Option<bool>,
}

/// What another machine asks for.
#[derive(Debug, Serialize)]
struct Waiting {
    id: u64,
    event: String,
    user_id: String,
    ip: String,
    location: String,
    asked_at: Option<String>,
}

impl Waiting {
    fn new(event: &DeviceEvent) -> Self {
        let at = event.timestamp.parse().ok().map(cotter::Timestamp::from_unix_seconds);
        Self {
            id: event.id,
            event: event.event.clone(),
            user_id: event.user_id.clone(),
            ip: event.ip.clone(),
            location: event.location.clone(),
            asked_at: at.map(text::rfc3339),
        }
    }

    fn to_text(&self) -> String {
        format!(
            "{} {}, asked at {} from {} ({})",
            self.id,
            text::printable(&self.event),
            self.asked_at.as_deref().unwrap_or("an unknown time"),
            text::printable(&self.ip),
            text::printable(&self.location),
        )
    }
}

#[derive(Debug, Serialize)]
struct Listed {
    device: Option<Own>,
    waiting: Option<Waiting>,
}

#[derive(Debug, Serialize)]
struct Answered {
    approved: bool,
    event: Waiting,
}

#[derive(Debug, Serialize)]
struct Gone {
    forgotten: bool,
    /// Whether the server has taken the key out as well.
    at_server: Option<bool>,
}

pub(super) fn run(settings: &Settings, what: Option<Devices>) -> Result<ExitCode, Failure> {
    match what {
        None | Some(Devices::List) => list(settings),
        Some(Devices::Enroll { name }) => {
            let name = name.unwrap_or_else(machine);
            let own = World::need(settings)?.session()?.trusted_device(Signer);
            let device = own.enroll(&name).map_err(no_device)?;
            let answer = Own {
                user_id: device.user_id,
                public_key: device.public_key,
                enrolled: device.enrolled,
                known: Some(true),
            };
            output::answer(settings, &answer, || {
                format!("a trusted device now, known as {}\n", text::printable(&name))
            })
        }
        Some(Devices::Approve { id }) => answer(settings, id, true),
        Some(Devices::Refuse { id }) => answer(settings, id, false),
        Some(Devices::Forget) => forget(settings),
    }
}

/// This machine as a trusted device, where there is a store.
fn here(settings: &Settings) -> Result<Option<TrustedDevice>, Failure> {
    let Some(world) = World::open(settings)? else { return Ok(None) };
    Ok(Some(world.session()?.trusted_device(Signer)))
}

fn list(settings: &Settings) -> Result<ExitCode, Failure> {
    let here = here(settings)?;
    let found = match &here {
        Some(here) => here.find()?,
        None => None,
    };
    let (Some(here), Some(device)) = (here, found) else {
        let nothing = Listed { device: None, waiting: None };
        return output::answer(settings, &nothing, || {
            "this machine is no trusted device; sign in, then: cotter devices enroll\n".to_owned()
        });
    };
    let known = reached(settings, here.standing())?.and_then(|standing| match standing {
        Standing::NoKey => None,
        Standing::Unknown => Some(false),
        Standing::Known => Some(true),
    });
    let waiting = match known {
        Some(true) => reached(settings, here.pending())?.flatten(),
        _ => None,
    };
    let answer = Listed {
        device: Some(Own {
            user_id: device.user_id,
            public_key: device.public_key,
            enrolled: device.enrolled,
            known,
        }),
        waiting: waiting.as_ref().map(Waiting::new),
    };
    output::answer(settings, &answer, || to_text(&answer))
}

/// What is kept here can be told without the server.
fn reached<T>(settings: &Settings, asked: Result<T, cotter::Error>) -> Result<Option<T>, Failure> {
    match asked {
        Ok(answer) => Ok(Some(answer)),
        Err(error) if matches!(error.kind(), ErrorKind::Unavailable { .. }) => {
            output::warn(settings, &format!("the server was not asked: {error}"));
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

fn to_text(listed: &Listed) -> String {
    let Some(own) = &listed.device else { return String::new() };
    let state = match (own.enrolled, own.known) {
        (true, Some(true)) => "trusted",
        (true, None) => "trusted, as far as is known here",
        (true, Some(false)) => "no longer known to the server; forget it, then enroll again",
        (false, _) => "half enrolled; `cotter devices enroll` goes on",
    };
    let mut said = format!(
        "this machine  {state}\nuser          {}\npublic key    {}\n",
        text::printable(&own.user_id),
        own.public_key
    );
    if let Some(waiting) = &listed.waiting {
        said.push_str(&format!("waiting       {}\n", waiting.to_text()));
    }
    said
}

/// Answers what waits; what it is, is said with the answer.
fn answer(settings: &Settings, id: Option<u64>, approve: bool) -> Result<ExitCode, Failure> {
    let here = here(settings)?
        .ok_or_else(|| no_device(cotter::Error::config("this machine is no trusted device")))?;
    let event =
        here.pending().map_err(no_device)?.filter(|event| id.is_none_or(|id| id == event.id));
    let event = event.ok_or_else(|| {
        let what = match id {
            Some(id) => format!("the request {id} does not wait for an answer"),
            None => "nothing waits for an answer".to_owned(),
        };
        Failure::new(Code::Unavailable, what)
            .with_hint("start the sign-in on the other machine, then try again")
    })?;
    let waiting = Waiting::new(&event);
    let told = if approve { here.approve(event) } else { here.refuse(event) };
    told.map_err(no_device)?;
    let answer = Answered { approved: approve, event: waiting };
    output::answer(settings, &answer, || {
        let did = if approve { "approved" } else { "refused" };
        format!("{did}: {}\n", answer.event.to_text())
    })
}

fn forget(settings: &Settings) -> Result<ExitCode, Failure> {
    let forgotten = match here(settings)? {
        Some(here) => here.forget()?,
        None => Forgotten::NoKey,
    };
    let (found, at_server) = match forgotten {
        Forgotten::NoKey => (false, None),
        Forgotten::HereOnly => (true, Some(false)),
        Forgotten::Everywhere => (true, Some(true)),
    };
    let answer = Gone { forgotten: found, at_server };
    output::answer(settings, &answer, || {
        match answer.at_server {
            None => "this machine was no trusted device\n",
            Some(true) => "no trusted device any more\n",
            Some(false) => {
                "the key is gone here; the server could not be told, and only lists it still\n"
            }
        }
        .to_owned()
    })
}

/// Signs in by this machine's key, or asks the user's other devices.
pub(super) fn sign_in(
    settings: &Settings,
    session: &Session,
    identifier: Option<&str>,
    patience: core::time::Duration,
) -> Result<(), Failure> {
    let here = session.trusted_device(Signer);
    let device = here.find()?.filter(|device| device.enrolled);
    let Some(identifier) = identifier else {
        return here.sign_in().map_err(no_device);
    };
    let user = session.find_user(identifier)?.ok_or_else(|| {
        Failure::new(Code::Refused, "the server knows nobody by that name")
            .with_hint("check it, or sign up by `cotter login` without --device")
    })?;
    if device.is_some_and(|device| device.user_id == user.id) {
        return here.sign_in().map_err(no_device);
    }
    output::warn(settings, "asking your trusted devices; approve there");
    Ok(session.request_approval(&user.id, patience)?)
}

/// What to do where a trusted device was needed.
fn no_device(error: cotter::Error) -> Failure {
    let kind = error.kind();
    let failure = Failure::from(error);
    match kind {
        ErrorKind::Config => failure.with_hint(
            "to make it one: sign in by `cotter login`, then `cotter devices enroll`; \
             to ask another device: cotter login --device --email ADDRESS",
        ),
        ErrorKind::Denied => failure.with_hint(
            "`cotter devices` says whether the server knows this machine; \
             forget and enroll again if it does not",
        ),
        _ => failure,
    }
}

/// What the user will know this machine by.
fn machine() -> String {
    let named = std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
    let named = named.or_else(|| std::env::var("COMPUTERNAME").ok());
    let named = named.map(|name| name.trim().to_owned()).filter(|name| !name.is_empty());
    named.unwrap_or_else(|| "a computer".to_owned())
}
