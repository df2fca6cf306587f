//! Sign-ins in progress: challenges sent, and authorization codes to exchange.

use std::collections::HashMap;

use serde_json::{Value, json};

use crate::clock::{millis, rfc3339};
use crate::codec::{alphanumeric, b64, random, s256, six_digits, uuid};
use crate::state::Core;

/// What a client asked the hosted page for.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) redirect_url: String,
    pub(crate) state: String,
    pub(crate) code_challenge: String,
    /// `EMAIL` or `PHONE`.
    pub(crate) kind: String,
    pub(crate) cotter_user_id: Option<String>,
}

/// A code or link that was sent, and what it is for.
#[derive(Clone, Debug)]
pub(crate) struct Challenge {
    pub(crate) request: Request,
    pub(crate) identifier: String,
    pub(crate) otp: String,
    pub(crate) link: String,
    expires_ms: i64,
    tries_left: u32,
}

/// An authorization code.
#[derive(Clone, Debug)]
struct Grant {
    challenge_id: u64,
    request: Request,
    identifier: String,
    expires_ms: i64,
    used: bool,
}

/// Every sign-in in progress.
#[derive(Clone, Debug, Default)]
pub(crate) struct Logins {
    challenges: HashMap<u64, Challenge>,
    grants: HashMap<String, Grant>,
    last: u64,
}

/// A verified sign-in, ready to go back to the client.
#[derive(Debug)]
pub(crate) struct Verified {
    pub(crate) redirect_url: String,
    pub(crate) state: String,
    pub(crate) code: String,
    pub(crate) challenge_id: u64,
}

impl Logins {
    /// The challenge sent last to `identifier` that is still open.
    pub(crate) fn newest(&self, identifier: &str) -> Option<(u64, &Challenge)> {
        let of_user = self.challenges.iter().filter(|(_, c)| c.identifier == identifier);
        of_user.max_by_key(|(id, _)| **id).map(|(id, challenge)| (*id, challenge))
    }

    pub(crate) fn challenge(&self, id: u64) -> Option<&Challenge> {
        self.challenges.get(&id)
    }
}

impl Core {
    /// "Sends" a code or link: it is to be had of the control interface. The challenge's id.
    pub(crate) fn challenge(&mut self, request: Request, identifier: &str) -> u64 {
        let expires_ms = self.clock.now_ms().saturating_add(millis(self.config.code_ttl));
        self.logins.last = self.logins.last.max(90_209) + 1;
        let challenge = Challenge {
            request,
            identifier: identifier.to_owned(),
            otp: six_digits(),
            link: alphanumeric(40),
            expires_ms,
            tries_left: 5,
        };
        self.logins.challenges.insert(self.logins.last, challenge);
        self.logins.last
    }

    /// What a code typed on the page leads to.
    pub(crate) fn enter_code(&mut self, id: u64, otp: &str) -> Result<Verified, &'static str> {
        let now_ms = self.clock.now_ms();
        let open = self.logins.challenges.get_mut(&id).filter(|c| now_ms < c.expires_ms);
        let challenge = open.ok_or("This sign-in has ended. Start again.")?;
        if challenge.otp == otp.trim() {
            return self.grant(id).ok_or("This sign-in has ended. Start again.");
        }
        challenge.tries_left -= 1;
        if challenge.tries_left == 0 {
            self.logins.challenges.remove(&id);
            return Err("Too many wrong codes. Start again.");
        }
        Err("That code is wrong.")
    }

    /// What a link that was followed leads to.
    pub(crate) fn follow_link(&mut self, link: &str) -> Option<Verified> {
        let now_ms = self.clock.now_ms();
        let mut all = self.logins.challenges.iter();
        let id = all.find(|(_, c)| c.link == link && now_ms < c.expires_ms).map(|(id, _)| *id)?;
        self.grant(id)
    }

    fn grant(&mut self, id: u64) -> Option<Verified> {
        let challenge = self.logins.challenges.remove(&id)?;
        let code = alphanumeric(16);
        let expires_ms = self.clock.now_ms().saturating_add(millis(self.config.code_ttl));
        let grant = Grant {
            challenge_id: id,
            request: challenge.request.clone(),
            identifier: challenge.identifier,
            expires_ms,
            used: false,
        };
        self.logins.grants.insert(code.clone(), grant);
        let Request { redirect_url, state, .. } = challenge.request;
        Some(Verified { redirect_url, state, code, challenge_id: id })
    }

    /// What an authorization code buys: (identifier of the user, `identifier` and `token` objects).
    pub(crate) fn exchange_code(
        &mut self,
        code: &str,
        challenge_id: Option<u64>,
        redirect_url: &str,
        verifier: &str,
        device_name: &str,
    ) -> Result<(String, Value, Value), &'static str> {
        let now_ms = self.clock.now_ms();
        let survives = self.config.code_survives_failure;
        let grant = self.logins.grants.get_mut(code).ok_or("Authorization code is unknown")?;
        if grant.used {
            return Err("Authorization code was used already");
        }
        let fault = if now_ms >= grant.expires_ms {
            Some("Authorization code has expired")
        } else if challenge_id != Some(grant.challenge_id) {
            Some("Challenge id does not match")
        } else if redirect_url != grant.request.redirect_url {
            Some("Redirect URL does not match")
        } else if s256(verifier) != grant.request.code_challenge {
            Some("Code verifier does not match")
        } else {
            None
        };
        grant.used = fault.is_none() || !survives;
        if let Some(fault) = fault {
            return Err(fault);
        }
        let grant = grant.clone();
        let (object, token) = self.identity(&grant.identifier, &grant.request.kind, device_name);
        // With a user id this verifies one more identifier of a user who is known already.
        let known = grant.request.cotter_user_id.and_then(|id| self.users.by_id(&id));
        let whose = known.map_or(grant.identifier, |user| user.identifier.clone());
        Ok((whose, object, token))
    }

    /// The record and the signed proof that an identifier was verified.
    fn identity(&self, identifier: &str, kind: &str, device_name: &str) -> (Value, Value) {
        const DAYS_30: i64 = 2_592_000;
        let (now_ms, id) = (self.clock.now_ms(), uuid());
        let (timestamp, expire_at) = (self.clock.now_s(), self.clock.now_s() + DAYS_30);
        let receiver = self.config.api_key_id.as_str();
        let object = json!({
            "ID": id, "created_at": rfc3339(now_ms), "update_at": rfc3339(now_ms),
            "deleted_at": null, "timestamp": rfc3339(timestamp * 1000),
            "expiry": rfc3339(expire_at * 1000), "identifier": identifier,
            "identifier_type": kind, "public_key": b64(random::<32>()),
            "device_type": "BROWSER", "device_name": device_name,
        });
        let text = format!("{identifier}{kind}{receiver}{expire_at}");
        let token = json!({
            "identifier": identifier, "identifier_id": id, "identifier_type": kind,
            "receiver": receiver, "timestamp": timestamp.to_string(),
            "expire_at": expire_at.to_string(), "signature": self.identity.sign(&text),
        });
        (object, token)
    }
}
