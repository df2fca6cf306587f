//! How a record lies in entries: whole in one, or in pieces that another one lists.
//!
//! The manifest is the one entry that says what counts. Pieces are written first, under an id drawn
//! for this write alone, so that a write that is cut off changes nothing that counts.

use cotter_core::{Revision, SecretBytes, StoreError, StoreErrorKind};
use sha2::{Digest as _, Sha256};

const LETTERS: &[u8; 3] = b"CKM";
const VERSION: u8 = 1;
const CHECKSUM: usize = 8;
const HEAD: usize = 4 + Revision::LENGTH;
const WHOLE: u8 = 0;
const PIECES: u8 = 1;
const PIECES_LENGTH: usize = HEAD + 1 + Pieces::LENGTH + 8 + 32 + CHECKSUM;

/// The pieces of one write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pieces {
    pub(crate) id: [u8; 16],
    pub(crate) count: u32,
}

impl Pieces {
    pub(crate) const LENGTH: usize = 20;

    pub(crate) fn entry(&self, n: u32) -> String {
        format!("piece-{}-{n}", hex(&self.id))
    }

    pub(crate) fn to_bytes(self) -> [u8; Self::LENGTH] {
        let mut bytes = [0; Self::LENGTH];
        bytes[..16].copy_from_slice(&self.id);
        bytes[16..].copy_from_slice(&self.count.to_be_bytes());
        bytes
    }

    pub(crate) fn from_bytes(bytes: [u8; Self::LENGTH]) -> Self {
        let (mut id, mut count) = ([0; 16], [0; 4]);
        id.copy_from_slice(&bytes[..16]);
        count.copy_from_slice(&bytes[16..]);
        Self { id, count: u32::from_be_bytes(count) }
    }
}

/// What the entry of a record says.
#[derive(Debug)]
pub(crate) struct Manifest {
    pub(crate) revision: Revision,
    pub(crate) content: Content,
}

#[derive(Debug)]
pub(crate) enum Content {
    Whole(SecretBytes),
    Pieces { pieces: Pieces, length: u64, sha256: [u8; 32] },
}

impl Manifest {
    /// Whether `length` bytes fit into one entry of `max` together with what goes with them.
    pub(crate) fn fits(length: usize, max: Option<usize>) -> bool {
        max.is_none_or(|max| length.saturating_add(HEAD + 1 + CHECKSUM) <= max)
    }

    pub(crate) fn whole(revision: Revision, payload: SecretBytes) -> Self {
        Self { revision, content: Content::Whole(payload) }
    }

    pub(crate) fn of_pieces(revision: Revision, pieces: Pieces, payload: &SecretBytes) -> Self {
        let sha256 = Sha256::digest(payload.expose()).into();
        let length = payload.len() as u64;
        Self { revision, content: Content::Pieces { pieces, length, sha256 } }
    }

    pub(crate) fn to_secret(&self) -> SecretBytes {
        let length = match &self.content {
            Content::Whole(payload) => HEAD + 1 + payload.len() + CHECKSUM,
            Content::Pieces { .. } => PIECES_LENGTH,
        };
        let mut bytes = SecretBytes::with_capacity(length);
        bytes.extend_from_slice(LETTERS);
        bytes.extend_from_slice(&[VERSION]);
        bytes.extend_from_slice(&self.revision.to_bytes());
        match &self.content {
            Content::Whole(payload) => {
                bytes.extend_from_slice(&[WHOLE]);
                bytes.extend_from_slice(payload.expose());
            }
            Content::Pieces { pieces, length, sha256 } => {
                bytes.extend_from_slice(&[PIECES]);
                bytes.extend_from_slice(&pieces.to_bytes());
                bytes.extend_from_slice(&length.to_be_bytes());
                bytes.extend_from_slice(sha256);
            }
        }
        let checksum = Sha256::digest(bytes.expose());
        bytes.extend_from_slice(&checksum[..CHECKSUM]);
        bytes
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Self, StoreError> {
        let (framed, checksum) = bytes
            .split_last_chunk::<CHECKSUM>()
            .ok_or_else(|| damaged("the record's entry is cut short"))?;
        if Sha256::digest(framed)[..CHECKSUM] != *checksum {
            return Err(damaged("the record's entry is not what was written"));
        }
        let (letters, rest) = framed.split_first_chunk::<3>().ok_or_else(nonsense)?;
        let (version, rest) = rest.split_first().ok_or_else(nonsense)?;
        if letters != LETTERS || *version == 0 {
            return Err(nonsense());
        }
        if *version > VERSION {
            return Err(StoreError::new(StoreErrorKind::TooNew, "a newer cotter wrote this")
                .with_hint("update cotter; nothing was touched"));
        }
        let (revision, rest) =
            rest.split_first_chunk::<{ Revision::LENGTH }>().ok_or_else(nonsense)?;
        let revision = Revision::from_bytes(revision);
        let (form, rest) = rest.split_first().ok_or_else(nonsense)?;
        let content = match *form {
            WHOLE => Content::Whole(SecretBytes::from(rest)),
            PIECES => pieces(rest)?,
            _ => return Err(nonsense()),
        };
        Ok(Self { revision, content })
    }

    pub(crate) fn pieces(&self) -> Option<Pieces> {
        match self.content {
            Content::Whole(_) => None,
            Content::Pieces { pieces, .. } => Some(pieces),
        }
    }
}

fn pieces(bytes: &[u8]) -> Result<Content, StoreError> {
    let (pieces, rest) = bytes.split_first_chunk::<{ Pieces::LENGTH }>().ok_or_else(nonsense)?;
    let (length, rest) = rest.split_first_chunk::<8>().ok_or_else(nonsense)?;
    let sha256 = rest.try_into().map_err(|_| nonsense())?;
    let length = u64::from_be_bytes(*length);
    Ok(Content::Pieces { pieces: Pieces::from_bytes(*pieces), length, sha256 })
}

fn nonsense() -> StoreError {
    damaged("the record's entry is something else")
}

pub(crate) fn damaged(message: &'static str) -> StoreError {
    StoreError::new(StoreErrorKind::Damaged, message).with_hint("sign in again to replace it")
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    use core::fmt::Write as _;
    let mut hex = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        // Writing into a string cannot fail.
        let _ = write!(hex, "{byte:02x}");
    }
    hex
}

#[cfg(test)]
mod tests {
    use super::*;
    use cotter_core::Lineage;

    #[test]
    fn every_flipped_byte_and_every_cut_is_noticed() {
        let revision = Revision::first(Lineage::from_bytes([3; 16]));
        let payload = SecretBytes::from(b"payload".as_slice());
        let pieces = Pieces { id: [9; 16], count: 3 };
        for manifest in [
            Manifest::of_pieces(revision, pieces, &payload),
            Manifest::whole(revision, payload.duplicate()),
        ] {
            let bytes = manifest.to_secret();
            let read = Manifest::from_bytes(bytes.expose()).unwrap();
            assert_eq!(read.revision, revision);
            assert_eq!(read.pieces(), manifest.pieces());
            for at in 0..bytes.len() {
                let mut flipped = bytes.expose().to_vec();
                flipped[at] ^= 1;
                let error = Manifest::from_bytes(&flipped).unwrap_err();
                assert_eq!(error.kind(), StoreErrorKind::Damaged, "byte {at}");
                let error = Manifest::from_bytes(&bytes.expose()[..at]).unwrap_err();
                assert_eq!(error.kind(), StoreErrorKind::Damaged, "cut at {at}");
            }
        }
    }

    #[test]
    fn a_newer_version_is_left_alone() {
        let revision = Revision::first(Lineage::from_bytes([3; 16]));
        let manifest = Manifest::whole(revision, SecretBytes::default()).to_secret();
        let mut bytes = manifest.expose()[..manifest.len() - CHECKSUM].to_vec();
        bytes[3] = VERSION + 1;
        let checksum = Sha256::digest(&bytes);
        bytes.extend_from_slice(&checksum[..CHECKSUM]);
        assert_eq!(Manifest::from_bytes(&bytes).unwrap_err().kind(), StoreErrorKind::TooNew);
    }

    #[test]
    fn what_fits_is_what_one_entry_takes() {
        let revision = Revision::first(Lineage::from_bytes([3; 16]));
        for length in [0, 100, 2523, 2524] {
            let manifest = Manifest::whole(revision, SecretBytes::from(vec![7; length]));
            let fits = manifest.to_secret().len() <= 2560;
            assert_eq!(Manifest::fits(length, Some(2560)), fits, "{length}");
        }
        assert!(Manifest::fits(usize::MAX, None));
    }
}
