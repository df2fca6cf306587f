//! Everything a store needs to keep its records sealed.

use alloc::vec::Vec;
use core::fmt;

use cotter_core::{Entropy, Loaded, Revision, SecretBytes, StoreError, StoreErrorKind, StoreKey};
use zeroize::Zeroizing;

use crate::envelope;
use crate::frame::{Fields, damaged};
use crate::header::{Header, Origin};
use crate::key::Keys;
use crate::name::{Names, RecordName};
use crate::plain;
use crate::sealer::{Context, Sealer};
use crate::source::KeySource;

/// The layout of what is sealed: the store key behind its length, then the record.
const SCHEMA: u16 = 1;

/// An opened header: names records, seals them and opens them.
///
/// A store keeps the header's bytes somewhere, asks for a record's [name](Self::name), and passes
/// stored bytes through [`seal`](Self::seal) and [`load`](Self::load).
pub struct Vault {
    pub(crate) header: Header,
    pub(crate) names: Names,
    pub(crate) sealer: Option<Sealer>,
}

impl Vault {
    /// Begins a store: has `source` make a key if it has none, and makes a header around it, to be
    /// stored durably as [`Header::to_bytes`].
    ///
    /// Call it only under the store's own lock, and only where neither header nor record exists.
    ///
    /// # Errors
    /// What the source says; `Unavailable` if there is no randomness.
    pub fn create(
        kind: &str,
        source: &dyn KeySource,
        entropy: &dyn Entropy,
    ) -> Result<Self, StoreError> {
        let parameters = source.create_if_absent(entropy)?;
        let keys = source.keys(&parameters)?;
        let mut names = Zeroizing::new([0; 32]);
        crate::fill(entropy, names.as_mut_slice())?;
        let origin = Origin::new(source.kind(), parameters);
        let header = Header::sealed(kind, origin, None, keys.newest(), &names, entropy)?;
        Ok(Self { header, names: Names::Keyed(names), sealer: Some(Sealer::new(keys)) })
    }

    /// Opens a store by its stored header.
    ///
    /// # Errors
    /// `KeyMissing` or whatever else the source says, `KeyWrong` if it has other keys, `Damaged`
    /// and `TooNew` as the header is, `Unsupported` for a store of another kind or one that is not
    /// sealed.
    pub fn open(kind: &str, header: &[u8], source: &dyn KeySource) -> Result<Self, StoreError> {
        let header = Header::from_bytes(header)?;
        check_kind(&header, kind)?;
        if header.key().is_none() {
            return Err(not_sealed());
        }
        let keys = source.keys(header.parameters())?;
        Self::with_keys(header, keys, source)
    }

    pub(crate) fn with_keys(
        header: Header,
        keys: Keys,
        source: &dyn KeySource,
    ) -> Result<Self, StoreError> {
        let names = match header.key().and_then(|id| keys.find(id)) {
            Some(key) => Names::Keyed(header.names(key)?),
            None => return Err(wrong_key(&header, &keys, source)),
        };
        Ok(Self { header, names, sealer: Some(Sealer::new(keys)) })
    }

    /// Begins a store that is **not sealed**: whoever can read its bytes has the tokens.
    ///
    /// # Errors
    /// `TooLarge` if `kind` has over 32 bytes.
    pub fn danger_create_unsealed(kind: &str) -> Result<Self, StoreError> {
        Ok(Self { header: Header::plain(kind)?, names: Names::Plain, sealer: None })
    }

    /// Opens a store that is not sealed.
    ///
    /// # Errors
    /// As [`open`](Self::open); `Unsupported` if the store is sealed.
    pub fn danger_open_unsealed(kind: &str, header: &[u8]) -> Result<Self, StoreError> {
        let header = Header::from_bytes(header)?;
        check_kind(&header, kind)?;
        if header.key().is_some() {
            let message = "this store is sealed";
            return Err(StoreError::new(StoreErrorKind::Unsupported, message));
        }
        Ok(Self { header, names: Names::Plain, sealer: None })
    }

    /// The header, as it is stored.
    #[must_use]
    pub const fn header(&self) -> &Header {
        &self.header
    }

    /// What the record under `key` is called where it lies.
    #[must_use]
    pub fn name(&self, key: &StoreKey) -> RecordName {
        self.names.name(key)
    }

    /// The bytes to store for a record.
    ///
    /// # Errors
    /// `Unavailable` if there is no randomness.
    pub fn seal(
        &self,
        key: &StoreKey,
        record: &SecretBytes,
        revision: Revision,
        entropy: &dyn Entropy,
    ) -> Result<Vec<u8>, StoreError> {
        self.seal_as(self.name(key), key, record.expose(), revision, entropy)
    }

    fn seal_as(
        &self,
        name: RecordName,
        key: &StoreKey,
        record: &[u8],
        revision: Revision,
        entropy: &dyn Entropy,
    ) -> Result<Vec<u8>, StoreError> {
        let key = Zeroizing::new(key.to_bytes());
        let length = u32::try_from(key.len()).map_err(|_| {
            StoreError::new(StoreErrorKind::TooLarge, "the session's key is over 4 GiB long")
        })?;
        let parts = [&length.to_be_bytes(), key.as_slice(), record];
        match &self.sealer {
            Some(sealer) => {
                sealer.seal_parts(&Context::new(name, SCHEMA, revision), &parts, entropy)
            }
            None => Ok(plain::write(SCHEMA, revision, &parts)),
        }
    }

    /// The record under `key` from its stored bytes; one that can't be opened has its revision all
    /// the same.
    ///
    /// # Errors
    /// `TooNew` only: such bytes must not be touched.
    pub fn load(&self, key: &StoreKey, stored: &[u8]) -> Result<Loaded, StoreError> {
        let revision = envelope::revision_of(stored);
        let record = match self.open_named(self.name(key), stored) {
            Err(error) if error.kind() == StoreErrorKind::TooNew => return Err(error),
            Err(error) => Err(error),
            Ok((_, inside, _)) if inside != *key => {
                Err(damaged("the record belongs to another session"))
            }
            Ok((_, _, record)) => Ok(record),
        };
        Ok(Loaded { revision, record })
    }

    /// The revision of stored bytes, to compare before they are replaced or removed. Any bytes have
    /// one; it is the same that [`load`](Self::load) gives for them.
    ///
    /// # Errors
    /// `TooNew` only: such bytes must not be touched.
    pub fn revision(&self, stored: &[u8]) -> Result<Revision, StoreError> {
        let outside = match &self.sealer {
            Some(_) => envelope::Outside::read(stored).map(|outside| outside.schema),
            None => plain::read(stored).map(|(schema, _, _)| schema),
        };
        match outside.and_then(known) {
            Err(error) if error.kind() == StoreErrorKind::TooNew => Err(error),
            _ => Ok(envelope::revision_of(stored)),
        }
    }

    /// Whose record lies under `name`.
    ///
    /// # Errors
    /// If the record can't be opened.
    pub fn key(&self, name: RecordName, stored: &[u8]) -> Result<StoreKey, StoreError> {
        self.open_named(name, stored).map(|(_, key, _)| key)
    }

    /// The same record under the newest key; `None` where it is that already.
    ///
    /// # Errors
    /// If the record can't be opened, or there is no randomness.
    pub fn reseal(
        &self,
        name: RecordName,
        stored: &[u8],
        entropy: &dyn Entropy,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        match &self.sealer {
            Some(sealer) if sealer.is_old(stored)? => {
                let (revision, key, record) = self.open_named(name, stored)?;
                self.seal_as(name, &key, record.expose(), revision, entropy).map(Some)
            }
            _ => Ok(None),
        }
    }

    /// The same vault under a header that names the newest key, to be stored once all records were
    /// resealed; `None` where it does so already. Names stay what they are.
    ///
    /// # Errors
    /// `Unavailable` if there is no randomness.
    pub fn reseal_header(&self, entropy: &dyn Entropy) -> Result<Option<Self>, StoreError> {
        let (Some(sealer), Names::Keyed(names)) = (&self.sealer, &self.names) else {
            return Ok(None);
        };
        let newest = sealer.keys().newest();
        if self.header.key() == Some(newest.id()) && self.header.next().is_none() {
            return Ok(None);
        }
        let source = self.header.next().unwrap_or_else(|| self.header.origin()).clone();
        let header = Header::sealed(self.header.kind(), source, None, newest, names, entropy)?;
        let sealer = Some(Sealer::new(sealer.keys().duplicate()));
        Ok(Some(Self { header, names: Names::Keyed(names.clone()), sealer }))
    }

    /// Revision, key and record.
    fn open_named(
        &self,
        name: RecordName,
        stored: &[u8],
    ) -> Result<(Revision, StoreKey, SecretBytes), StoreError> {
        let (schema, revision, content) = match &self.sealer {
            Some(sealer) => {
                let outside = envelope::Outside::read(stored)?;
                known(outside.schema)?;
                let context = Context::new(name, outside.schema, outside.revision);
                (outside.schema, outside.revision, sealer.open(&context, stored)?)
            }
            None => plain::read(stored)?,
        };
        known(schema)?;
        let mut fields = Fields(content.expose());
        let length = u32::from_be_bytes(fields.array()?);
        let key = usize::try_from(length).unwrap_or(usize::MAX);
        let key = StoreKey::from_bytes(fields.slice(key)?)
            .filter(|key| self.name(key) == name)
            .ok_or_else(|| damaged("the record lies under a name that is not its own"))?;
        Ok((revision, key, SecretBytes::from(fields.0)))
    }
}

fn known(schema: u16) -> Result<(), StoreError> {
    match schema {
        SCHEMA => Ok(()),
        0 => Err(damaged("the record's layout makes no sense")),
        _ => Err(StoreError::new(StoreErrorKind::TooNew, "a newer cotter wrote this")
            .with_hint("update cotter; nothing was touched")),
    }
}

pub(crate) fn check_kind(header: &Header, kind: &str) -> Result<(), StoreError> {
    if header.kind() == kind {
        return Ok(());
    }
    let message = alloc::format!("this is a store of the kind {}, not {kind}", header.kind());
    Err(StoreError::new(StoreErrorKind::Unsupported, message))
}

pub(crate) fn not_sealed() -> StoreError {
    StoreError::new(StoreErrorKind::Unsupported, "this store is not sealed")
}

fn wrong_key(header: &Header, keys: &Keys, source: &dyn KeySource) -> StoreError {
    let held: Vec<_> = keys.ids().map(|id| alloc::format!("{id}")).collect();
    let id = header.key().map(|id| alloc::format!("{id}")).unwrap_or_default();
    let moving = header.next_source().map(|next| {
        alloc::format!(", and is being moved to another one ({next}): end that with both sources")
    });
    let hint = alloc::format!(
        "the store was sealed with the key {id} (source: {}){}; {} holds {}",
        header.source(),
        moving.unwrap_or_default(),
        source.describe(),
        held.join(", "),
    );
    StoreError::new(StoreErrorKind::KeyWrong, "the sealing key is not the store's").with_hint(hint)
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Vault").field("header", &self.header).finish_non_exhaustive()
    }
}
