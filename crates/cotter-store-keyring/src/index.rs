//! Which records there are, since not every keyring can be searched: pages of names.
//!
//! A name is put in before its record is written and taken out after its record is gone, so a
//! record is never unlisted.

use cotter_core::{SecretBytes, StoreError, StoreErrorKind};
use cotter_seal::RecordName;
use sha2::{Digest as _, Sha256};

use crate::backend::Backend;
use crate::manifest::damaged;

const LETTERS: &[u8; 3] = b"CKI";
const VERSION: u8 = 1;
const HEAD: usize = 4;
const CHECKSUM: usize = 8;
/// How many names a page takes where entries have no limit.
const AMPLE: usize = 1024;
/// Of one damaged length field, say, never more than this is read.
const MAX_PAGES: usize = 4096;

fn entry(page: usize) -> String {
    format!("index-{page}")
}

fn room(backend: &dyn Backend) -> usize {
    let max = backend
        .max_secret()
        .map_or(usize::MAX, |max| max.saturating_sub(HEAD + CHECKSUM) / RecordName::LENGTH);
    max.clamp(1, AMPLE)
}

/// The names on every page; pages are never removed, so they end where one is missing.
fn pages(backend: &mut dyn Backend) -> Result<Vec<Vec<RecordName>>, StoreError> {
    let mut pages = Vec::new();
    while pages.len() < MAX_PAGES {
        match backend.get(&entry(pages.len()))? {
            Some(bytes) => pages.push(read(bytes.expose())?),
            None => break,
        }
    }
    Ok(pages)
}

/// All names.
pub(crate) fn names(backend: &mut dyn Backend) -> Result<Vec<RecordName>, StoreError> {
    let mut names: Vec<_> = pages(backend)?.into_iter().flatten().collect();
    names.sort_unstable();
    names.dedup();
    Ok(names)
}

/// Puts a name in; the caller holds the index's lock.
pub(crate) fn add(backend: &mut dyn Backend, name: RecordName) -> Result<(), StoreError> {
    let mut pages = pages(backend)?;
    if pages.iter().any(|page| page.contains(&name)) {
        return Ok(());
    }
    let room = room(backend);
    let with_room = pages.iter().position(|page| page.len() < room);
    let at = with_room.unwrap_or(pages.len());
    if at >= MAX_PAGES {
        let message = "the keyring's index is full";
        return Err(StoreError::new(StoreErrorKind::Full, message)
            .with_hint("use the file store, with its key in the keyring"));
    }
    if with_room.is_none() {
        pages.push(Vec::new());
    }
    pages[at].push(name);
    backend.set(&entry(at), &write(&pages[at]))
}

/// Takes a name out; the caller holds the index's lock.
pub(crate) fn remove(backend: &mut dyn Backend, name: RecordName) -> Result<(), StoreError> {
    for (at, mut page) in pages(backend)?.into_iter().enumerate() {
        if page.contains(&name) {
            page.retain(|there| *there != name);
            backend.set(&entry(at), &write(&page))?;
        }
    }
    Ok(())
}

fn write(page: &[RecordName]) -> SecretBytes {
    let mut bytes = Vec::with_capacity(HEAD + page.len() * RecordName::LENGTH + CHECKSUM);
    bytes.extend_from_slice(LETTERS);
    bytes.push(VERSION);
    page.iter().for_each(|name| bytes.extend_from_slice(name.as_bytes()));
    let checksum = Sha256::digest(&bytes);
    bytes.extend_from_slice(&checksum[..CHECKSUM]);
    SecretBytes::from(bytes)
}

fn read(bytes: &[u8]) -> Result<Vec<RecordName>, StoreError> {
    let broken = || damaged("the keyring's index is not what was written");
    let (framed, checksum) = bytes.split_last_chunk::<CHECKSUM>().ok_or_else(broken)?;
    if Sha256::digest(framed)[..CHECKSUM] != *checksum {
        return Err(broken());
    }
    let (head, names) = framed.split_first_chunk::<HEAD>().ok_or_else(broken)?;
    if head[..3] != *LETTERS {
        return Err(broken());
    }
    if head[3] > VERSION {
        return Err(StoreError::new(StoreErrorKind::TooNew, "a newer cotter wrote this")
            .with_hint("update cotter; nothing was touched"));
    }
    let (names, rest) = names.as_chunks::<{ RecordName::LENGTH }>();
    if !rest.is_empty() {
        return Err(broken());
    }
    Ok(names.iter().copied().map(RecordName::from_bytes).collect())
}
