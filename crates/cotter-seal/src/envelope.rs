//! What stands outside of a stored record, and how the inside is told from it.

use alloc::vec::Vec;

use cotter_core::{Lineage, Revision, StoreError};

use crate::derive;
use crate::frame::{self, Fields, HEAD};
use crate::key::KeyId;

pub(crate) const SEALED: [u8; 3] = *b"CSR";
pub(crate) const PLAIN: [u8; 3] = *b"CPR";
pub(crate) const VERSION: u8 = 1;

const REVISION_AT: usize = HEAD + 2;
const REVISION_END: usize = REVISION_AT + Revision::LENGTH;

/// What can be read of a sealed record without a key; believed only once the record was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Outside {
    /// The layout of what is inside.
    pub schema: u16,
    /// The revision under which it was saved.
    pub revision: Revision,
    /// The key that sealed it.
    pub key: KeyId,
}

impl Outside {
    /// Reads it.
    ///
    /// # Errors
    /// `Damaged`, or `TooNew` if a newer cotter wrote the record.
    pub fn read(sealed: &[u8]) -> Result<Self, StoreError> {
        let (_, body) = frame::open(sealed, SEALED, VERSION)?;
        let mut fields = Fields(body);
        Self::take(&mut fields)
    }

    pub(crate) fn take(fields: &mut Fields<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            schema: u16::from_be_bytes(fields.array()?),
            revision: Revision::from_bytes(&fields.array()?),
            key: KeyId::from_bytes(fields.array()?),
        })
    }
}

/// The first bytes of a record, sealed or plain.
pub(crate) fn put_head(bytes: &mut Vec<u8>, letters: [u8; 3], schema: u16, revision: Revision) {
    bytes.extend_from_slice(&letters);
    bytes.push(VERSION);
    bytes.extend_from_slice(&schema.to_be_bytes());
    bytes.extend_from_slice(&revision.to_bytes());
}

/// A revision for any bytes at all, always the same for the same bytes.
///
/// What stands where the revision should, if the rest looks like a record; else a stand-in made
/// from a hash of the bytes. A sign-in or sign-out states it to replace or remove the bytes that
/// were there when it looked and no others; nothing else is built on it.
pub(crate) fn revision_of(bytes: &[u8]) -> Revision {
    let stated = bytes
        .get(REVISION_AT..REVISION_END)
        .filter(|_| bytes.starts_with(&SEALED) || bytes.starts_with(&PLAIN))
        .and_then(|field| field.first_chunk::<{ Revision::LENGTH }>());
    match stated {
        Some(stated) => Revision::from_bytes(stated),
        None => {
            let lineage = Lineage::from_bytes(derive::hash(&[b"cotter damaged record", bytes]));
            Revision { lineage, counter: 0 }
        }
    }
}
