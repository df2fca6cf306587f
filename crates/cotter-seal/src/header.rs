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
/// Stands between the kinds of two sources.
const TO: char = '>';

/// What a store says about itself, readable without a key: its kind, where its sealing key is, and
/// that key's name.
#[derive(Clone, PartialEq, Eq)]
pub struct Header {
    kind: String,
    source: Origin,
    next: Option<Origin>,
    seal: Option<NameSeal>,
}

/// The kind of a key source, and what it wanted kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Origin {
    pub(crate) kind: String,
    pub(crate) parameters: Vec<u8>,
}

impl Origin {
    pub(crate) fn new(kind: &str, parameters: Vec<u8>) -> Self {
        Self { kind: kind.into(), parameters }
    }

    fn check(&self) -> Result<(), StoreError> {
        if self.kind.len() <= MAX_WORD && self.parameters.len() <= MAX_PARAMETERS {
            return if self.kind.contains(TO) { Err(senseless()) } else { Ok(()) };
        }
        Err(too_long())
    }
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
        &self.source.kind
    }

    /// What the key source wanted kept.
    #[must_use]
    pub fn parameters(&self) -> &[u8] {
        &self.source.parameters
    }

    /// The kind of source that the store is on its way to, where a reseal to another source was
    /// begun and has not ended.
    #[must_use]
    pub fn next_source(&self) -> Option<&str> {
        self.next.as_ref().map(|next| next.kind.as_str())
    }

    pub(crate) const fn next(&self) -> Option<&Origin> {
        self.next.as_ref()
    }

    pub(crate) const fn origin(&self) -> &Origin {
        &self.source
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
        // No sign-in mends a header, unlike a record.
        Self::parse(bytes).map_err(|error| match error.kind() {
            StoreErrorKind::Damaged => damaged("the store's header is not what was written")
                .with_hint(
                    "bring the header back from a backup, or remove the store's folder and sign in",
                ),
            _ => error,
        })
    }

    fn parse(bytes: &[u8]) -> Result<Self, StoreError> {
        let (_, body) = frame::open(bytes, LETTERS, VERSION)?;
        let mut fields = Fields(body);
        let kind = word(fields.counted()?)?;
        let (source, next) = origins(fields.counted()?, fields.counted()?)?;
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
            _ => return Err(senseless()),
        };
        Ok(Self { kind, source, next, seal })
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
        Self::build(kind, Origin::default(), None)
    }

    /// A header that keeps `names` under `key`, which is of `source`.
    pub(crate) fn sealed(
        kind: &str,
        source: Origin,
        next: Option<Origin>,
        key: &SealKey,
        names: &[u8; 32],
        entropy: &dyn Entropy,
    ) -> Result<Self, StoreError> {
        let mut header = Self::build(kind, source, next)?;
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

    fn build(kind: &str, source: Origin, next: Option<Origin>) -> Result<Self, StoreError> {
        if kind.len() > MAX_WORD {
            return Err(too_long());
        }
        source.check()?;
        next.iter().try_for_each(Origin::check)?;
        Ok(Self { kind: kind.into(), source, next, seal: None })
    }

    /// Everything before the sealed name key, which is bound to it.
    fn outside(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(256);
        bytes.extend_from_slice(&LETTERS);
        bytes.push(VERSION);
        frame::put_counted(&mut bytes, self.kind.as_bytes());
        let (mut source, mut parameters) = (self.source.kind.clone(), Vec::new());
        match &self.next {
            None => parameters.extend_from_slice(&self.source.parameters),
            Some(next) => {
                source.push(TO);
                source.push_str(&next.kind);
                frame::put_counted(&mut parameters, &self.source.parameters);
                parameters.extend_from_slice(&next.parameters);
            }
        }
        frame::put_counted(&mut bytes, source.as_bytes());
        frame::put_counted(&mut bytes, &parameters);
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

/// The source, and the one that the store is on its way to.
fn origins(kinds: &[u8], parameters: &[u8]) -> Result<(Origin, Option<Origin>), StoreError> {
    let origin = |kind, parameters: &[u8]| -> Result<Origin, StoreError> {
        Ok(Origin { kind: word(kind)?, parameters: parameters.to_vec() })
    };
    let Some(at) = kinds.iter().position(|byte| char::from(*byte) == TO) else {
        return Ok((origin(kinds, parameters)?, None));
    };
    let mut fields = Fields(parameters);
    let source = origin(&kinds[..at], fields.counted()?)?;
    let next = origin(&kinds[at + 1..], fields.0)?;
    Ok((source, Some(next)))
}

fn word(bytes: &[u8]) -> Result<String, StoreError> {
    let printable = |byte: &u8| byte.is_ascii_graphic();
    match core::str::from_utf8(bytes) {
        Ok(word) if bytes.len() <= MAX_WORD && bytes.iter().all(printable) => Ok(word.into()),
        _ => Err(senseless()),
    }
}

fn senseless() -> StoreError {
    damaged("the store's header makes no sense")
}

fn too_long() -> StoreError {
    let message = "a store's kind, key source or parameters are too long for its header";
    StoreError::new(StoreErrorKind::TooLarge, message)
}

impl fmt::Debug for Header {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Header")
            .field("kind", &self.kind)
            .field("source", &self.source.kind)
            .field("next_source", &self.next_source())
            .field("key", &self.key())
            .finish_non_exhaustive()
    }
}
