//! The requests of a login, and what their answers mean (protocol page 2.5 to 2.7).

use alloc::string::String;

use zeroize::Zeroizing;

use super::api::{Call, Field};
pub(crate) use super::said::cleaned;
use crate::login::{AuthorizationCode, PendingLogin};
use crate::provider::Provider;

/// An address with a query, every value of it percent-encoded; wiped when dropped.
pub(crate) struct Query {
    address: Zeroizing<String>,
    empty: bool,
}

impl Query {
    /// The address of this path below `base`.
    pub(crate) fn of(base: &str, path: &str) -> Self {
        let mut address = Zeroizing::new(String::with_capacity(1024));
        address.push_str(base);
        address.push_str(path);
        Self { address, empty: true }
    }

    pub(crate) fn push(&mut self, name: &str, value: &str) {
        // Letters may triple; a string that grows leaves its old self behind.
        let needed = self.address.len() + 2 + 3 * (name.len() + value.len());
        if needed > self.address.capacity() {
            let mut roomier = Zeroizing::new(String::with_capacity(2 * needed));
            roomier.push_str(&self.address);
            self.address = roomier;
        }
        self.address.push(if core::mem::take(&mut self.empty) { '?' } else { '&' });
        encode(&mut self.address, name);
        self.address.push('=');
        encode(&mut self.address, value);
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.address
    }
}

/// Appends `text`, percent-encoded but for what RFC 3986 section 2.3 leaves as it is.
fn encode(out: &mut String, text: &str) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let (high, low) = (usize::from(byte >> 4), usize::from(byte & 15));
            out.push('%');
            out.push(char::from(HEX[high]));
            out.push(char::from(HEX[low]));
        }
    }
}

/// `POST {API}/verify/get_identity`: what an authorization code buys (protocol page 2.6).
pub(crate) fn exchange(
    provider: &Provider,
    login: &PendingLogin,
    code: &AuthorizationCode,
) -> Call {
    let mut url = Query::of(provider.address(), "/verify/get_identity");
    url.push("oauth_token", "true");
    if let Some(method) = &code.auth_method {
        url.push("auth_method", method);
    }
    let fields = [
        ("code_verifier", Field::Text(login.verifier.expose())),
        ("authorization_code", Field::Text(code.code.expose())),
        ("challenge_id", Field::Number(code.challenge_id)),
        ("redirect_url", Field::Text(&login.redirect_url)),
    ];
    Call::post("the login", url.as_str(), provider.client_id(), &fields)
        .with_secret(login.verifier.expose())
        .with_secret(code.code.expose())
}

/// `GET {API}/user?identifier=` (protocol page 2.7).
pub(crate) fn find_user(provider: &Provider, identifier: &str) -> Call {
    let mut url = Query::of(provider.address(), "/user");
    url.push("identifier", identifier);
    Call::get("the question for a user", url.as_str(), provider.client_id())
}

/// `POST {API}/user/create` (protocol page 2.7).
pub(crate) fn create_user(provider: &Provider, identifier: &str) -> Call {
    let url = alloc::format!("{}/user/create", provider.address());
    let fields = [("identifier", Field::Text(identifier))];
    Call::post("the new user", &url, provider.client_id(), &fields)
}
