//! A transport that a test controls, and tokens that nobody signed.

use core::sync::atomic::{AtomicUsize, Ordering};
use core::time::Duration;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use cotter_core::{BlockingTransport, SecretBytes, Transport, TransportError};
use cotter_jwks::Jwks;
use cotter_jwt::Verifier;
use cotter_testkit::ManualClock;
use http::{HeaderValue, Request, Response};
use serde_json::{Value, json};

pub(crate) fn vectors() -> Value {
    serde_json::from_str(include_str!("../../../cotter-jwt/tests/vectors/cotter-vectors.json"))
        .unwrap()
}

pub(crate) fn vector(name: &str) -> String {
    vectors()[name].as_str().unwrap().to_owned()
}

pub(crate) fn verifier() -> Verifier {
    Verifier::cotter(vector("api_key_id"))
}

/// Base64url by hand.
pub(crate) fn encode(bytes: impl AsRef<[u8]>) -> String {
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for chunk in bytes.as_ref().chunks(3) {
        let mut bits = 0_u32;
        for index in 0..3 {
            bits = bits << 8 | u32::from(chunk.get(index).copied().unwrap_or(0));
        }
        for index in 0..=chunk.len() {
            text.push(char::from(alphabet[(bits >> (18 - 6 * index) & 63) as usize]));
        }
    }
    text
}

/// A token of this header with these claims of the usual access token, whose signature could be one.
pub(crate) fn token(header: &Value, change: impl FnOnce(&mut Value)) -> String {
    let mut claims = json!({
        "aud": vector("api_key_id"),
        "exp": 1_767_229_200,
        "iat": 1_767_225_600,
        "iss": "https://www.cotter.app",
        "sub": "3f5b8c1e-9a77-4d0b-8a55-6a1c0de5f00d",
        "type": "client_access_token",
    });
    change(&mut claims);
    let parts = [header.to_string(), claims.to_string()].map(encode);
    format!("{}.{}.{}", parts[0], parts[1], encode([7; 64]))
}

/// A token whose `kid` nobody has; nothing but its signature speaks against it.
pub(crate) fn made_up(index: usize) -> String {
    token(&json!({"alg": "ES256", "kid": format!("made-up-{index:05}")}), |_| {})
}

/// Answers with the keys of the vectors, unless told otherwise.
#[derive(Clone, Debug, Default)]
pub(crate) struct Server {
    pub(crate) answers: Arc<Mutex<VecDeque<Answer>>>,
    pub(crate) delay: Duration,
    pub(crate) fetches: Arc<AtomicUsize>,
}

pub(crate) type Headers = &'static [(&'static str, &'static [u8])];

#[derive(Clone, Debug)]
pub(crate) enum Answer {
    Body(u16, String),
    Fails(fn() -> TransportError),
    /// The usual keys, and these headers.
    Headers(Headers),
    Nothing,
    Panic,
}

impl Server {
    pub(crate) fn then(self, answer: Answer) -> Self {
        self.answers.lock().unwrap().push_back(answer);
        self
    }

    pub(crate) fn fetches(&self) -> usize {
        self.fetches.load(Ordering::SeqCst)
    }

    pub(crate) fn answer(
        &self,
        request: &Request<SecretBytes>,
    ) -> Result<Response<SecretBytes>, TransportError> {
        assert_eq!(request.uri().path(), "/api/v0/token/jwks");
        assert!(request.headers().get("authorization").is_none() && request.body().is_empty());
        self.fetches.fetch_add(1, Ordering::SeqCst);
        let planned = self.answers.lock().unwrap().pop_front();
        match planned.unwrap_or_else(|| Answer::Body(200, vectors()["jwks"].to_string())) {
            Answer::Body(status, body) => {
                let mut response = Response::new(SecretBytes::from(body.into_bytes()));
                *response.status_mut() = status.try_into().unwrap();
                Ok(response)
            }
            Answer::Headers(headers) => {
                let keys = vectors()["jwks"].to_string();
                let mut response = Response::new(SecretBytes::from(keys.into_bytes()));
                for (name, value) in headers {
                    let value = HeaderValue::from_bytes(value).unwrap();
                    response.headers_mut().append(*name, value);
                }
                Ok(response)
            }
            Answer::Fails(error) => Err(error()),
            Answer::Nothing => Err(TransportError::maybe_sent("nothing came")),
            Answer::Panic => panic!("the transport panics"),
        }
    }
}

#[async_trait]
impl Transport for Server {
    async fn send(
        &self,
        request: Request<SecretBytes>,
        _: Duration,
    ) -> Result<Response<SecretBytes>, TransportError> {
        tokio::time::sleep(self.delay).await;
        self.answer(&request)
    }
}

impl BlockingTransport for Server {
    fn send(
        &self,
        request: Request<SecretBytes>,
        _: Duration,
    ) -> Result<Response<SecretBytes>, TransportError> {
        std::thread::sleep(self.delay);
        self.answer(&request)
    }
}

pub(crate) fn jwks(clock: &ManualClock) -> Jwks {
    Jwks::at("https://www.cotter.app/api/v0/token/jwks").unwrap().clock(clock.clone()).remember(100)
}

pub(crate) fn code<T>(verdict: Result<T, cotter_jwt::Invalid>) -> &'static str {
    verdict.map_or_else(|no| no.code(), |_| "ok")
}
