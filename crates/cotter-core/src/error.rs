//! What went wrong, said as what the caller can do next.

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::sync::Arc;
use core::fmt;
use core::time::Duration;

use crate::store::StoreError;
use crate::transport::TransportError;

/// What the caller can do next.
///
/// ```
/// use cotter_core::{Error, ErrorKind};
///
/// fn what_to_do(error: &Error) -> &'static str {
///     match error.kind() {
///         ErrorKind::SignInRequired(_) => "show the login page",
///         ErrorKind::Unavailable { .. } => "try again later",
///         ErrorKind::Store => "look at the source: locked, full, damaged, another key",
///         ErrorKind::Config => "fix the set-up",
///         _ => "report it",
///     }
/// }
///
/// assert_eq!(what_to_do(&Error::unavailable("the server is down", None, false)), "try again later");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// Fix the call or the set-up: wrong API key, wrong address, a store that cannot do the job.
    Config,
    /// Tell the user: they or the server said no.
    Denied,
    /// Report a bug: the server's answer made no sense.
    Protocol,
    /// Start a sign-in; the reason says why.
    SignInRequired(SignInReason),
    /// Look at the source: locked, full, damaged, key missing, key wrong, too new.
    Store,
    /// Try later.
    Unavailable {
        /// How long the server, or the back-off, asks to wait.
        retry_after: Option<Duration>,
        /// Whether the refresh token, or a login's code, may have been spent: the server got it,
        /// its answer was lost.
        uncertain: bool,
    },
}

/// Why a sign-in is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SignInReason {
    /// Nothing is stored under this key.
    NeverSignedIn,
    /// Somebody signed out.
    SignedOut,
    /// The server refused the refresh token.
    Refused,
    /// The server refused a refresh token whose rotation was cut off earlier: the answer that held
    /// its successor never arrived.
    RotationLost,
    /// The access token has ended and there is no refresh token to get another with.
    NoRefreshToken,
}

/// What a server said beside its status, cleaned: at most 200 printable characters, no secret.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerSaid {
    /// The HTTP status.
    pub status: u16,
    /// The error code: OAuth's `error`, Cotter's `type`.
    pub code: Option<String>,
    /// The text: OAuth's `error_description`, Cotter's `msg`.
    pub message: Option<String>,
}

impl ServerSaid {
    /// An answer with this status and nothing readable in it.
    #[must_use]
    pub const fn status(status: u16) -> Self {
        Self { status, code: None, message: None }
    }
}

impl fmt::Display for ServerSaid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HTTP {}", self.status)?;
        for part in
            [&self.code, &self.message].into_iter().flatten().filter(|part| !part.is_empty())
        {
            write!(f, ", {part}")?;
        }
        Ok(())
    }
}

/// Any failure of a session.
///
/// Cheap to clone: all callers that waited for one exchange get the same error. Its text is one
/// line, holds no token, URL or body, and does not repeat the [source](core::error::Error::source).
///
/// ```
/// use cotter_core::{Error, ErrorKind};
///
/// let error = Error::config("the API key id is empty");
/// assert_eq!(error.kind(), ErrorKind::Config);
/// assert_eq!(error.to_string(), "the API key id is empty");
/// ```
#[derive(Clone)]
pub struct Error(Arc<Inner>);

struct Inner {
    kind: ErrorKind,
    message: Cow<'static, str>,
    server: Option<ServerSaid>,
    source: Option<Source>,
}

#[derive(Clone, Debug)]
enum Source {
    Store(Arc<StoreError>),
    Transport(Arc<TransportError>),
    Other(Arc<dyn core::error::Error + Send + Sync>),
}

impl Error {
    /// An error of this kind; `message` must hold no secret.
    #[must_use]
    pub fn new(kind: ErrorKind, message: impl Into<Cow<'static, str>>) -> Self {
        Self(Arc::new(Inner { kind, message: message.into(), server: None, source: None }))
    }

    /// Fix the call or the set-up.
    #[must_use]
    pub fn config(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::Config, message)
    }

    /// The answer made no sense.
    #[must_use]
    pub fn protocol(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::Protocol, message)
    }

    /// Start a sign-in.
    #[must_use]
    pub fn sign_in_required(reason: SignInReason) -> Self {
        let message = match reason {
            SignInReason::NeverSignedIn => "nobody is signed in",
            SignInReason::SignedOut => "the session was signed out",
            SignInReason::Refused => "the server refused the refresh token",
            SignInReason::RotationLost => {
                "the refresh token was spent by an exchange whose answer was lost"
            }
            SignInReason::NoRefreshToken => {
                "the access token has ended and there is no refresh token"
            }
        };
        Self::new(ErrorKind::SignInRequired(reason), message)
    }

    /// Try later.
    #[must_use]
    pub fn unavailable(
        message: impl Into<Cow<'static, str>>,
        retry_after: Option<Duration>,
        uncertain: bool,
    ) -> Self {
        Self::new(ErrorKind::Unavailable { retry_after, uncertain }, message)
    }

    /// The same error, with what the server said.
    #[must_use]
    pub fn with_server(self, said: ServerSaid) -> Self {
        self.rebuild(|inner| inner.server = Some(said))
    }

    /// The same error, with another error beneath it.
    #[must_use]
    pub fn with_source(self, source: impl core::error::Error + Send + Sync + 'static) -> Self {
        self.rebuild(|inner| inner.source = Some(Source::Other(Arc::new(source))))
    }

    /// The same error, with the transport's beneath it.
    #[must_use]
    pub fn with_transport(self, source: TransportError) -> Self {
        self.rebuild(|inner| inner.source = Some(Source::Transport(Arc::new(source))))
    }

    fn rebuild(self, change: impl FnOnce(&mut Inner)) -> Self {
        let mut inner = Inner {
            kind: self.0.kind,
            message: self.0.message.clone(),
            server: self.0.server.clone(),
            source: self.0.source.clone(),
        };
        change(&mut inner);
        Self(Arc::new(inner))
    }

    /// What the caller can do next.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// How long to wait before trying again, where that is known.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self.0.kind {
            ErrorKind::Unavailable { retry_after, .. } => retry_after,
            _ => None,
        }
    }

    /// Whether trying again later may help without anybody changing anything.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(self.0.kind, ErrorKind::Unavailable { .. })
    }

    /// Whether the user has to sign in (again).
    #[must_use]
    pub fn needs_sign_in(&self) -> bool {
        matches!(self.0.kind, ErrorKind::SignInRequired(_))
    }

    /// What the server said, where it said something.
    #[must_use]
    pub fn server(&self) -> Option<&ServerSaid> {
        self.0.server.as_ref()
    }

    /// The store's own error, where a store failed.
    #[must_use]
    pub fn store_error(&self) -> Option<&StoreError> {
        match &self.0.source {
            Some(Source::Store(error)) => Some(error),
            _ => None,
        }
    }

    /// The transport's own error, where a request failed.
    #[must_use]
    pub fn transport_error(&self) -> Option<&TransportError> {
        match &self.0.source {
            Some(Source::Transport(error)) => Some(error),
            _ => None,
        }
    }
}

impl From<StoreError> for Error {
    fn from(source: StoreError) -> Self {
        Self(Arc::new(Inner {
            kind: ErrorKind::Store,
            message: Cow::Borrowed("the token store failed"),
            server: None,
            source: Some(Source::Store(Arc::new(source))),
        }))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)?;
        match &self.0.server {
            Some(said) => write!(f, " ({said})"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.0.kind)
            .field("message", &self.0.message)
            .field("server", &self.0.server)
            .field("source", &self.0.source)
            .finish()
    }
}

impl core::error::Error for Error {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self.0.source.as_ref()? {
            Source::Store(error) => Some(error.as_ref()),
            Source::Transport(error) => Some(error.as_ref()),
            Source::Other(error) => Some(error.as_ref()),
        }
    }
}
