//! Sealing keys and their names.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cotter_core::{Entropy, SecretBytes, StoreError, StoreErrorKind};
use zeroize::{Zeroize, Zeroizing};

use crate::derive;

/// Names a sealing key without telling anything about it: 8 bytes derived from the key by HKDF.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyId([u8; 8]);

impl KeyId {
    /// How many bytes an id has.
    pub const LENGTH: usize = 8;

    /// An id that was stored.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; Self::LENGTH]) -> Self {
        Self(bytes)
    }

    /// The bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; Self::LENGTH] {
        &self.0
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The 32 bytes that everything in a store is sealed with; wiped when dropped.
///
/// ```
/// use cotter_seal::SealKey;
///
/// let key = SealKey::from_bytes([7; 32]);
/// assert_eq!(format!("{key:?}"), format!("SealKey({})", key.id()));
/// assert_eq!(SealKey::from_base64(key.to_base64().as_str())?.id(), key.id());
/// # Ok::<(), cotter_core::StoreError>(())
/// ```
pub struct SealKey(Zeroizing<[u8; 32]>);

impl SealKey {
    /// How many bytes a key has.
    pub const LENGTH: usize = 32;

    /// A key from random bytes.
    #[must_use]
    pub fn from_bytes(bytes: [u8; Self::LENGTH]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// A key from its standard base64 form; white space around it is ignored.
    ///
    /// # Errors
    /// [`StoreErrorKind::KeyWrong`] if the text is not base64 of 32 bytes.
    pub fn from_base64(text: &str) -> Result<Self, StoreError> {
        let wrong = || {
            StoreError::new(StoreErrorKind::KeyWrong, "the sealing key is not base64 of 32 bytes")
                .with_hint("`openssl rand -base64 32` makes one")
        };
        let text = text.trim();
        // Room for what decodes to a byte too many, so that nothing is reallocated unwiped.
        let mut decoded = Zeroizing::new(Vec::with_capacity(text.len()));
        STANDARD.decode_vec(text, &mut decoded).map_err(|_| wrong())?;
        let mut key = Zeroizing::new([0; Self::LENGTH]);
        if decoded.len() != key.len() {
            return Err(wrong());
        }
        key.copy_from_slice(&decoded);
        Ok(Self(key))
    }

    /// A new key.
    ///
    /// # Errors
    /// [`StoreErrorKind::Unavailable`] if there is no randomness.
    pub fn generate(entropy: &dyn Entropy) -> Result<Self, StoreError> {
        let mut key = Zeroizing::new([0; Self::LENGTH]);
        crate::fill(entropy, key.as_mut_slice())?;
        Ok(Self(key))
    }

    /// The key as standard base64, as [`from_base64`](Self::from_base64) reads it.
    #[must_use]
    pub fn to_base64(&self) -> Zeroizing<String> {
        let mut text = Zeroizing::new(String::with_capacity(48));
        STANDARD.encode_string(self.0.as_slice(), &mut text);
        text
    }

    /// The key's name.
    #[must_use]
    pub fn id(&self) -> KeyId {
        KeyId(*derive::expand(self.expose(), &[0; 32], b"key id"))
    }

    /// The bytes.
    #[must_use]
    pub fn expose(&self) -> &[u8; Self::LENGTH] {
        &self.0
    }

    /// A second copy of the secret.
    #[must_use]
    pub fn duplicate(&self) -> Self {
        Self(self.0.clone())
    }

    /// A key from bytes that a key source kept.
    ///
    /// # Errors
    /// [`StoreErrorKind::KeyWrong`] if there are not 32.
    pub fn from_secret(bytes: &SecretBytes) -> Result<Self, StoreError> {
        let mut key = <[u8; Self::LENGTH]>::try_from(bytes.expose()).map_err(|_| {
            StoreError::new(StoreErrorKind::KeyWrong, "the sealing key is not 32 bytes long")
        })?;
        let made = Self::from_bytes(key);
        key.zeroize();
        Ok(made)
    }
}

impl fmt::Debug for SealKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealKey({})", self.id())
    }
}

/// One or more sealing keys: the first seals, all of them open.
#[derive(Debug)]
pub struct Keys(Vec<SealKey>);

impl Keys {
    /// The key that seals.
    #[must_use]
    pub fn new(newest: SealKey) -> Self {
        Self(Vec::from([newest]))
    }

    /// The same keys, and an older one that opens what was sealed with it.
    #[must_use]
    pub fn with_old(mut self, old: SealKey) -> Self {
        self.0.push(old);
        self
    }

    /// The same keys, and behind them others that open what was sealed with them.
    #[must_use]
    pub fn with_old_keys(mut self, old: Self) -> Self {
        self.0.extend(old.0);
        self
    }

    /// All of them, the newest first.
    pub fn iter(&self) -> impl Iterator<Item = &SealKey> + '_ {
        self.0.iter()
    }

    /// The key that seals.
    #[must_use]
    pub fn newest(&self) -> &SealKey {
        // Never empty: there is no way to take a key out.
        &self.0[0]
    }

    /// The key of that name.
    #[must_use]
    pub fn find(&self, id: KeyId) -> Option<&SealKey> {
        self.0.iter().find(|key| key.id() == id)
    }

    /// The names of all keys, the newest first.
    pub fn ids(&self) -> impl Iterator<Item = KeyId> + '_ {
        self.0.iter().map(SealKey::id)
    }

    /// A second copy of every secret.
    #[must_use]
    pub fn duplicate(&self) -> Self {
        Self(self.0.iter().map(SealKey::duplicate).collect())
    }
}
