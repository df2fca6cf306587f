//! A login under way: what was sent, and what comes back.

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::sync::Arc;
use core::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use super::redirect::Parameters;
use super::{ENTROPY, VerifyIdentity};
use crate::error::{Error, ErrorKind};
use crate::provider::Provider;
use crate::secret::{CodeVerifier, LoginCode, LoginState};
use crate::wire::login::{Query, cleaned};

/// The longest address that is looked into.
const LONGEST: usize = 16 * 1024;

/// A login that was begun: the page's address, and the secrets that tie its answer to it.
///
/// They live in memory only, and are wiped when this is dropped. The verifier goes into the one
/// request that exchanges the code and nowhere else. Printing it shows none of this.
pub struct PendingLogin {
    pub(crate) identity: Arc<dyn VerifyIdentity>,
    pub(crate) redirect_url: String,
    pub(crate) verifier: CodeVerifier,
    state: LoginState,
    url: Query,
    /// The provider it was begun with.
    address: String,
    client_id: String,
}

impl PendingLogin {
    pub(super) fn new(
        provider: &Provider,
        redirect_url: &str,
        identity: Arc<dyn VerifyIdentity>,
        entropy: &[u8; ENTROPY],
        url: impl FnOnce(&str, &str) -> Query,
    ) -> Self {
        // 32 bytes are 43 characters, all of them in the alphabet of RFC 7636 section 4.1.
        let (verifier, state) = entropy.split_at(ENTROPY / 2);
        let encode = |bytes: &[u8]| Zeroizing::new(URL_SAFE_NO_PAD.encode(bytes));
        let verifier = CodeVerifier::new(encode(verifier).as_str());
        let state = LoginState::new(encode(state).as_str());
        // S256 (RFC 7636 section 4.2).
        let challenge = encode(&Sha256::digest(verifier.expose().as_bytes()));
        Self {
            identity,
            redirect_url: redirect_url.to_owned(),
            url: url(state.expose(), &challenge),
            verifier,
            state,
            address: provider.address().to_owned(),
            client_id: provider.client_id().to_owned(),
        }
    }

    /// The page to show to the user. It holds no token and no code, but belongs to this login alone.
    #[must_use]
    pub fn url(&self) -> &str {
        self.url.as_str()
    }

    /// Where the page sends the browser back to.
    #[must_use]
    pub fn redirect_url(&self) -> &str {
        &self.redirect_url
    }

    /// Takes the address that a browser came back to: whole, or from its path on.
    ///
    /// The state is compared first, in constant time. Where it is not the one that was sent, nothing
    /// else is looked at: keep waiting, for the user's own browser may still come.
    #[must_use]
    pub fn take(&self, redirected: &str) -> Landing {
        if redirected.len() > LONGEST {
            return Landing::Foreign;
        }
        let parameters = Parameters::of(redirected);
        match parameters.all("state").as_slice() {
            [state] if self.sent(state) => {}
            _ => return Landing::Foreign,
        }
        let one = |name: &str| match parameters.all(name).as_mut_slice() {
            [] => Ok(None),
            [value] => Ok(Some(core::mem::take(value)).filter(|value| !value.is_empty())),
            _ => Err(Error::protocol(alloc::format!(
                "the login came back with two values of {name}"
            ))),
        };
        match self.landed(one) {
            Ok(code) => Landing::Code(code),
            Err(error) => Landing::Failed(error),
        }
    }

    fn sent(&self, state: &str) -> bool {
        self.state.expose().as_bytes().ct_eq(state.as_bytes()).into()
    }

    fn landed(
        &self,
        one: impl Fn(&str) -> Result<Option<Zeroizing<String>>, Error>,
    ) -> Result<AuthorizationCode, Error> {
        if let Some(error) = one("error")? {
            let said = cleaned(&error, &[self.state.expose(), self.verifier.expose()]);
            let message = alloc::format!("the login was refused: {said}");
            return Err(Error::new(ErrorKind::Denied, message));
        }
        let code = one("code")?;
        let code = code.ok_or_else(|| Error::protocol("the login came back without a code"))?;
        let challenge_id = one("challenge_id")?
            .filter(|id| id.bytes().all(|byte| byte.is_ascii_digit()))
            .and_then(|id| id.parse().ok())
            .ok_or_else(|| Error::protocol("the login came back without the number of its code"))?;
        let plain = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
        let method =
            one("auth_method")?.filter(|method| method.len() <= 32 && method.bytes().all(plain));
        Ok(AuthorizationCode {
            code: LoginCode::new(code.as_str()),
            challenge_id,
            auth_method: method.map(|method| method.as_str().to_owned()),
        })
    }

    /// Whether this login was begun with that provider.
    pub(crate) fn belongs_to(&self, provider: &Provider) -> bool {
        self.address == provider.address() && self.client_id == provider.client_id()
    }
}

impl fmt::Debug for PendingLogin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PendingLogin")
            .field("redirect_url", &self.redirect_url)
            .finish_non_exhaustive()
    }
}

/// What an address that a browser came back to means for a login.
#[derive(Debug)]
#[expect(clippy::exhaustive_enums, reason = "an agent handles each")]
pub enum Landing {
    /// The login came back with its code.
    Code(AuthorizationCode),
    /// The login came back, and has failed: refused (`Denied`) or nonsense (`Protocol`).
    Failed(Error),
    /// This is no answer to this login: the state is missing, another, or there twice. Keep waiting.
    Foreign,
}

/// What buys the tokens, once; not `Clone`, since it must not be sent twice.
///
/// ```
/// fn of_a_login(code: &cotter_core::login::AuthorizationCode) -> String {
///     format!("{code:?}") // shows nothing of it
/// }
/// ```
#[derive(Debug)]
pub struct AuthorizationCode {
    pub(crate) code: LoginCode,
    pub(crate) challenge_id: u64,
    pub(crate) auth_method: Option<String>,
}
