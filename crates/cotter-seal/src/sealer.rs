//! Seals and opens one record.

use alloc::vec::Vec;

use cotter_core::{Entropy, Revision, SecretBytes, StoreError, StoreErrorKind};

use crate::aead::{self, SALT, TAG};
use crate::envelope::{self, Outside, SEALED, VERSION};
use crate::frame::{self, CHECKSUM, Fields, HEAD, damaged};
use crate::key::{KeyId, Keys};
use crate::name::RecordName;

const LABEL: &[u8] = b"record";
const OUTSIDE: usize = HEAD + 2 + Revision::LENGTH + KeyId::LENGTH + SALT;

/// What a sealed record is bound to; it opens under exactly the context it was sealed in.
///
/// The store key takes part as its [`RecordName`], a keyed hash of it, so that a listing can open
/// records whose keys it does not know yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Context {
    /// Where the record lies.
    pub name: RecordName,
    /// The layout of what is inside.
    pub schema: u16,
    /// The revision under which it is saved.
    pub revision: Revision,
}

impl Context {
    /// A context of these three.
    #[must_use]
    pub const fn new(name: RecordName, schema: u16, revision: Revision) -> Self {
        Self { name, schema, revision }
    }
}

/// Seals with the newest of several keys and opens with whichever fits.
#[derive(Debug)]
pub struct Sealer {
    keys: Keys,
}

impl Sealer {
    /// A sealer with these keys.
    #[must_use]
    pub const fn new(keys: Keys) -> Self {
        Self { keys }
    }

    /// The keys.
    #[must_use]
    pub const fn keys(&self) -> &Keys {
        &self.keys
    }

    /// Seals `plaintext` under the newest key.
    ///
    /// # Errors
    /// `Unavailable` if there is no randomness.
    pub fn seal(
        &self,
        context: &Context,
        plaintext: &SecretBytes,
        entropy: &dyn Entropy,
    ) -> Result<Vec<u8>, StoreError> {
        self.seal_parts(context, &[plaintext.expose()], entropy)
    }

    pub(crate) fn seal_parts(
        &self,
        context: &Context,
        parts: &[&[u8]],
        entropy: &dyn Entropy,
    ) -> Result<Vec<u8>, StoreError> {
        let key = self.keys.newest();
        let mut salt = [0; SALT];
        crate::fill(entropy, &mut salt)?;
        let length: usize = parts.iter().map(|part| part.len()).sum();
        let mut bytes = Vec::with_capacity(OUTSIDE + length + TAG + CHECKSUM);
        envelope::put_head(&mut bytes, SEALED, context.schema, context.revision);
        bytes.extend_from_slice(key.id().as_bytes());
        bytes.extend_from_slice(&salt);
        let associated = associated(&bytes, context);
        parts.iter().for_each(|part| bytes.extend_from_slice(part));
        aead::seal(key, &salt, LABEL, &associated, &mut bytes, OUTSIDE)?;
        Ok(frame::close(bytes))
    }

    /// Opens what was sealed in this context.
    ///
    /// # Errors
    /// `KeyWrong` if none of the keys sealed it, `TooNew` if a newer cotter did, `Damaged` if it is
    /// not what was sealed in this context.
    pub fn open(&self, context: &Context, sealed: &[u8]) -> Result<SecretBytes, StoreError> {
        let (_, body) = frame::open(sealed, SEALED, VERSION)?;
        let mut fields = Fields(body);
        let outside = Outside::take(&mut fields)?;
        let salt: [u8; SALT] = fields.array()?;
        if outside.schema != context.schema || outside.revision != context.revision {
            return Err(damaged("the record was saved as another one"));
        }
        let key = self.keys.find(outside.key).ok_or_else(|| wrong_key(outside.key))?;
        let associated = associated(&sealed[..OUTSIDE], context);
        aead::open(key, &salt, LABEL, &associated, fields.0)
            .ok_or_else(|| damaged("the record is not what was sealed under this name"))
    }

    /// Whether this was sealed with another key than the newest.
    ///
    /// # Errors
    /// As [`Outside::read`].
    pub fn is_old(&self, sealed: &[u8]) -> Result<bool, StoreError> {
        Ok(Outside::read(sealed)?.key != self.keys.newest().id())
    }
}

pub(crate) fn wrong_key(wanted: KeyId) -> StoreError {
    StoreError::new(StoreErrorKind::KeyWrong, "the sealing key is not the one that sealed this")
        .with_hint(alloc::format!("it was sealed with the key whose id is {wanted}"))
}

fn associated(outside: &[u8], context: &Context) -> Vec<u8> {
    [outside, context.name.as_bytes()].concat()
}
