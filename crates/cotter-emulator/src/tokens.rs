//! Refresh-token families: what is issued, rotated, replayed and revoked.

use std::collections::HashMap;

use serde_json::{Value, json};

use crate::claims::{self, Subject};
use crate::clock::{millis, seconds};
use crate::codec::alphanumeric;
use crate::config::{OnReuse, Profile, Rotation};
use crate::options::TokenSetOptions;
use crate::state::Core;

/// One sign-in and all that descends from it.
#[derive(Clone, Debug)]
struct Family {
    user: String,
    auth_method: String,
    auth_time: i64,
    profile: Option<Profile>,
    expires_ms: i64,
    revoked: bool,
    newest: String,
    in_hand: u64,
}

/// One refresh token that was issued.
#[derive(Clone, Debug)]
struct Issued {
    family: u64,
    superseded: Option<Superseded>,
}

#[derive(Clone, Debug)]
struct Superseded {
    at_ms: i64,
    /// The sound set of the rotation, and its life: kept while a grace may want it again.
    answer: Option<(Value, i64)>,
}

/// Every family and every refresh token ever issued.
#[derive(Clone, Debug, Default)]
pub(crate) struct Families {
    families: HashMap<u64, Family>,
    tokens: HashMap<String, Issued>,
    newest_of: HashMap<String, u64>,
    last: u64,
}

/// The first id given is one more.
const FIRST: u64 = 4710;

impl Families {
    pub(crate) fn clear(&mut self) {
        // Ids go on, so that a request from before the reset can't touch a family after it.
        *self = Self { last: self.last, ..Self::default() };
    }

    pub(crate) fn family_of(&self, token: &str) -> Option<u64> {
        self.tokens.get(token).map(|issued| issued.family)
    }

    pub(crate) fn enter(&mut self, id: u64) -> u64 {
        self.families.get_mut(&id).map_or(0, |family| {
            family.in_hand += 1;
            family.in_hand
        })
    }

    pub(crate) fn leave(&mut self, id: u64) {
        if let Some(family) = self.families.get_mut(&id) {
            family.in_hand = family.in_hand.saturating_sub(1);
        }
    }

    fn newest_family(&self, user: &str) -> Option<&Family> {
        self.newest_of.get(user).and_then(|id| self.families.get(id))
    }

    pub(crate) fn newest_token(&self, user: &str) -> Option<&str> {
        self.newest_family(user).map(|family| family.newest.as_str())
    }

    pub(crate) fn is_alive(&self, user: &str, now_ms: i64) -> bool {
        let family = self.newest_family(user);
        family.is_some_and(|family| !family.revoked && now_ms < family.expires_ms)
    }

    /// Ends the family of a refresh token; whether it was alive.
    pub(crate) fn revoke(&mut self, token: &str) -> bool {
        let family = self.family_of(token).and_then(|id| self.families.get_mut(&id));
        family.is_some_and(|family| !core::mem::replace(&mut family.revoked, true))
    }

    fn add(&mut self, family: Family) -> u64 {
        self.last = self.last.max(FIRST) + 1;
        self.newest_of.insert(family.user.clone(), self.last);
        self.families.insert(self.last, family);
        self.last
    }

    /// A new refresh token of the family: its number stays, the rest is new.
    fn mint(&mut self, id: u64) -> String {
        let token = format!("{id}:{}", alphanumeric(50));
        self.tokens.insert(token.clone(), Issued { family: id, superseded: None });
        if let Some(family) = self.families.get_mut(&id) {
            family.newest.clone_from(&token);
        }
        token
    }
}

/// How a request is to be handled, as a fault has it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mode<'a> {
    /// Whether what changes stays: where it doesn't, a refresh shows the token it was sent.
    pub(crate) commit: bool,
    /// What is wrong with the tokens.
    pub(crate) fault: Option<&'a str>,
}

impl Mode<'_> {
    pub(crate) const NORMAL: Self = Self { commit: true, fault: None };
}

/// A refresh token that buys nothing.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rejected;

impl Core {
    /// A new family and its first set.
    pub(crate) fn sign_in(&mut self, options: &TokenSetOptions, mode: Mode<'_>) -> Value {
        let now_ms = self.clock.now_ms();
        let user = self.users.ensure(&options.identifier, now_ms);
        let id = self.families.add(Family {
            user,
            auth_method: options.auth_method.clone().unwrap_or_else(|| "OTP".into()),
            auth_time: now_ms.div_euclid(1000),
            profile: options.profile,
            expires_ms: now_ms.saturating_add(millis(self.config.refresh_ttl)),
            revoked: false,
            newest: String::new(),
            in_hand: 0,
        });
        let token = self.families.mint(id);
        let ttl = seconds(options.access_ttl.unwrap_or(self.config.access_ttl));
        let set = self.issue(id, Some(&token), ttl);
        self.spoilt(set, ttl, mode.fault)
    }

    /// What `presented` buys.
    pub(crate) fn refresh(&mut self, presented: &str, mode: Mode<'_>) -> Result<Value, Rejected> {
        let answer = self.exchange(presented, mode);
        if answer.is_err() {
            self.counters.refused += 1;
        }
        answer
    }

    fn exchange(&mut self, presented: &str, mode: Mode<'_>) -> Result<Value, Rejected> {
        let now_ms = self.clock.now_ms();
        let issued = self.families.tokens.get(presented).ok_or(Rejected)?;
        let id = issued.family;
        let superseded = issued.superseded.as_ref().map(|s| (s.at_ms, s.answer.clone()));
        let family = self.families.families.get_mut(&id).ok_or(Rejected)?;
        if family.revoked || now_ms >= family.expires_ms || self.users.by_id(&family.user).is_none()
        {
            self.counters.reuses += u64::from(superseded.is_some());
            return Err(Rejected);
        }
        let ttl = seconds(self.config.access_ttl);
        if let Some((at_ms, answer)) = superseded {
            let Rotation::Grace(grace) = self.config.rotation else {
                return Err(self.reused(id, mode));
            };
            if now_ms.saturating_sub(at_ms) >= millis(grace) {
                return Err(self.reused(id, mode));
            }
            self.counters.grace_replays += 1;
            let same = answer.filter(|_| !self.config.grace_new_successor);
            let (set, ttl) = match same {
                Some(same) => same,
                None if mode.commit => {
                    let token = self.families.mint(id);
                    (self.issue(id, Some(&token), ttl), ttl)
                }
                None => (self.issue(id, Some(presented), ttl), ttl),
            };
            return Ok(self.spoilt(set, ttl, mode.fault));
        }
        let rotates = self.config.rotation != Rotation::None;
        if !mode.commit {
            let set = self.issue(id, rotates.then_some(presented), ttl);
            return Ok(self.spoilt(set, ttl, mode.fault));
        }
        self.counters.exchanges += 1;
        if self.config.refresh_sliding {
            family.expires_ms = now_ms.saturating_add(millis(self.config.refresh_ttl));
        }
        if !rotates {
            let set = self.issue(id, None, ttl);
            return Ok(self.spoilt(set, ttl, mode.fault));
        }
        let token = self.families.mint(id);
        let set = self.issue(id, Some(&token), ttl);
        // What goes wrong on the way need not go wrong again: the sound set is kept.
        let graceful = matches!(self.config.rotation, Rotation::Grace(_));
        let kept = graceful.then(|| (set.clone(), ttl));
        if let Some(issued) = self.families.tokens.get_mut(presented) {
            issued.superseded = Some(Superseded { at_ms: now_ms, answer: kept });
        }
        Ok(self.spoilt(set, ttl, mode.fault))
    }

    fn reused(&mut self, id: u64, mode: Mode<'_>) -> Rejected {
        self.counters.reuses += 1;
        if mode.commit && self.config.on_reuse == OnReuse::RevokeFamily {
            if let Some(family) = self.families.families.get_mut(&id) {
                family.revoked = true;
            }
        }
        Rejected
    }

    /// The oauth_token object, sound.
    fn issue(&self, id: u64, refresh: Option<&str>, ttl: i64) -> Value {
        let Some(family) = self.families.families.get(&id) else { return Value::Null };
        let Some(user) = self.users.by_id(&family.user) else { return Value::Null };
        let issued_at = self.clock.now_s();
        let subject = Subject {
            user_id: &user.id,
            client_user_id: &user.client_user_id,
            identifier: &user.identifier,
            audience: &self.config.api_key_id,
            issuer: &self.config.issuer,
            auth_method: &family.auth_method,
            auth_time: family.auth_time,
            issued_at,
            expires_at: issued_at.saturating_add(ttl),
            profile: family.profile.unwrap_or(self.config.profile),
        };
        let (access, id_token) = subject.sign(&self.keys);
        let mut set = json!({
            "access_token": access,
            "auth_method": family.auth_method,
            "expires_in": self.config.expires_in.unwrap_or(ttl),
            "id_token": id_token,
            "token_type": "Bearer",
        });
        if let Some(token) = refresh {
            set["refresh_token"] = json!(token);
        }
        set
    }

    /// What a fault makes of a sound set.
    fn spoilt(&self, mut set: Value, ttl: i64, fault: Option<&str>) -> Value {
        let Some(fault) = fault.filter(|_| set.is_object()) else { return set };
        let names = ["access_token", "id_token"];
        let sound = names.map(|name| set.get(name).and_then(Value::as_str).unwrap_or_default());
        let tokens = claims::spoilt(&self.keys, sound, fault);
        for (name, token) in names.into_iter().zip(tokens) {
            set[name] = json!(token);
        }
        spoil(&mut set, fault, ttl);
        set
    }
}

/// What a fault makes of the members of a set.
fn spoil(set: &mut Value, fault: &str, ttl: i64) {
    let Some(object) = set.as_object_mut() else { return };
    match fault {
        "no-access-token" => drop(object.remove("access_token")),
        "no-id-token" => drop(object.remove("id_token")),
        "no-refresh-token" => drop(object.remove("refresh_token")),
        "no-expires-in" => drop(object.remove("expires_in")),
        "null-refresh-token" => drop(object.insert("refresh_token".into(), Value::Null)),
        "empty-refresh-token" => drop(object.insert("refresh_token".into(), json!(""))),
        "string-expires-in" => drop(object.insert("expires_in".into(), json!(ttl.to_string()))),
        "huge-expires-in" => drop(object.insert("expires_in".into(), json!(u64::MAX))),
        "negative-expires-in" => drop(object.insert("expires_in".into(), json!(-1))),
        "expires-in-mismatch" => {
            drop(object.insert("expires_in".into(), json!(ttl.saturating_mul(2).saturating_add(1))))
        }
        "extra-members" => {
            object.insert("scope".into(), json!("access"));
            object.insert("x_unknown".into(), json!({ "deep": [1, null, "two"] }));
        }
        _ => {}
    }
}
