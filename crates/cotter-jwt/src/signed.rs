use alloc::string::String;
use core::fmt;
use core::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cotter_core::Timestamp;

use crate::algorithm::Algorithm;
use crate::backend::{Backend, PublicKey};
use crate::json::{self, Map, Value};
use crate::keyset::Key;

/// The key that Cotter signs identities and events with.
const COTTER_KEY: &str = "qqOaiQGjGsxBMgI5rdAasaACRiJthOqadmefjY5mS/c=";
const MAX_OBJECT: usize = 64 * 1024;

/// Verifies the objects that Cotter signs with Ed25519: identities ("this address was verified")
/// and events ("this user approved that").
///
/// What is signed is a concatenation without separators, so the fields' formats are checked as
/// well: otherwise what ends one field could be said to begin the next. Only what the signature
/// covers is handed out.
///
/// ```
/// # #[cfg(feature = "aws_lc_rs")] {
/// use cotter_core::Timestamp;
/// use cotter_jwt::SignedObjects;
///
/// # let vectors: serde_json::Value =
/// #     serde_json::from_str(include_str!("../tests/vectors/cotter-vectors.json")).unwrap();
/// # let api_key_id = vectors["api_key_id"].as_str().unwrap();
/// # let test_key = vectors["ed25519_public_key_b64"].as_str().unwrap();
/// # let (identity, event) = (vectors["identity_token"].to_string(), vectors["event"].to_string());
/// let objects = SignedObjects::cotter(api_key_id).public_key(test_key)?; // a test server's key
/// let now = Timestamp::from_unix_seconds(1_767_225_660);
/// assert_eq!(objects.verify_identity(&identity, now)?.identifier(), "+15550100123");
/// assert_eq!(objects.verify_event(&event, "LOGIN", now)?.user_id(), "user-1014");
/// # }
/// # Ok::<(), cotter_jwt::SignedError>(())
/// ```
#[derive(Clone, Debug)]
pub struct SignedObjects {
    backend: Backend,
    key: Option<Key>,
    leeway: Duration,
    max_age: Duration,
    receiver: String,
}

impl SignedObjects {
    /// For one Cotter project, checked by AWS-LC.
    #[cfg(feature = "aws_lc_rs")]
    #[must_use]
    pub fn cotter(api_key_id: impl Into<String>) -> Self {
        Self::cotter_with(Backend::aws_lc_rs(), api_key_id)
    }

    /// For one Cotter project, checked by the backend of your choice.
    #[must_use]
    pub fn cotter_with(backend: Backend, api_key_id: impl Into<String>) -> Self {
        Self {
            backend,
            key: parse_key(COTTER_KEY),
            leeway: Duration::from_secs(30),
            max_age: Duration::from_secs(300),
            receiver: api_key_id.into(),
        }
    }

    /// How old an event may be; five minutes by default.
    #[must_use]
    pub const fn event_max_age(mut self, max_age: Duration) -> Self {
        self.max_age = max_age;
        self
    }

    /// How far Cotter's clock and this one may be apart when an event is judged; 30 seconds without
    /// a word. An identity ends when it says, to the second.
    #[must_use]
    pub const fn leeway(mut self, leeway: Duration) -> Self {
        self.leeway = leeway;
        self
    }

    /// Expects another server's key, in standard base64.
    ///
    /// # Errors
    /// [`SignedError::Key`] if this is none.
    pub fn public_key(mut self, base64: &str) -> Result<Self, SignedError> {
        self.key = Some(parse_key(base64).ok_or(SignedError::Key)?);
        Ok(self)
    }

    /// Verifies an identity: signature, receiver, expiry.
    ///
    /// # Errors
    /// [`SignedError`], which is the reason.
    pub fn verify_identity(
        &self,
        json: impl AsRef<[u8]>,
        now: Timestamp,
    ) -> Result<Identity, SignedError> {
        let object = read(json.as_ref())?;
        let identifier = text(&object, "identifier")?;
        let kind = text(&object, "identifier_type")?;
        let receiver = text(&object, "receiver")?;
        let (expire_at, expires_at) = seconds(&object, "expire_at")?;
        let sound = match kind {
            "EMAIL" => identifier.contains('@') && !identifier.chars().any(char::is_control),
            "PHONE" => identifier
                .strip_prefix('+')
                .is_some_and(|digits| !digits.is_empty() && all_digits(digits)),
            _ => false,
        };
        if !sound {
            return Err(SignedError::Field);
        }
        if receiver != self.receiver {
            return Err(SignedError::Receiver);
        }
        let message = [identifier, kind, receiver, expire_at].concat();
        self.check(&message, signature(&object)?)?;
        if now >= expires_at {
            return Err(SignedError::Expired);
        }
        Ok(Identity { expires_at, identifier: identifier.into(), identifier_type: kind.into() })
    }

    /// Verifies an approved event of this name: signature, receiver, approval, age.
    ///
    /// # Errors
    /// [`SignedError`], which is the reason.
    pub fn verify_event(
        &self,
        json: impl AsRef<[u8]>,
        event: &str,
        now: Timestamp,
    ) -> Result<Event, SignedError> {
        let object = read(json.as_ref())?;
        let issuer = text(&object, "issuer")?;
        let named = text(&object, "event")?;
        let method = text(&object, "method")?;
        let (timestamp, at) = seconds(&object, "timestamp")?;
        let (new, approved) = (flag(&object, "new")?, flag(&object, "approved")?);
        if !is_name(named) || !is_name(method) {
            return Err(SignedError::Field);
        }
        if issuer != self.receiver {
            return Err(SignedError::Receiver);
        }
        // Newer events have a `user_id` beside a `client_user_id` that may be empty; which of them
        // is signed then, nothing says.
        let client = optional(&object, "client_user_id")?.map(EventUser::Client);
        let mut signers = [client, None];
        if client.is_none_or(|client| client.id().is_empty()) {
            signers = [optional(&object, "user_id")?.map(EventUser::Cotter), client];
        }
        let word = |flag: bool| if flag { "true" } else { "false" };
        let signature = signature(&object)?;
        let user = signers
            .into_iter()
            .flatten()
            .find(|user| {
                let (new, approved) = (word(new), word(approved));
                let message = [user.id(), issuer, named, timestamp, method, new, approved].concat();
                self.check(&message, signature).is_ok()
            })
            .ok_or(SignedError::Signature)?;
        if !approved {
            return Err(SignedError::NotApproved);
        }
        if named != event {
            return Err(SignedError::OtherEvent);
        }
        if at > now.saturating_add(self.leeway) {
            return Err(SignedError::InFuture);
        }
        if now.saturating_since(at) > self.max_age.saturating_add(self.leeway) {
            return Err(SignedError::TooOld);
        }
        let is_client = matches!(user, EventUser::Client(_));
        let user_id = user.id().into();
        Ok(Event { at, is_client, method: method.into(), name: named.into(), user_id })
    }

    fn check(&self, message: &str, signature: [u8; 64]) -> Result<(), SignedError> {
        let key = self.key.as_ref().ok_or(SignedError::Key)?;
        self.backend
            .check(Algorithm::EdDsa, key, message.as_bytes(), &signature)
            .map_err(|_| SignedError::Signature)
    }
}

/// A verified identity: what the signature covers, no more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    expires_at: Timestamp,
    identifier: String,
    identifier_type: String,
}

impl Identity {
    /// Until when the verification is good.
    #[must_use]
    pub const fn expires_at(&self) -> Timestamp {
        self.expires_at
    }

    /// The email address or phone number that was verified.
    #[must_use]
    pub fn identifier(&self) -> &str {
        &self.identifier
    }

    /// `EMAIL` or `PHONE`.
    #[must_use]
    pub fn identifier_type(&self) -> &str {
        &self.identifier_type
    }
}

/// A verified, approved event: what the signature covers, no more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    at: Timestamp,
    /// Whether the id is the customer's own.
    is_client: bool,
    method: String,
    name: String,
    user_id: String,
}

/// Whose an event is, and whose word the id is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EventUser<'a> {
    /// Your own id of the user, from the field `client_user_id`; empty where the event is signed
    /// for nobody in particular.
    Client(&'a str),
    /// Cotter's id of the user, from the field `user_id`.
    Cotter(&'a str),
}

impl<'a> EventUser<'a> {
    /// The id, whosever word it is.
    #[must_use]
    pub const fn id(self) -> &'a str {
        match self {
            Self::Client(id) | Self::Cotter(id) => id,
        }
    }
}

impl Event {
    /// When it happened.
    #[must_use]
    pub const fn at(&self) -> Timestamp {
        self.at
    }

    /// How the user proved who they are: `TRUSTED_DEVICE`, `PIN`...
    #[must_use]
    pub fn method(&self) -> &str {
        &self.method
    }

    /// What happened: `LOGIN`, `LOGIN_WITH_DEVICE`...
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whose it is, and whether that is your own id or Cotter's.
    ///
    /// Look the user up by that kind of id and no other. The signature covers the id and not the
    /// name of its field: where your own ids look like Cotter's (UUIDs), expect one certain user
    /// instead of believing the event about who it is.
    #[must_use]
    pub fn user(&self) -> EventUser<'_> {
        if self.is_client {
            EventUser::Client(&self.user_id)
        } else {
            EventUser::Cotter(&self.user_id)
        }
    }

    /// The id that was signed: your own (`client_user_id`) or else Cotter's (`user_id`);
    /// [`user`](Self::user) says which.
    #[must_use]
    pub fn user_id(&self) -> &str {
        &self.user_id
    }
}

/// Why a signed object was not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SignedError {
    /// It has expired.
    Expired,
    /// A field is missing or has the wrong form.
    Field,
    /// It was made in the future.
    InFuture,
    /// The public key is none.
    Key,
    /// It is no JSON object, has a member twice, or is too long.
    Malformed,
    /// The event was not approved.
    NotApproved,
    /// It carries no signature.
    NotSigned,
    /// It is an event of another name.
    OtherEvent,
    /// It is for another project.
    Receiver,
    /// The signature does not match.
    Signature,
    /// It is too old.
    TooOld,
}

impl SignedError {
    /// A stable name for programs.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::Field => "field_malformed",
            Self::InFuture => "issued_in_future",
            Self::Key => "bad_key",
            Self::Malformed => "malformed",
            Self::NotApproved => "not_approved",
            Self::NotSigned => "not_signed",
            Self::OtherEvent => "other_event",
            Self::Receiver => "wrong_receiver",
            Self::Signature => "bad_signature",
            Self::TooOld => "too_old",
        }
    }
}

impl fmt::Display for SignedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Expired => "the object has expired",
            Self::Field => "a field is missing or malformed",
            Self::InFuture => "the object was made in the future",
            Self::Key => "the public key is malformed",
            Self::Malformed => "this is no JSON object",
            Self::NotApproved => "the event was not approved",
            Self::NotSigned => "the object is not signed",
            Self::OtherEvent => "the event is another one",
            Self::Receiver => "the object is for another project",
            Self::Signature => "the signature does not match",
            Self::TooOld => "the object is too old",
        })
    }
}

impl core::error::Error for SignedError {}

fn parse_key(base64: &str) -> Option<Key> {
    let bytes = STANDARD.decode(base64).ok()?.try_into().ok()?;
    Some(Key::new(None, PublicKey::Ed25519(bytes)))
}

fn read(json: &[u8]) -> Result<Map<'_>, SignedError> {
    if json.len() > MAX_OBJECT {
        return Err(SignedError::Malformed);
    }
    json::object(json).map_err(|_| SignedError::Malformed)
}

fn text<'a>(object: &'a Map<'_>, name: &str) -> Result<&'a str, SignedError> {
    object.get(name).and_then(Value::as_str).ok_or(SignedError::Field)
}

fn optional<'a>(object: &'a Map<'_>, name: &str) -> Result<Option<&'a str>, SignedError> {
    match object.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(SignedError::Field),
    }
}

fn flag(object: &Map<'_>, name: &str) -> Result<bool, SignedError> {
    object.get(name).and_then(Value::as_bool).ok_or(SignedError::Field)
}

/// Unix seconds as a string, the text and the moment.
fn seconds<'a>(object: &'a Map<'_>, name: &str) -> Result<(&'a str, Timestamp), SignedError> {
    let text = text(object, name)?;
    let plain = all_digits(text) && !text.starts_with('0') && text.len() <= 12;
    let at = plain.then(|| text.parse().ok()).flatten().map(Timestamp::from_unix_seconds);
    at.filter(|at| at.is_plausible()).map(|at| (text, at)).ok_or(SignedError::Field)
}

fn signature(object: &Map<'_>) -> Result<[u8; 64], SignedError> {
    let text = optional(object, "signature")?.filter(|text| !text.is_empty());
    let bytes = STANDARD.decode(text.ok_or(SignedError::NotSigned)?);
    bytes.ok().and_then(|bytes| bytes.try_into().ok()).ok_or(SignedError::Signature)
}

fn all_digits(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Names of events and methods; no digit and no lower case, so that they end where they should.
fn is_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_')
}
