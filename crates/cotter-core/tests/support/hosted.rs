//! A login by the hosted page, with bytes that repeat and an identity that is believed.

#![allow(dead_code, unreachable_pub, reason = "not every test file needs everything")]
#![allow(clippy::unwrap_used)]

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use cotter_core::login::{
    AuthorizationCode, ENTROPY, HostedPage, Landing, PendingLogin, SignedIdentity, VerifyIdentity,
};
use cotter_core::{Error, Provider, Timestamp};
use serde_json::Value;

pub const API_KEY: &str = "7d0c6a52-5d0e-4c0f-9a57-2b1f5f6a1c01";
pub const USER: &str = "3f5b8c1e-9a77-4d0b-8a55-6a1c0de5f00d";
pub const BACK: &str = "http://127.0.0.1:8395";
/// RFC 7636, appendix B.
pub const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
pub const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

/// Believes every identity of the right time, unless it is told otherwise.
#[derive(Clone, Debug, Default)]
pub struct Judge {
    pub refuses: bool,
}

impl VerifyIdentity for Judge {
    fn verify_identity(&self, object: &[u8], now: Timestamp) -> Result<SignedIdentity, Error> {
        let object: Value = serde_json::from_slice(object).unwrap();
        let text = |name: &str| object[name].as_str().unwrap().to_owned();
        let end = Timestamp::from_unix_seconds(text("expire_at").parse().unwrap());
        if self.refuses {
            return Err(Error::config("signed by another key"));
        }
        if now >= end {
            return Err(Error::protocol("the identity has ended"));
        }
        Ok(SignedIdentity::new(text("identifier"), text("identifier_type"), end))
    }
}

pub fn provider() -> Provider {
    Provider::cotter(API_KEY).unwrap().with_base_url("http://127.0.0.1:1/api/v0").unwrap()
}

pub fn entropy() -> [u8; ENTROPY] {
    let mut bytes = [7; ENTROPY];
    bytes[..32].copy_from_slice(&URL_SAFE_NO_PAD.decode(VERIFIER).unwrap());
    bytes
}

pub fn state() -> String {
    URL_SAFE_NO_PAD.encode([7; 32])
}

pub fn begin(page: &HostedPage) -> PendingLogin {
    page.begin(&provider(), BACK, &entropy()).unwrap()
}

pub fn email() -> HostedPage {
    HostedPage::email(Judge::default())
}

/// The code of a login that came back as it should.
pub fn landed(login: &PendingLogin) -> AuthorizationCode {
    let address = format!("{BACK}/?code=Xk29%2BvLqP&state={}&challenge_id=90210", state());
    match login.take(&address) {
        Landing::Code(code) => code,
        other => panic!("{other:?}"),
    }
}
