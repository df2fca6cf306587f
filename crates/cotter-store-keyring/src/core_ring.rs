//! The operating system's keyrings, through keyring-core.

use core::fmt;
use std::sync::Arc;

use cotter_core::{SecretBytes, StoreError, StoreErrorKind};
use keyring_core::{CredentialStore, Entry, Error};
use zeroize::Zeroizing;

use crate::backend::Backend;

const SERVICE: &str = "cotter";

/// Connects to a keyring; called again when a connection has broken.
type Connect = fn() -> Result<Arc<CredentialStore>, Error>;

/// Says why a keyring that claims to have no such entry might be wrong.
type Doubt = fn() -> Result<(), StoreError>;

/// A keyring of the operating system: the Secret Service on Linux, the Keychain on macOS, the
/// Credential Manager on Windows; or, where asked for, the kernel's.
pub struct OsKeyring {
    what: &'static str,
    connect: Connect,
    doubt: Option<Doubt>,
    max_secret: Option<usize>,
    store: Option<Arc<CredentialStore>>,
}

impl OsKeyring {
    /// The keyring that belongs to the user's desktop or login.
    ///
    /// Asks nothing of it yet. Windows takes at most 2560 bytes in an entry; longer records are
    /// split.
    #[must_use]
    #[cfg(all(feature = "native", any(target_os = "linux", target_os = "macos", windows)))]
    pub fn native() -> Self {
        #[cfg(target_os = "linux")]
        let (what, connect, doubt, max_secret): (_, Connect, Option<Doubt>, _) = (
            "the Secret Service",
            || Ok(dbus_secret_service_keyring_store::Store::new()?),
            Some(crate::secret_service::usable),
            None,
        );
        #[cfg(target_os = "macos")]
        let (what, connect, doubt, max_secret): (_, Connect, Option<Doubt>, _) = (
            "the Keychain",
            || Ok(apple_native_keyring_store::keychain::Store::new()?),
            None,
            None,
        );
        #[cfg(windows)]
        let (what, connect, doubt, max_secret): (_, Connect, Option<Doubt>, _) = (
            "the Credential Manager",
            || Ok(windows_native_keyring_store::Store::new()?),
            None,
            Some(2560),
        );
        Self { what, connect, doubt, max_secret, store: None }
    }

    /// The Linux kernel's keyring: of this login session and, where the kernel has it, of this
    /// user; nothing survives a reboot, and users other than root have 20 000 bytes in all.
    #[must_use]
    #[cfg(all(feature = "keyutils", target_os = "linux"))]
    pub fn keyutils() -> Self {
        Self {
            what: "the kernel's keyring",
            connect: || Ok(linux_keyutils_keyring_store::Store::new()?),
            doubt: None,
            max_secret: Some(30_000),
            store: None,
        }
    }

    /// What it is called, for people.
    #[must_use]
    pub const fn what(&self) -> &'static str {
        self.what
    }

    fn call<T>(
        &mut self,
        name: &str,
        call: impl Fn(&Entry) -> Result<T, Error>,
    ) -> Result<T, Failure> {
        let fresh = self.store.is_none();
        match self.call_once(name, &call) {
            // The daemon may have been started again since; a write that is repeated is the same.
            Err(Failure::Broken(_)) if !fresh => self.call_once(name, &call),
            other => other,
        }
    }

    fn call_once<T>(
        &mut self,
        name: &str,
        call: impl Fn(&Entry) -> Result<T, Error>,
    ) -> Result<T, Failure> {
        let store = match &self.store {
            Some(store) => Arc::clone(store),
            None => {
                let store = (self.connect)().map_err(|error| self.failure(error))?;
                self.store = Some(Arc::clone(&store));
                store
            }
        };
        let result = store.build(SERVICE, name, None).and_then(|entry| call(&entry));
        result.map_err(|error| self.failure(error))
    }

    fn failure(&mut self, error: Error) -> Failure {
        let what = self.what;
        let build = |kind, message: String, hint, said: Option<String>| {
            let error = StoreError::new(kind, message).with_hint(hint);
            match said {
                Some(said) => error.with_source(Said(said)),
                None => error,
            }
        };
        match error {
            Error::NoEntry => Failure::NoEntry,
            Error::NoStorageAccess(error) => {
                self.store = None;
                Failure::Named(build(
                    StoreErrorKind::Locked,
                    format!("{what} is locked"),
                    LOCKED_HINT,
                    Some(printable(&error.to_string())),
                ))
            }
            Error::PlatformFailure(error) => {
                self.store = None;
                let said = printable(&error.to_string());
                Failure::Broken(build(
                    StoreErrorKind::Unavailable,
                    format!("{what} does not answer"),
                    UNAVAILABLE_HINT,
                    Some(said),
                ))
            }
            Error::TooLong(..) => Failure::Named(build(
                StoreErrorKind::TooLarge,
                format!("{what} takes no entry that long"),
                "use the file store, with its key in the keyring",
                None,
            )),
            Error::NoDefaultStore => Failure::Named(build(
                StoreErrorKind::Unavailable,
                format!("{what} is not there"),
                UNAVAILABLE_HINT,
                None,
            )),
            Error::Ambiguous(_) => Failure::Named(build(
                StoreErrorKind::Damaged,
                format!("{what} has several entries of one name"),
                "remove all entries of the service cotter but the newest",
                None,
            )),
            // Those that carry the secret's bytes are among these: nothing of them is kept.
            _ => Failure::Named(build(
                StoreErrorKind::Other,
                format!("{what} failed"),
                "try the file store",
                None,
            )),
        }
    }

    /// The keyring says that there is nothing; a locked one may say so too.
    fn believe_absence(&self) -> Result<(), StoreError> {
        self.doubt.map_or(Ok(()), |doubt| doubt())
    }
}

enum Failure {
    NoEntry,
    /// The connection is worth another try.
    Broken(StoreError),
    Named(StoreError),
}

pub(crate) const LOCKED_HINT: &str =
    "unlock the keyring: log in to the desktop, or run `gnome-keyring-daemon --unlock`";
pub(crate) const UNAVAILABLE_HINT: &str = "start a keyring daemon in this login session (gnome-keyring, \
     KWallet, KeePassXC; over ssh and in containers there is none), or use the file store with its \
     key in a file or in the environment";

impl Backend for OsKeyring {
    fn max_secret(&self) -> Option<usize> {
        self.max_secret
    }

    fn get(&mut self, name: &str) -> Result<Option<SecretBytes>, StoreError> {
        match self.call(name, Entry::get_secret) {
            Ok(secret) => Ok(Some(SecretBytes::from(secret))),
            Err(Failure::NoEntry) => self.believe_absence().map(|()| None),
            Err(Failure::Broken(error) | Failure::Named(error)) => Err(error),
        }
    }

    fn set(&mut self, name: &str, secret: &SecretBytes) -> Result<(), StoreError> {
        let secret = Zeroizing::new(secret.expose().to_vec());
        match self.call(name, |entry| entry.set_secret(&secret)) {
            Ok(()) => Ok(()),
            Err(Failure::NoEntry) => Err(StoreError::new(
                StoreErrorKind::Other,
                "the keyring lost the entry while it was written",
            )),
            Err(Failure::Broken(error) | Failure::Named(error)) => Err(error),
        }
    }

    fn delete(&mut self, name: &str) -> Result<(), StoreError> {
        match self.call(name, Entry::delete_credential) {
            Ok(()) => Ok(()),
            Err(Failure::NoEntry) => self.believe_absence(),
            Err(Failure::Broken(error) | Failure::Named(error)) => Err(error),
        }
    }
}

impl fmt::Debug for OsKeyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OsKeyring").field("what", &self.what).finish_non_exhaustive()
    }
}

/// What the keyring said, cut down to what can be printed.
#[derive(Debug)]
pub(crate) struct Said(pub(crate) String);

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl core::error::Error for Said {}

pub(crate) fn printable(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(200).collect()
}
