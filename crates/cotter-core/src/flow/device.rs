//! Trusted devices: enrolment, silent sign-in, and approvals.

use alloc::string::{String, ToString as _};
use alloc::sync::Arc;
use core::time::Duration;

use super::ask::ask;
use super::{Context, and_then, done, plausible};
use crate::device::{
    APPROVED, Device, DeviceEvent, DeviceSeed, Ed25519, Forgotten, Kept, LOGIN, METHOD, REFUSED,
    Standing, signed_text,
};
use crate::error::{Error, ErrorKind};
use crate::provider::Provider;
use crate::revision::{Lineage, Revision};
use crate::step::{Ask, Remove, Save, Step};
use crate::store::{Expected, Loaded, StoreError, StoreErrorKind, Swap};
use crate::time::Now;
use crate::token::OAuthToken;
use crate::wire::device::{self as wire, Proof};

/// How often a pending event is asked for (protocol page 2.9).
const POLL: Duration = Duration::from_secs(1);

type Flow<T> = Step<Result<T, Error>>;

/// What an enrolment needs beside the context.
#[derive(Debug)]
#[expect(clippy::exhaustive_structs, reason = "sessions build it")]
pub struct Enrolment {
    /// Whose device this machine becomes.
    pub user_id: String,
    /// What the user will know it by.
    pub name: String,
    /// A key drawn at random, for a machine that has none yet.
    pub seed: DeviceSeed,
    /// Random bytes that name the record of a new key.
    pub lineage: Lineage,
}

/// Begins to enrol this machine as a trusted device.
///
/// The key is durable before the server hears of it. An enrolment that was cut off is taken up with the same
/// key: the server is asked first whether it has it. A lost answer is uncertain, and enrolling again
/// resolves it. `Config` if the key that is kept is another user's.
pub fn enroll_device(
    cx: &Context,
    by: Arc<dyn Ed25519>,
    enrolment: Enrolment,
    now: Now,
) -> Flow<Device> {
    if let Err(error) = plausible(now).and_then(|()| cotter_only(&cx.provider)) {
        return done(Err(error));
    }
    let Enrolment { user_id, name, seed, lineage } = enrolment;
    let desk = Desk { cx: cx.clone(), by };
    and_then(desk.load(now), now, move |now, found| match found {
        Some((kept, revision)) if kept.user_id == user_id => {
            desk.take_up(now, kept, revision, name)
        }
        Some(_) => done(Err(Error::config(
            "this machine is another user's trusted device already; forget that first",
        ))),
        None => {
            let kept = Kept { seed, user_id, enrolled: false };
            let new = Revision::first(lineage);
            let save = desk.save(&kept, Expected::Absent, new);
            and_then(save, now, move |now, ()| desk.offer(now, kept, new, name))
        }
    })
}

/// Begins to look whether this machine is a trusted device; no network.
pub fn device(cx: &Context, by: Arc<dyn Ed25519>, now: Now) -> Flow<Option<Device>> {
    let desk = Desk { cx: cx.clone(), by };
    and_then(desk.load(now), now, move |_, found| {
        done(Ok(found.map(|(kept, _)| Device::of(&kept, &*desk.by))))
    })
}

/// Begins to ask the server whether it has this machine's key.
pub fn device_standing(cx: &Context, by: Arc<dyn Ed25519>, now: Now) -> Flow<Standing> {
    let desk = Desk { cx: cx.clone(), by };
    and_then(desk.load(now), now, move |now, found| match found {
        None => done(Ok(Standing::NoKey)),
        Some((kept, _)) => and_then(desk.is_enrolled(&kept, now), now, |_, known| {
            done(Ok(if known { Standing::Known } else { Standing::Unknown }))
        }),
    })
}

/// Begins a sign-in by this machine's key, without asking the user. Ends with the tokens, checked
/// and stored nowhere yet.
///
/// `Config` if this machine is no enrolled device, `Denied` if the server does not take its key any more.
pub fn sign_in_by_device(cx: &Context, by: Arc<dyn Ed25519>, now: Now) -> Flow<OAuthToken> {
    if let Err(error) = plausible(now) {
        return done(Err(error));
    }
    let desk = Desk { cx: cx.clone(), by };
    and_then(desk.load(now), now, move |now, found| {
        let Some((kept, _)) = found.filter(|(kept, _)| kept.enrolled) else {
            return done(Err(Error::config("this machine is no trusted device; enrol it first")));
        };
        let at = now.wall.as_unix_seconds().to_string();
        let provider = &desk.cx.provider;
        let text = signed_text(&kept.user_id, provider.client_id(), LOGIN, &at, METHOD, APPROVED);
        let call = desk
            .proven(&kept, &text, |proof| wire::create(provider, &kept.user_id, LOGIN, &at, proof));
        let (provider, user) = (Arc::clone(provider), kept.user_id);
        ask(&desk.cx, call, now, move |_, answer| {
            granted(&provider, &user, answer?.object("oauth_token").as_ref())
        })
    })
}

/// Begins to ask the user's trusted devices to let this machine in, and waits for their answer.
///
/// `Denied` if one says no, `Unavailable` if none has answered when `patience` has passed.
pub fn request_approval(
    cx: &Context,
    user_id: String,
    patience: Duration,
    now: Now,
) -> Flow<OAuthToken> {
    if let Err(error) = plausible(now).and_then(|()| cotter_only(&cx.provider)) {
        return done(Err(error));
    }
    let at = now.wall.as_unix_seconds().to_string();
    let call = wire::create_pending(&cx.provider, &user_id, LOGIN, &at);
    let asked = ask(cx, call, now, |_, answer| DeviceEvent::read(&answer?));
    let waiting = Waiting { cx: cx.clone(), user_id, until: now.boot.saturating_add(patience) };
    and_then(asked, now, move |now, event| {
        if event.user_id != waiting.user_id || event.event != LOGIN || event.timestamp != at {
            return done(Err(Error::protocol("the server answered with another event")));
        }
        waiting.pause(now, event.id)
    })
}

/// Begins to look what waits for this user's trusted devices.
pub fn pending_approval(cx: &Context, user_id: &str, now: Now) -> Flow<Option<DeviceEvent>> {
    if let Err(error) = cotter_only(&cx.provider) {
        return done(Err(error));
    }
    ask(cx, wire::newest(&cx.provider, user_id), now, |_, answer| {
        let answer = answer?;
        if answer.get("ID").is_none() {
            return Ok(None);
        }
        DeviceEvent::read(&answer).map(|event| Some(event).filter(|event| event.waiting))
    })
}

/// Begins to let in who asked by an event, signed by this machine's key.
///
/// `Config` if this machine is no enrolled device of the event's user.
pub fn approve(cx: &Context, by: Arc<dyn Ed25519>, event: DeviceEvent, now: Now) -> Flow<()> {
    respond(cx, by, event, true, now)
}

/// Begins to turn away who asked by an event, signed by this machine's key.
///
/// `Config` as for [`approve`].
pub fn refuse(cx: &Context, by: Arc<dyn Ed25519>, event: DeviceEvent, now: Now) -> Flow<()> {
    respond(cx, by, event, false, now)
}

fn respond(
    cx: &Context,
    by: Arc<dyn Ed25519>,
    event: DeviceEvent,
    approve: bool,
    now: Now,
) -> Flow<()> {
    let desk = Desk { cx: cx.clone(), by };
    and_then(desk.load(now), now, move |now, found| {
        let own = |kept: &Kept| kept.enrolled && kept.user_id == event.user_id;
        let Some((kept, _)) = found.filter(|(kept, _)| own(kept)) else {
            return done(Err(Error::config("this machine is no trusted device of that user")));
        };
        let provider = &desk.cx.provider;
        let DeviceEvent { user_id, event: name, timestamp, method, .. } = &event;
        let answer = if approve { APPROVED } else { REFUSED };
        let text = signed_text(user_id, provider.client_id(), name, timestamp, method, answer);
        let call =
            desk.proven(&kept, &text, |proof| wire::respond(provider, &event, proof, approve));
        ask(&desk.cx, call, now, move |_, answer| {
            let taken = DeviceEvent::read(&answer?)?;
            if taken.waiting || taken.approved != approve {
                return Err(Error::protocol("the server did not take the answer"));
            }
            Ok(())
        })
    })
}

/// Begins to forget this machine's key: at the server if it can be reached, here in any case, even a key
/// that cannot be read any more; one that a newer version wrote stays.
pub fn forget_device(cx: &Context, by: Arc<dyn Ed25519>, now: Now) -> Flow<Forgotten> {
    let desk = Desk { cx: cx.clone(), by };
    and_then(desk.find(), now, move |now, found| {
        let Some((kept, revision)) = found else { return done(Ok(Forgotten::NoKey)) };
        let kept = match kept {
            Ok(kept) => kept,
            Err(error) if error.kind() == StoreErrorKind::TooNew => {
                return done(Err(error.into()));
            }
            Err(_) => {
                return and_then(desk.remove(revision), now, |_, ()| done(Ok(Forgotten::HereOnly)));
            }
        };
        let public = Device::of(&kept, &*desk.by).public_key;
        let call = wire::change(&desk.cx.provider, &kept.user_id, &public, "", false);
        let told = ask(&desk.cx, call, now, |_, answer| Ok(answer.is_ok()));
        and_then(told, now, move |now, told| {
            and_then(desk.remove(revision), now, move |_, ()| {
                done(Ok(if told { Forgotten::Everywhere } else { Forgotten::HereOnly }))
            })
        })
    })
}

fn cotter_only(provider: &Provider) -> Result<(), Error> {
    if provider.is_cotter() {
        return Ok(());
    }
    Err(Error::config("trusted devices are Cotter's; other providers have none"))
}

/// The tokens of an approved event, if they are this user's and this project's.
fn granted(
    provider: &Provider,
    user: &str,
    set: Option<&crate::wire::json::Object<'_>>,
) -> Result<OAuthToken, Error> {
    let set = set.map(OAuthToken::from_object);
    let set = set.ok_or_else(|| Error::protocol("the sign-in by device brought no tokens"))?;
    provider.check(&set, Some(user)).map_err(|unfit| {
        Error::protocol(alloc::format!("the sign-in by device brought odd tokens: {unfit}"))
    })?;
    Ok(set)
}

/// A pending event, asked for once a second.
struct Waiting {
    cx: Context,
    user_id: String,
    until: crate::time::BootTime,
}

impl Waiting {
    fn pause(self, now: Now, id: u64) -> Flow<OAuthToken> {
        if now.boot.saturating_add(POLL) > self.until {
            return done(Err(Error::unavailable(
                "none of the user's trusted devices has answered in time",
                None,
                false,
            )));
        }
        Step::Sleep(Ask::new(POLL, move |now, ()| self.look(now, id)))
    }

    fn look(self, now: Now, id: u64) -> Flow<OAuthToken> {
        let call = wire::poll(&self.cx.provider, id);
        let (provider, user) = (Arc::clone(&self.cx.provider), self.user_id.clone());
        let looked = ask(&self.cx, call, now, move |_, answer| {
            let answer = match answer {
                // One question that was lost costs a second, nothing else.
                Err(error) if matches!(error.kind(), ErrorKind::Unavailable { .. }) => {
                    return Ok(None);
                }
                other => other?,
            };
            let event = DeviceEvent::read(&answer)?;
            match (event.waiting, event.approved) {
                (true, _) => Ok(None),
                (false, false) => {
                    Err(Error::new(ErrorKind::Denied, "a trusted device refused the sign-in"))
                }
                (false, true) => {
                    granted(&provider, &user, answer.object("oauth_token").as_ref()).map(Some)
                }
            }
        });
        and_then(looked, now, move |now, tokens| match tokens {
            Some(tokens) => done(Ok(tokens)),
            None => self.pause(now, id),
        })
    }
}

/// What the flows of this machine's own key share.
#[derive(Clone)]
struct Desk {
    cx: Context,
    by: Arc<dyn Ed25519>,
}

impl Desk {
    fn load(&self, now: Now) -> Flow<Option<(Kept, Revision)>> {
        and_then(self.find(), now, |_, found| {
            done(found.map(|(kept, revision)| Ok((kept?, revision))).transpose())
        })
    }

    /// What is kept, readable or not.
    fn find(&self) -> Flow<Option<(Result<Kept, StoreError>, Revision)>> {
        let key = match self.cx.key.for_device() {
            Ok(key) => key,
            Err(error) => return done(Err(error)),
        };
        Step::Load(Ask::new(key, |_, answer: Result<Option<Loaded>, StoreError>| {
            done(answer.map_err(Error::from).map(|loaded| {
                loaded.map(|Loaded { revision, record }| {
                    (record.and_then(|bytes| Kept::decode(&bytes)), revision)
                })
            }))
        }))
    }

    fn save(&self, kept: &Kept, expected: Expected, new: Revision) -> Flow<()> {
        let key = match self.cx.key.for_device() {
            Ok(key) => key,
            Err(error) => return done(Err(error)),
        };
        let question = Save { key, record: kept.encode(), expected, new };
        Step::Save(Ask::new(question, |_, answer: Result<Swap, StoreError>| done(swapped(answer))))
    }

    fn remove(&self, expected: Revision) -> Flow<()> {
        let key = match self.cx.key.for_device() {
            Ok(key) => key,
            Err(error) => return done(Err(error)),
        };
        let question = Remove { key, expected };
        Step::Remove(Ask::new(question, |_, answer: Result<Swap, StoreError>| {
            done(match answer {
                // Somebody else has removed it.
                Ok(Swap::Conflict { found: None }) => Ok(()),
                answer => swapped(answer),
            })
        }))
    }

    /// Goes on with a key that is kept already.
    fn take_up(self, now: Now, kept: Kept, revision: Revision, name: String) -> Flow<Device> {
        let known = self.is_enrolled(&kept, now);
        and_then(known, now, move |now, known| match known {
            true => self.mark(now, kept, revision),
            false => self.offer(now, kept, revision, name),
        })
    }

    fn is_enrolled(&self, kept: &Kept, now: Now) -> Flow<bool> {
        let public = Device::of(kept, &*self.by).public_key;
        let call = wire::is_enrolled(&self.cx.provider, &kept.user_id, &public);
        ask(&self.cx, call, now, |_, answer| {
            let enrolled = answer?.get("enrolled").map(serde_json::value::RawValue::get);
            match enrolled {
                Some("true") => Ok(true),
                Some("false") => Ok(false),
                _ => Err(Error::protocol("the server does not say whether the device is enrolled")),
            }
        })
    }

    /// Sends the key to the server.
    fn offer(self, now: Now, kept: Kept, revision: Revision, name: String) -> Flow<Device> {
        let public = Device::of(&kept, &*self.by).public_key;
        let call = wire::change(&self.cx.provider, &kept.user_id, &public, &name, true);
        let offered = ask(&self.cx, call, now, |_, answer| answer.map(drop));
        and_then(offered, now, move |now, ()| self.mark(now, kept, revision))
    }

    /// The server has it: that is kept, too.
    fn mark(self, now: Now, mut kept: Kept, revision: Revision) -> Flow<Device> {
        if kept.enrolled {
            return done(Ok(Device::of(&kept, &*self.by)));
        }
        kept.enrolled = true;
        let save = self.save(&kept, Expected::Revision(revision), revision.next());
        and_then(save, now, move |_, ()| done(Ok(Device::of(&kept, &*self.by))))
    }

    /// A call with this machine's signature over `text`.
    fn proven<T>(&self, kept: &Kept, text: &str, call: impl FnOnce(&Proof<'_>) -> T) -> T {
        let public_key = wire::text(&self.by.public_key(&kept.seed));
        let signature = wire::text(&self.by.sign(&kept.seed, text.as_bytes()));
        call(&Proof { public_key: &public_key, signature: &signature })
    }
}

fn swapped(answer: Result<Swap, StoreError>) -> Result<(), Error> {
    match answer? {
        Swap::Done => Ok(()),
        Swap::Conflict { .. } => Err(Error::unavailable(
            "another process changed this machine's device meanwhile; try again",
            None,
            false,
        )),
    }
}
