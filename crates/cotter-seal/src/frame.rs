//! What everything that is stored looks like from outside, in this and every later version: three
//! letters, a version byte, the body, and the first 8 bytes of the SHA-256 of all that.
//!
//! The checksum needs no key and protects against nobody; it tells bytes that rotted from a key
//! that does not fit, and a version byte that rotted from a newer cotter.

use alloc::vec::Vec;

use cotter_core::{StoreError, StoreErrorKind};

use crate::derive;

/// Letters and version.
pub(crate) const HEAD: usize = 4;
pub(crate) const CHECKSUM: usize = 8;

pub(crate) fn damaged(message: &'static str) -> StoreError {
    StoreError::new(StoreErrorKind::Damaged, message)
}

/// Puts the checksum behind a head and a body.
pub(crate) fn close(mut bytes: Vec<u8>) -> Vec<u8> {
    let checksum: [u8; CHECKSUM] = derive::hash(&[&bytes]);
    bytes.extend_from_slice(&checksum);
    bytes
}

/// The version and the body.
pub(crate) fn open(bytes: &[u8], letters: [u8; 3], newest: u8) -> Result<(u8, &[u8]), StoreError> {
    let (framed, checksum) = bytes
        .split_last_chunk::<CHECKSUM>()
        .filter(|(framed, _)| framed.len() >= HEAD)
        .ok_or_else(|| damaged("what is stored is cut short"))?;
    if derive::hash::<CHECKSUM>(&[framed]) != *checksum {
        return Err(damaged("what is stored is not what was written"));
    }
    let (head, body) = framed.split_at(HEAD);
    if head[..3] != letters || head[3] == 0 {
        return Err(damaged("what is stored is something else"));
    }
    if head[3] > newest {
        return Err(StoreError::new(StoreErrorKind::TooNew, "a newer cotter wrote this")
            .with_hint("update cotter; nothing was touched"));
    }
    Ok((head[3], body))
}

/// Reads fields one after the other.
pub(crate) struct Fields<'a>(pub(crate) &'a [u8]);

impl<'a> Fields<'a> {
    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], StoreError> {
        let (field, rest) = self.0.split_first_chunk::<N>().ok_or_else(short)?;
        self.0 = rest;
        Ok(*field)
    }

    pub(crate) fn slice(&mut self, length: usize) -> Result<&'a [u8], StoreError> {
        let (field, rest) = self.0.split_at_checked(length).ok_or_else(short)?;
        self.0 = rest;
        Ok(field)
    }

    /// A field behind its length in two bytes.
    pub(crate) fn counted(&mut self) -> Result<&'a [u8], StoreError> {
        let length = u16::from_be_bytes(self.array()?);
        self.slice(usize::from(length))
    }

    pub(crate) fn end(self) -> Result<(), StoreError> {
        if self.0.is_empty() { Ok(()) } else { Err(short()) }
    }
}

fn short() -> StoreError {
    damaged("what is stored has fields of the wrong length")
}

/// Writes a field behind its length in two bytes.
pub(crate) fn put_counted(bytes: &mut Vec<u8>, field: &[u8]) {
    // Callers bound what they put here.
    let length = u16::try_from(field.len()).unwrap_or(u16::MAX);
    bytes.extend_from_slice(&length.to_be_bytes());
    bytes.extend_from_slice(&field[..usize::from(length)]);
}
