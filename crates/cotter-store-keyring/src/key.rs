//! The sealing key in the keyring; the records lie elsewhere.

use core::fmt;
use core::time::Duration;
use std::path::PathBuf;
use std::sync::Arc;

use cotter_core::{Entropy, SecretBytes, StoreError, StoreErrorKind};
use cotter_seal::{KeySource, Keys, SealKey};

use crate::backend::Backend;
use crate::locks::Locks;
use crate::manifest::hex;
use crate::worker::Worker;

/// The sealing key of a file store or a sled store, kept in a keyring: the recommended arrangement.
///
/// The entry holds keys as lines of base64, the newest first. One that is there is never
/// overwritten: a key is made only where the store that asks says that it has no record yet and the
/// entry is absent, under a lock of its own, and then it is read back.
pub struct KeyringKey {
    entry: String,
    description: String,
    locks: Arc<Locks>,
    worker: Worker,
}

impl KeyringKey {
    /// The key called `label` in the operating system's own keyring, with its lock file in the
    /// [`runtime_folder`](crate::runtime_folder); each call is given five seconds.
    ///
    /// Stores that share a label share a key; `cotter` is the one of the program `cotter`. Asks
    /// nothing of the keyring yet.
    ///
    /// # Errors
    /// As [`with_backend`](Self::with_backend).
    #[cfg(all(feature = "native", any(target_os = "linux", target_os = "macos", windows)))]
    pub fn native(label: &str) -> Result<Self, StoreError> {
        let (backend, locks) = (crate::OsKeyring::native(), crate::runtime_folder());
        Self::with_backend(backend, label, locks, crate::store::DEADLINE)
    }

    /// The key called `label` in `backend`, with its lock file in `locks`
    /// ([`runtime_folder`](crate::runtime_folder)).
    ///
    /// Stores that share a label share a key. The label itself does not get into the keyring; a hash
    /// of it does. Asks nothing of the keyring yet; a call that has no answer within `deadline`
    /// fails.
    ///
    /// # Errors
    /// If the folder can't be used, or no thread can be started.
    pub fn with_backend(
        backend: impl Backend + 'static,
        label: &str,
        locks: impl Into<PathBuf>,
        deadline: Duration,
    ) -> Result<Self, StoreError> {
        use sha2::Digest as _;
        let hash = sha2::Sha256::new().chain_update(b"cotter key ").chain_update(label).finalize();
        let entry = format!("key-{}", hex(&hash[..16]));
        Ok(Self {
            description: format!("the keyring's entry {entry} of the service cotter"),
            entry,
            locks: Arc::new(Locks::open(locks.into())?),
            worker: Worker::start(Box::new(backend), deadline)?,
        })
    }

    /// Makes a new key, which seals from now on, and keeps the old ones, which still open.
    ///
    /// Open the store again and reseal it, as well as every other store of this label; when all that
    /// has ended, [`forget_old_keys`](Self::forget_old_keys).
    ///
    /// # Errors
    /// `KeyMissing` if the keyring has none yet, which making a store is for; `Timeout` if it gave no
    /// answer, in which case the key may be there; what else the keyring says.
    pub fn add_key(&self, entropy: &dyn Entropy) -> Result<(), StoreError> {
        let key = SealKey::generate(entropy)?;
        self.change(move |keys| Keys::new(key).with_old_keys(keys))
    }

    /// Keeps the newest key alone: what an older one sealed can't be opened any more.
    ///
    /// # Errors
    /// As [`add_key`](Self::add_key).
    pub fn forget_old_keys(&self) -> Result<(), StoreError> {
        self.change(|keys| Keys::new(keys.newest().duplicate()))
    }

    /// Puts what `change` makes of the keys in their place, and reads it back.
    fn change(&self, change: impl FnOnce(Keys) -> Keys + Send + 'static) -> Result<(), StoreError> {
        let (entry, locks) = (self.entry.clone(), Arc::clone(&self.locks));
        let missing = self.missing();
        self.worker.run(move |backend, end| {
            let _held = locks.cas(&entry, end)?;
            let found = backend.get(&entry)?.ok_or(missing)?;
            put(backend, &entry, &text(&change(read(&found)?)))
        })
    }

    fn missing(&self) -> StoreError {
        StoreError::new(
            StoreErrorKind::KeyMissing,
            "the keyring is open and has no sealing key for these records",
        )
        .with_hint(format!(
            "bring back {}, or move the records away and sign in again",
            self.description
        ))
    }
}

impl KeySource for KeyringKey {
    fn kind(&self) -> &str {
        "keyring"
    }

    fn describe(&self) -> &str {
        &self.description
    }

    fn keys(&self, _parameters: &[u8]) -> Result<Keys, StoreError> {
        let entry = self.entry.clone();
        let found = self.worker.run(move |backend, _| backend.get(&entry))?;
        read(&found.ok_or_else(|| self.missing())?)
    }

    fn create_if_absent(&self, entropy: &dyn Entropy) -> Result<Vec<u8>, StoreError> {
        // Drawn here, since the entropy can't go to the worker; it is forgotten if not needed.
        let key = SealKey::generate(entropy)?;
        let text = text(&Keys::new(key));
        let (entry, locks) = (self.entry.clone(), Arc::clone(&self.locks));
        self.worker.run(move |backend, end| {
            let _held = locks.cas(&entry, end)?;
            match backend.get(&entry)? {
                Some(_) => Ok(()),
                None => put(backend, &entry, &text),
            }
        })?;
        Ok(Vec::new())
    }
}

fn put(backend: &mut dyn Backend, entry: &str, text: &SecretBytes) -> Result<(), StoreError> {
    backend.set(entry, text)?;
    match backend.get(entry)? {
        Some(back) if back == *text => Ok(()),
        _ => Err(StoreError::new(
            StoreErrorKind::Other,
            "the keyring does not give back the key that was put in",
        )
        .with_hint("keep the key in a file instead")),
    }
}

/// One key is its base64 and nothing else; more of them are lines.
fn text(keys: &Keys) -> SecretBytes {
    let mut text = SecretBytes::with_capacity(48 * keys.iter().count());
    for key in keys.iter() {
        if !text.is_empty() {
            text.extend_from_slice(b"\n");
        }
        text.extend_from_slice(key.to_base64().as_bytes());
    }
    text
}

fn read(secret: &SecretBytes) -> Result<Keys, StoreError> {
    let wrong = || {
        StoreError::new(StoreErrorKind::KeyWrong, "what the keyring has for a key is none")
            .with_hint("each line of the entry must be base64 of 32 bytes")
    };
    let text = core::str::from_utf8(secret.expose()).map_err(|_| wrong())?;
    let mut keys: Option<Keys> = None;
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        let key = SealKey::from_base64(line).map_err(|_| wrong())?;
        keys = Some(match keys {
            Some(keys) => keys.with_old(key),
            None => Keys::new(key),
        });
    }
    keys.ok_or_else(wrong)
}

impl fmt::Debug for KeyringKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyringKey").field("entry", &self.entry).finish_non_exhaustive()
    }
}
