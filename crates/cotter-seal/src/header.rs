//! The header of a store: how a wrong key is told from an empty store.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use cotter_core::{Entropy, StoreError, StoreErrorKind};
use zeroize::Zeroizing;

use crate::aead::{self, SALT};
use crate::frame::{self, Fields, damaged};
use crate::key::{KeyId, SealKey};

const LETTERS: [u8; 3] = *b"CSH";
const VERSION: u8 = 1;
const LABEL: &[u8] = b"header";
const MAX_WORD: usize = 32;
const MAX_PARAMETERS: usize = 1024;

/// What a store says about itself, readable without a key: its kind, where its sealing key was
/// when it was made, and that key's name.
#[derive(Clone, PartialEq, Eq)]
pub struct Header {
    kind: String,
    source: String,
    parameters: Vec<u8>,
    seal: Option<NameSeal>,
}

#[derive(Clone, PartialEq, Eq)]
struct NameSeal {
    key: KeyId,
    salt: [u8; SALT],
    sealed: Vec<u8>,
}

impl Header {
    /// The kind of store: `file`, `sled`, `keyring`.
    #[must_use]
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// The [kind](crate::KeySource::kind) of source that gave the sealing key; empty in a store
    /// that is not sealed.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    /// What the key source wanted kept.
    #[must_use]
    pub fn parameters(&self) -> &[u8] {
        &self.parameters
    }

    /// The sealing key's name; `None` in a store that is not sealed.
    #[must_use]
    pub fn key(&self) -> Option<KeyId> {
        self.seal.as_ref().map(|seal| seal.key)
    }

    /// Reads a stored header.
    ///
    /// # Errors
    /// `Damaged`, or `TooNew` if a newer cotter wrote it.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, StoreError> {
        let (_, body) = frame::open(bytes, LETTERS, VERSION)?;
        let mut fields = Fields(body);
        let kind = word(fields.counted()?)?;
        let source = word(fields.counted()?)?;
        let parameters = fields.counted()?.to_vec();
        let seal = match fields.array()? {
            [0] => {
                fields.end()?;
                None
            }
            [1] => Some(NameSeal {
                key: KeyId::from_bytes(fields.array()?),
                salt: fields.array()?,
                sealed: fields.0.to_vec(),
            }),
            _ => return Err(damaged("the store's header makes no sense")),
        };
        Ok(Self { kind, source, parameters, seal })
    }

    /// The bytes to store.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = self.outside();
        if let Some(seal) = &self.seal {
            bytes.extend_from_slice(&seal.sealed);
        }
        frame::close(bytes)
    }

    /// A header of a store that is not sealed.
    pub(crate) fn plain(kind: &str) -> Result<Self, StoreError> {
        Self::build(kind, "", Vec::new())
    }

    /// A header that keeps `names` under `key`.
    pub(crate) fn sealed(
        kind: &str,
        source: &str,
        parameters: Vec<u8>,
        key: &SealKey,
        names: &[u8; 32],
        entropy: &dyn Entropy,
    ) -> Result<Self, StoreError> {
        let mut header = Self::build(kind, source, parameters)?;
        let mut salt = [0; SALT];
        crate::fill(entropy, &mut salt)?;
        header.seal = Some(NameSeal { key: key.id(), salt, sealed: Vec::new() });
        let outside = header.outside();
        let mut sealed = Vec::with_capacity(names.len() + aead::TAG);
        sealed.extend_from_slice(names);
        aead::seal(key, &salt, LABEL, &outside, &mut sealed, 0)?;
        header.seal = Some(NameSeal { key: key.id(), salt, sealed });
        Ok(header)
    }

    /// The key that names are made with.
    pub(crate) fn names(&self, key: &SealKey) -> Result<Zeroizing<[u8; 32]>, StoreError> {
        let wrong = || damaged("the store's header is not what was written");
        let seal = self.seal.as_ref().ok_or_else(wrong)?;
        let opened = aead::open(key, &seal.salt, LABEL, &self.outside(), &seal.sealed);
        let opened = opened.ok_or_else(wrong)?;
        let mut names = Zeroizing::new([0; 32]);
        if opened.len() != names.len() {
            return Err(wrong());
        }
        names.copy_from_slice(opened.expose());
        Ok(names)
    }

    fn build(kind: &str, source: &str, parameters: Vec<u8>) -> Result<Self, StoreError> {
        let too_long = kind.len() > MAX_WORD || source.len() > MAX_WORD;
        if too_long || parameters.len() > MAX_PARAMETERS {
            let message = "a store's kind, key source or parameters are too long for its header";
            return Err(StoreError::new(StoreErrorKind::TooLarge, message));
        }
        Ok(Self { kind: kind.into(), source: source.into(), parameters, seal: None })
    }

    /// Everything before the sealed name key, which is bound to it.
    fn outside(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(128 + self.parameters.len());
        bytes.extend_from_slice(&LETTERS);
        bytes.push(VERSION);
        frame::put_counted(&mut bytes, self.kind.as_bytes());
        frame::put_counted(&mut bytes, self.source.as_bytes());
        frame::put_counted(&mut bytes, &self.parameters);
        match &self.seal {
            None => bytes.push(0),
            Some(seal) => {
                bytes.push(1);
                bytes.extend_from_slice(seal.key.as_bytes());
                bytes.extend_from_slice(&seal.salt);
            }
        }
        bytes
    }
}

fn word(bytes: &[u8]) -> Result<String, StoreError> {
    let printable = |byte: &u8| byte.is_ascii_graphic();
    match core::str::from_utf8(bytes) {
        Ok(word) if bytes.len() <= MAX_WORD && bytes.iter().all(printable) => Ok(word.into()),
        _ => Err(damaged("the store's header makes no sense")),
    }
}

impl fmt::Debug for Header {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Header")
            .field("kind", &self.kind)
            .field("source", &self.source)
            .field("key", &self.key())
            .finish_non_exhaustive()
    }
}
