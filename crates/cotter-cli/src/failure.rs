//! What goes wrong, as an exit code, a code for programs, and two lines for people.

use core::error::Error as _;
use core::fmt::Write as _;

use cotter::core::Unfit;
use cotter::{Error, ErrorKind, SignInReason, StoreError, StoreErrorKind};

/// Names a failure for programs; the exit code follows from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Code {
    Output,
    Usage,
    SignInRequired,
    Refused,
    RotationLost,
    Unavailable,
    Uncertain,
    Locked,
    Store,
    KeyMissing,
    KeyWrong,
    Damaged,
    Full,
    TooNew,
    InvalidToken,
    Config,
    Protocol,
}

impl Code {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Output => "output",
            Self::Usage => "usage",
            Self::SignInRequired => "sign_in_required",
            Self::Refused => "refused",
            Self::RotationLost => "rotation_lost",
            Self::Unavailable => "unavailable",
            Self::Uncertain => "uncertain",
            Self::Locked => "locked",
            Self::Store => "store",
            Self::KeyMissing => "key_missing",
            Self::KeyWrong => "key_wrong",
            Self::Damaged => "damaged",
            Self::Full => "full",
            Self::TooNew => "too_new",
            Self::InvalidToken => "invalid_token",
            Self::Config => "config",
            Self::Protocol => "protocol",
        }
    }

    pub(crate) const fn exit(self) -> u8 {
        match self {
            Self::Output => 1,
            Self::Usage => 2,
            Self::SignInRequired | Self::Refused | Self::RotationLost => 3,
            Self::Unavailable | Self::Uncertain | Self::Locked => 4,
            Self::Store
            | Self::KeyMissing
            | Self::KeyWrong
            | Self::Damaged
            | Self::Full
            | Self::TooNew => 5,
            Self::InvalidToken => 6,
            Self::Config | Self::Protocol => 7,
        }
    }

    const fn hint(self) -> &'static str {
        match self {
            Self::Output => "nothing is wrong with the session; run it again",
            Self::Usage => "see `cotter --help`",
            Self::SignInRequired => {
                "sign in, and store what the login returned: cotter import FILE"
            }
            Self::Refused => {
                "sign in again: cotter import FILE; `cotter token --force-refresh` asks the server once more"
            }
            Self::RotationLost => {
                "sign in again: cotter import FILE; the server has replaced the refresh token, \
                 and its answer never arrived here"
            }
            Self::Unavailable => "try again; `cotter doctor` says what is reachable",
            Self::Uncertain => "try again in a moment; nothing is lost yet",
            Self::Locked => {
                "try again, or wait longer with --lock-timeout; `cotter doctor` names the holder"
            }
            Self::Store => "`cotter doctor` says which store is used, and why",
            Self::KeyMissing => {
                "set COTTER_STORE_KEY to the key of this store, or make its key source available; \
                 without it the folder can only be removed, and a sign-in begins anew"
            }
            Self::KeyWrong => {
                "give the key that this store was made with (COTTER_STORE_KEY), \
                 or an older one in COTTER_STORE_KEY_OLD"
            }
            Self::Damaged => "sign in again: cotter import FILE, which replaces the record",
            Self::Full => "make room, then try again; the refresh token was not spent",
            Self::TooNew => "update cotter; nothing was touched",
            Self::InvalidToken => "give a JWT: three parts of base64url, separated by dots",
            Self::Config => "check --api-key-id and --base-url; `cotter doctor` helps",
            Self::Protocol => {
                "try again; if it stays so, report it with the output of `cotter doctor`"
            }
        }
    }
}

/// Why the program ends without having done what it was asked.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    pub(crate) code: Code,
    pub(crate) message: String,
    pub(crate) hint: String,
}

impl Failure {
    /// A failure with the code's usual advice; `message` must hold no secret.
    pub(crate) fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), hint: code.hint().to_owned() }
    }

    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(Code::Usage, message)
    }

    pub(crate) fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = hint.into();
        self
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let code = code(&error);
        let stored = store_error(&error);
        // "the token store failed" adds nothing to what the store itself says.
        let message = match stored {
            Some(stored) if error.kind() == ErrorKind::Store => chain(stored),
            _ => chain(&error),
        };
        let mut failure = Self::new(code, message);
        if code == Code::Protocol && is_of_another_user(&error) {
            "sign in again: cotter import FILE".clone_into(&mut failure.hint);
        }
        if let Some(hint) = stored.and_then(StoreError::hint) {
            hint.clone_into(&mut failure.hint);
        }
        if let Some(after) = error.retry_after().filter(|after| after.as_secs() > 0) {
            // Who comes back in the last second of a token's rest comes too early.
            let up = u64::from(code == Code::Uncertain && after.subsec_nanos() > 0);
            failure.hint = format!("try again in {} s", after.as_secs().saturating_add(up));
        }
        failure
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Error::from(error).into()
    }
}

/// Whether a set is held back for whose it is: nothing is exchanged any more then.
fn is_of_another_user(error: &Error) -> bool {
    let said = error.to_string();
    [Unfit::OtherUser, Unfit::MixedUsers].iter().any(|unfit| said.contains(&unfit.to_string()))
}

/// The store's error beneath, also where another kind wraps it.
fn store_error(error: &Error) -> Option<&StoreError> {
    error.store_error().or_else(|| error.source()?.downcast_ref())
}

fn code(error: &Error) -> Code {
    match error.kind() {
        ErrorKind::Config => Code::Config,
        ErrorKind::Denied => Code::Refused,
        ErrorKind::SignInRequired(SignInReason::Refused) => Code::Refused,
        ErrorKind::SignInRequired(SignInReason::RotationLost) => Code::RotationLost,
        ErrorKind::SignInRequired(_) => Code::SignInRequired,
        ErrorKind::Store => error.store_error().map_or(Code::Store, |error| store(error.kind())),
        ErrorKind::Unavailable { uncertain: true, .. } => Code::Uncertain,
        ErrorKind::Unavailable { .. } => match store_error(error).map(StoreError::kind) {
            Some(StoreErrorKind::Locked) => Code::Locked,
            _ => Code::Unavailable,
        },
        // What there will be some day is nothing that this program can make sense of.
        _ => Code::Protocol,
    }
}

const fn store(kind: StoreErrorKind) -> Code {
    match kind {
        StoreErrorKind::Damaged => Code::Damaged,
        StoreErrorKind::Full => Code::Full,
        StoreErrorKind::KeyMissing => Code::KeyMissing,
        StoreErrorKind::KeyWrong => Code::KeyWrong,
        StoreErrorKind::Locked => Code::Locked,
        StoreErrorKind::TooNew => Code::TooNew,
        _ => Code::Store,
    }
}

/// An error and all that lies beneath it, on one line.
pub(crate) fn chain(error: &dyn core::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let said = error.to_string();
        if !text.contains(&said) {
            // Writing into a string cannot fail.
            let _ = write!(text, ": {said}");
        }
        source = error.source();
    }
    text.replace(['\n', '\r'], " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(error: Error) -> (&'static str, u8) {
        let failure = Failure::from(error);
        assert!(!failure.message.is_empty() && !failure.hint.is_empty(), "{failure:?}");
        assert!(!failure.message.contains('\n') && !failure.hint.contains('\n'), "{failure:?}");
        (failure.code.as_str(), failure.code.exit())
    }

    #[test]
    fn every_kind_of_error_has_its_code() {
        let sign_in = |reason| of(Error::sign_in_required(reason));
        assert_eq!(sign_in(SignInReason::NeverSignedIn), ("sign_in_required", 3));
        assert_eq!(sign_in(SignInReason::SignedOut), ("sign_in_required", 3));
        assert_eq!(sign_in(SignInReason::NoRefreshToken), ("sign_in_required", 3));
        assert_eq!(sign_in(SignInReason::Refused), ("refused", 3));
        assert_eq!(sign_in(SignInReason::RotationLost), ("rotation_lost", 3));
        assert_eq!(of(Error::new(ErrorKind::Denied, "no")), ("refused", 3));
        assert_eq!(of(Error::unavailable("x", None, false)), ("unavailable", 4));
        assert_eq!(of(Error::unavailable("x", None, true)), ("uncertain", 4));
        assert_eq!(of(Error::config("x")), ("config", 7));
        assert_eq!(of(Error::protocol("x")), ("protocol", 7));
        let held = StoreError::new(StoreErrorKind::Locked, "held");
        assert_eq!(of(Error::unavailable("x", None, false).with_source(held)), ("locked", 4));
    }

    #[test]
    fn every_kind_of_store_error_has_its_code() {
        for (kind, expected) in [
            (StoreErrorKind::Damaged, ("damaged", 5)),
            (StoreErrorKind::Forbidden, ("store", 5)),
            (StoreErrorKind::Full, ("full", 5)),
            (StoreErrorKind::KeyMissing, ("key_missing", 5)),
            (StoreErrorKind::KeyWrong, ("key_wrong", 5)),
            (StoreErrorKind::Locked, ("locked", 4)),
            (StoreErrorKind::Other, ("store", 5)),
            (StoreErrorKind::ReadOnly, ("store", 5)),
            (StoreErrorKind::Timeout, ("store", 5)),
            (StoreErrorKind::TooLarge, ("store", 5)),
            (StoreErrorKind::TooNew, ("too_new", 5)),
            (StoreErrorKind::Unavailable, ("store", 5)),
            (StoreErrorKind::Unsupported, ("store", 5)),
        ] {
            assert_eq!(of(StoreError::new(kind, "x").into()), expected, "{kind:?}");
        }
    }

    #[test]
    fn the_stores_own_advice_comes_first() {
        let error = StoreError::new(StoreErrorKind::Full, "no space left").with_hint("buy a disk");
        let failure = Failure::from(error);
        assert_eq!(
            (failure.message.as_str(), failure.hint.as_str()),
            ("no space left", "buy a disk")
        );
    }
}
