//! What the tests share: the vectors, and a signer that is not the crate's own.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use cotter_core::Timestamp;
use cotter_jwt::{Backend, Invalid, KeySet, Verifier};
use serde_json::Value;

pub(crate) const KID: &str = "SPACE_JWT_PUBLIC:11111111-1111-4111-8111-111111111111";
pub(crate) const NOW: Timestamp = Timestamp::from_unix_seconds(1_767_225_700);

pub(crate) fn vectors() -> Value {
    serde_json::from_str(include_str!("../vectors/cotter-vectors.json")).unwrap()
}

pub(crate) fn vector(name: &str) -> String {
    vectors()[name].as_str().unwrap().to_owned()
}

pub(crate) fn keys() -> KeySet {
    KeySet::from_json(vectors()["jwks"].to_string()).unwrap()
}

/// Each backend that is built in.
pub(crate) fn backends() -> Vec<Backend> {
    vec![
        #[cfg(feature = "aws_lc_rs")]
        Backend::aws_lc_rs(),
        #[cfg(feature = "rust_crypto")]
        Backend::rust_crypto(),
    ]
}

pub(crate) fn backend() -> Backend {
    backends()[0]
}

pub(crate) fn verifier() -> Verifier {
    verifier_by(backend())
}

fn verifier_by(backend: Backend) -> Verifier {
    Verifier::cotter_with(backend, vector("api_key_id")).keys(keys())
}

pub(crate) fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

pub(crate) fn decode(text: &str) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(text).unwrap()
}

/// Signs with private key `index` of the vectors.
pub(crate) fn sign_bytes(index: usize, message: &[u8]) -> Vec<u8> {
    let key = &vectors()["private_jwks"]["keys"][index];
    let part = |name: &str| decode(key[name].as_str().unwrap());
    let point = [vec![4], part("x"), part("y")].concat();
    let pair = EcdsaKeyPair::from_private_key_and_public_key(
        &ECDSA_P256_SHA256_FIXED_SIGNING,
        &part("d"),
        &point,
    )
    .unwrap();
    pair.sign(&SystemRandom::new(), message).unwrap().as_ref().to_vec()
}

/// A token of this header and these claims, signed with the first key whatever the header says.
pub(crate) fn sign(header: &str, claims: &str) -> String {
    let message = format!("{}.{}", encode(header), encode(claims));
    let signature = sign_bytes(0, message.as_bytes());
    format!("{message}.{}", encode(signature))
}

pub(crate) fn header() -> String {
    format!(r#"{{"alg":"ES256","kid":"{KID}","typ":"JWT"}}"#)
}

/// The claims of a good access token, with `change` made to them.
pub(crate) fn claims(change: impl FnOnce(&mut Value)) -> String {
    claims_of("access_token", change)
}

pub(crate) fn claims_of(name: &str, change: impl FnOnce(&mut Value)) -> String {
    let token = vector(name);
    let mut claims: Value =
        serde_json::from_slice(&decode(token.split('.').nth(1).unwrap())).unwrap();
    change(&mut claims);
    claims.to_string()
}

/// What an access token comes to, by every backend: `ok` or the reason.
pub(crate) fn access(token: &str) -> &'static str {
    by_all(|verifier| verifier.verify_access_token(token, NOW).map(drop))
}

/// What an ID token comes to, by every backend: `ok` or the reason.
pub(crate) fn id(token: &str) -> &'static str {
    by_all(|verifier| verifier.verify_id_token(token, NOW).map(drop))
}

fn by_all(verify: impl Fn(&Verifier) -> Result<(), Invalid>) -> &'static str {
    let verdicts = backends()
        .into_iter()
        .map(|backend| verify(&verifier_by(backend)).map_or_else(|no| no.code(), |()| "ok"));
    let verdicts: Vec<_> = verdicts.collect();
    assert!(verdicts.iter().all(|verdict| *verdict == verdicts[0]), "{verdicts:?}");
    verdicts[0]
}
