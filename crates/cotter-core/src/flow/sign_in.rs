//! Storing what a login returned: it replaces the whole record, whatever stood there.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::grant::user_of;
use super::{Context, Outcome, Publication, done, plausible};
use crate::claims::peek;
use crate::error::Error;
use crate::life::{Freshness, Life};
use crate::provider::Provider;
use crate::record::{Record, Timed};
use crate::revision::{Lineage, Revision};
use crate::secret::SecretBytes;
use crate::step::{Ask, Save, Step};
use crate::store::{Expected, Loaded, StoreError, StoreErrorKind, Swap};
use crate::time::Now;
use crate::token::OAuthToken;
use crate::view::Memory;

/// How often the record may change under a sign-in.
const ROUNDS: u32 = 20;

/// What a sign-in stores.
#[derive(Debug)]
#[expect(clippy::exhaustive_structs, reason = "sessions build it")]
pub struct SignIn {
    /// The login's tokens, fresh or imported.
    pub tokens: OAuthToken,
    /// Random bytes that name the new lineage.
    pub lineage: Lineage,
}

/// Begins a sign-in (or an import): check the set, then load and swap until it stands.
///
/// The set must belong to this client and to one user, and hold an access token that is usable or
/// can be refreshed; else the flow ends in `Config` and what was stored stays. Who verifies sets lets
/// [`vet`](super::vet) do so before.
pub fn sign_in(cx: Context, sign_in: SignIn, now: Now) -> Step<Outcome> {
    match prepare(&cx, sign_in.tokens, now) {
        Ok(record) => {
            Box::new(Entry { cx, record, new: Revision::first(sign_in.lineage), rounds: 0 }).load()
        }
        Err(error) => done(failed(error)),
    }
}

fn prepare(cx: &Context, set: OAuthToken, now: Now) -> Result<Record, Error> {
    plausible(now)?;
    check(&cx.provider, &set)?;
    let set = set.into_parts();
    let access = set.access_token.ok_or_else(|| Error::config("there is no access token"))?;
    let life = Life::imported(now, &peek(access.expose()), set.expires_in);
    if life.judge(now, &cx.policy) == Freshness::Expired && set.refresh_token.is_none() {
        return Err(Error::config("the access token has ended and there is no refresh token"));
    }
    let mut record = Record {
        seq: 1,
        access: Some(Timed { token: access, life }),
        refresh: set.refresh_token,
        token_type: set.token_type,
        auth_method: set.auth_method,
        scope: set.scope,
        ..Record::default()
    };
    record.id = set.id_token.map(|id| {
        let life = Life::imported(now, &peek(id.expose()), None);
        Timed { token: id, life }
    });
    record.user = user_of(&cx.provider, &record);
    Ok(record)
}

/// The set must belong to this client and to one user.
pub(super) fn check(provider: &Provider, set: &OAuthToken) -> Result<(), Error> {
    provider.check(set, None).map_err(|unfit| {
        Error::config(alloc::format!("these tokens cannot be signed in with: {unfit}"))
    })
}

/// Whether a sign-in may put another record where this one is (rule 13): what cannot be opened here is
/// replaced, except what a newer version wrote.
pub(super) fn replaceable(record: Result<SecretBytes, StoreError>) -> Result<(), StoreError> {
    match record.and_then(|bytes| Record::decode(&bytes)) {
        Err(error) if error.kind() == StoreErrorKind::TooNew => Err(error),
        _ => Ok(()),
    }
}

fn failed(error: Error) -> Outcome {
    Outcome {
        result: Err(error),
        publish: None,
        memory: Memory::default(),
        events: Vec::new(),
        unpersisted: None,
    }
}

struct Entry {
    cx: Context,
    record: Record,
    new: Revision,
    rounds: u32,
}

impl Entry {
    fn load(self: Box<Self>) -> Step<Outcome> {
        Step::Load(Ask::new(
            self.cx.key.clone(),
            move |now, answer: Result<Option<Loaded>, StoreError>| match answer {
                Ok(loaded) => self.loaded(now, loaded),
                Err(error) => done(failed(error.into())),
            },
        ))
    }

    fn loaded(self: Box<Self>, now: Now, loaded: Option<Loaded>) -> Step<Outcome> {
        let Some(Loaded { revision, record }) = loaded else { return self.save(Expected::Absent) };
        if revision == self.new {
            // A save that was cut off had happened.
            return self.signed_in(now);
        }
        match replaceable(record) {
            Ok(()) => self.save(Expected::Revision(revision)),
            Err(error) => done(failed(error.into())),
        }
    }

    fn save(self: Box<Self>, expected: Expected) -> Step<Outcome> {
        let question = Save {
            key: self.cx.key.clone(),
            record: self.record.encode(),
            expected,
            new: self.new,
        };
        Step::Save(Ask::new(question, move |now, answer: Result<Swap, StoreError>| match answer {
            Ok(Swap::Done) => self.signed_in(now),
            Ok(Swap::Conflict { .. }) => self.again(None),
            Err(error) if error.is_uncertain() => self.again(Some(error)),
            Err(error) => done(failed(error.into())),
        }))
    }

    fn again(mut self: Box<Self>, error: Option<StoreError>) -> Step<Outcome> {
        self.rounds += 1;
        if self.rounds < ROUNDS {
            return self.load();
        }
        done(failed(error.map_or_else(
            || Error::unavailable("the session keeps changing in the store", None, false),
            Error::from,
        )))
    }

    fn signed_in(self: Box<Self>, now: Now) -> Step<Outcome> {
        let view = Arc::new(self.cx.view(&self.record, self.new, now, None));
        let memory = Memory { seen: Some((self.new, self.record.seq)), ..Memory::default() };
        let publish = Publication::Signed(Arc::clone(&view));
        Step::Publish(Ask::new(publish.clone(), move |_, ()| {
            done(Outcome {
                result: Ok(view),
                publish: Some(publish),
                memory,
                events: Vec::new(),
                unpersisted: None,
            })
        }))
    }
}
