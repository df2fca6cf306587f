//! Records that are not sealed, for who asked for that by name.

use alloc::vec::Vec;

use cotter_core::{Revision, SecretBytes, StoreError};

use crate::envelope::{self, PLAIN, VERSION};
use crate::frame::{self, Fields};

pub(crate) fn write(schema: u16, revision: Revision, parts: &[&[u8]]) -> Vec<u8> {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    let mut bytes = Vec::with_capacity(length + 64);
    envelope::put_head(&mut bytes, PLAIN, schema, revision);
    parts.iter().for_each(|part| bytes.extend_from_slice(part));
    frame::close(bytes)
}

/// Schema, revision and content.
pub(crate) fn read(bytes: &[u8]) -> Result<(u16, Revision, SecretBytes), StoreError> {
    let (_, body) = frame::open(bytes, PLAIN, VERSION)?;
    let mut fields = Fields(body);
    let schema = u16::from_be_bytes(fields.array()?);
    let revision = Revision::from_bytes(&fields.array()?);
    Ok((schema, revision, SecretBytes::from(fields.0)))
}
