//! What is asked of the hosted page (protocol page 2.5).

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::pending::PendingLogin;
use super::{VerifyIdentity, redirect};
use crate::address::PlainHttp;
use crate::error::Error;
use crate::provider::Provider;
use crate::wire::address;
use crate::wire::login::Query;

/// How many random bytes a login takes: half for the verifier, half for the state.
pub const ENTROPY: usize = 64;

/// Cotter's public login pages.
const COTTER_LOGIN: &str = "https://js.cotter.app";

/// The longest text that goes into the page's address.
const LONGEST: usize = 1024;

/// How the user proves the address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AuthMethod {
    /// By following a link.
    MagicLink,
    /// By entering a code.
    Otp,
}

impl AuthMethod {
    const fn name(self) -> &'static str {
        match self {
            Self::MagicLink => "MAGIC_LINK",
            Self::Otp => "OTP",
        }
    }
}

/// How a code reaches a phone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Channel {
    /// By text message.
    Sms,
    /// By WhatsApp.
    WhatsApp,
}

impl Channel {
    const fn name(self) -> &'static str {
        match self {
            Self::Sms => "SMS",
            Self::WhatsApp => "WHATSAPP",
        }
    }
}

/// A login by Cotter's hosted page, as it is asked for.
///
/// Whoever has no account yet gets one by signing in (protocol page 5.26).
///
/// ```
/// # use cotter_core::login::{SignedIdentity, VerifyIdentity};
/// # use cotter_core::{Error, Timestamp};
/// use cotter_core::Provider;
/// use cotter_core::login::{AuthMethod, HostedPage, Landing};
///
/// # #[derive(Debug)]
/// # struct Nobody; // `cotter_jwt::SignedObjects` in earnest
/// # impl VerifyIdentity for Nobody {
/// #     fn verify_identity(&self, _: &[u8], _: Timestamp) -> Result<SignedIdentity, Error> {
/// #         Err(Error::protocol("nobody is believed"))
/// #     }
/// # }
/// # let signed_objects = Nobody;
/// let provider = Provider::cotter("7d0c6a52-5d0e-4c0f-9a57-2b1f5f6a1c01")?;
/// let page = HostedPage::email(signed_objects).auth_method(AuthMethod::Otp);
/// let random = [7; 64]; // from the system's generator in earnest
/// let login = page.begin(&provider, "http://127.0.0.1:8395", &random)?;
/// assert!(login.url().starts_with("https://js.cotter.app/app?api_key=7d0c6a52"));
/// assert!(matches!(login.take("/?code=c&challenge_id=1&state=guessed"), Landing::Foreign));
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct HostedPage {
    identity: Arc<dyn VerifyIdentity>,
    base: String,
    kind: Kind,
    auth_method: Option<AuthMethod>,
    input: Option<String>,
    direct_login: bool,
    phone_channels: Vec<Channel>,
    use_channel: Option<Channel>,
    cotter_user_id: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Email,
    Phone,
}

impl HostedPage {
    /// By email address; `identity` checks what the server says it has verified.
    pub fn email(identity: impl VerifyIdentity + 'static) -> Self {
        Self::new(Arc::new(identity), Kind::Email)
    }

    /// By phone number; `identity` checks what the server says it has verified.
    pub fn phone(identity: impl VerifyIdentity + 'static) -> Self {
        Self::new(Arc::new(identity), Kind::Phone)
    }

    fn new(identity: Arc<dyn VerifyIdentity>, kind: Kind) -> Self {
        Self {
            identity,
            base: COTTER_LOGIN.to_owned(),
            kind,
            auth_method: None,
            input: None,
            direct_login: false,
            phone_channels: Vec::new(),
            use_channel: None,
            cotter_user_id: None,
        }
    }

    /// Another server's pages: the address above `/app`; Cotter's own by default.
    ///
    /// # Errors
    /// `Config` if it is no https URL; http is allowed to this machine.
    pub fn login_url(mut self, base: &str) -> Result<Self, Error> {
        self.base = address::base(base, PlainHttp::Loopback)?;
        Ok(self)
    }

    /// By code or by link; by code by default.
    pub const fn auth_method(mut self, method: AuthMethod) -> Self {
        self.auth_method = Some(method);
        self
    }

    /// The address to fill in: an email address, or a number with `+` and country code.
    pub fn input(mut self, identifier: &str) -> Self {
        self.input = Some(identifier.to_owned());
        self
    }

    /// Skips the form: the code or link goes to the [`input`](Self::input) at once.
    pub const fn direct_login(mut self) -> Self {
        self.direct_login = true;
        self
    }

    /// Offers this channel in the form; may be said several times, for phone numbers.
    pub fn phone_channel(mut self, channel: Channel) -> Self {
        if !self.phone_channels.contains(&channel) {
            self.phone_channels.push(channel);
        }
        self
    }

    /// Sends the code by this channel, to a phone number that was [given](Self::input).
    pub const fn use_channel(mut self, channel: Channel) -> Self {
        self.use_channel = Some(channel);
        self
    }

    /// Verifies an address of this existing user.
    pub fn cotter_user_id(mut self, id: &str) -> Self {
        self.cotter_user_id = Some(id.to_owned());
        self
    }

    /// Begins a login that comes back to `redirect_url`, with fresh random bytes.
    ///
    /// The same bytes make the same login: never use them twice, and wipe them.
    ///
    /// # Errors
    /// `Config` if the provider is not Cotter, the redirect URL is neither on this machine nor of an
    /// application's own, or what is asked for does not go together.
    pub fn begin(
        &self,
        provider: &Provider,
        redirect_url: &str,
        entropy: &[u8; ENTROPY],
    ) -> Result<PendingLogin, Error> {
        if !provider.is_cotter() {
            return Err(Error::config("the hosted page is Cotter's; other providers have none"));
        }
        redirect::check(redirect_url)?;
        self.check()?;
        Ok(PendingLogin::new(
            provider,
            redirect_url,
            Arc::clone(&self.identity),
            entropy,
            |state, challenge| self.address(provider.client_id(), redirect_url, state, challenge),
        ))
    }

    fn check(&self) -> Result<(), Error> {
        let texts = [&self.input, &self.cotter_user_id];
        let fits = |text: &String| {
            (1..=LONGEST).contains(&text.len()) && !text.chars().any(char::is_control)
        };
        if !texts.into_iter().flatten().all(fits) {
            return Err(Error::config("an address or user id is empty, or no line of text"));
        }
        let phone = self.kind == Kind::Phone;
        if !phone && (self.use_channel.is_some() || !self.phone_channels.is_empty()) {
            return Err(Error::config("channels are for phone numbers"));
        }
        if self.input.is_none() && (self.direct_login || self.use_channel.is_some()) {
            return Err(Error::config("to skip the form, say whom to send the code to"));
        }
        Ok(())
    }

    /// Every value percent-encoded; nothing but what the page knows (protocol page 2.5).
    fn address(&self, api_key: &str, redirect_url: &str, state: &str, challenge: &str) -> Query {
        let mut query = Query::of(&self.base, "/app");
        query.push("api_key", api_key);
        query.push("redirect_url", redirect_url);
        query.push("state", state);
        query.push("code_challenge", challenge);
        query.push(
            "type",
            match self.kind {
                Kind::Email => "EMAIL",
                Kind::Phone => "PHONE",
            },
        );
        if let Some(method) = self.auth_method {
            query.push("auth_method", method.name());
        }
        if let Some(input) = &self.input {
            query.push("input", input);
        }
        if self.direct_login {
            query.push("direct_login", "true");
        }
        for channel in &self.phone_channels {
            query.push("phone_channels[]", channel.name());
        }
        if let Some(channel) = self.use_channel {
            query.push("use_channel", channel.name());
        }
        if let Some(id) = &self.cotter_user_id {
            query.push("cotter_user_id", id);
        }
        query
    }
}
