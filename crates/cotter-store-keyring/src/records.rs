//! Whole records in a keyring: what one job of the worker does, under the cas lock.

use cotter_core::{Entropy, Revision, SecretBytes, StoreError, StoreErrorKind};
use cotter_seal::{RecordName, Vault};

use crate::backend::Backend;
use crate::manifest::{Content, Manifest, Pieces, damaged};

/// The entry of a record.
pub(crate) fn entry(name: &RecordName) -> String {
    format!("record-{}", name.to_hex())
}

/// The entry that says which pieces a write is about to leave behind.
fn intent_entry(name: &RecordName) -> String {
    format!("intent-{}", name.to_hex())
}

/// What stands under a name.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) revision: Revision,
    /// The manifest, or why it can't be read.
    pub(crate) manifest: Result<Manifest, StoreError>,
}

/// What stands there, without its pieces; `TooNew` is an error of its own, since such a record must
/// not be touched.
pub(crate) fn find(
    backend: &mut dyn Backend,
    vault: &Vault,
    name: &RecordName,
) -> Result<Option<Found>, StoreError> {
    let Some(bytes) = backend.get(&entry(name))? else { return Ok(None) };
    Ok(Some(match Manifest::from_bytes(bytes.expose()) {
        Ok(manifest) => Found { revision: manifest.revision, manifest: Ok(manifest) },
        Err(error) if error.kind() == StoreErrorKind::TooNew => return Err(error),
        // A stand-in made from the bytes, so that these and no others are replaced or removed.
        Err(error) => Found { revision: vault.revision(bytes.expose())?, manifest: Err(error) },
    }))
}

/// The record's bytes.
pub(crate) fn payload(
    backend: &mut dyn Backend,
    manifest: Manifest,
) -> Result<SecretBytes, StoreError> {
    let (pieces, length, sha256) = match manifest.content {
        Content::Whole(payload) => return Ok(payload),
        Content::Pieces { pieces, length, sha256 } => (pieces, length, sha256),
    };
    let wrong = || damaged("a piece of the record is missing or not what was written");
    let length = usize::try_from(length).map_err(|_| wrong())?;
    let mut payload = SecretBytes::with_capacity(length.min(1024 * 1024));
    for n in 0..pieces.count {
        let piece = backend.get(&pieces.entry(n))?.ok_or_else(wrong)?;
        if payload.len().saturating_add(piece.len()) > length {
            return Err(wrong());
        }
        payload.extend_from_slice(piece.expose());
    }
    let right = payload.len() == length && sha2_of(payload.expose()) == sha256;
    if right { Ok(payload) } else { Err(wrong()) }
}

fn sha2_of(bytes: &[u8]) -> [u8; 32] {
    use sha2::Digest as _;
    sha2::Sha256::digest(bytes).into()
}

/// Writes a record over `before`; the entry that counts is written last and at once.
pub(crate) fn write(
    backend: &mut dyn Backend,
    name: &RecordName,
    revision: Revision,
    payload: SecretBytes,
    before: Option<&Found>,
    entropy: &dyn Entropy,
) -> Result<(), StoreError> {
    let current = before.and_then(|found| found.manifest.as_ref().ok()?.pieces());
    sweep(backend, name, current)?;
    let max = backend.max_secret();
    if Manifest::fits(payload.len(), max) {
        if current.is_some() {
            announce(backend, name, None, current)?;
        }
        let manifest = Manifest::whole(revision, payload);
        backend.set(&entry(name), &manifest.to_secret())?;
    } else {
        let size = max.unwrap_or(usize::MAX);
        let mut id = [0; 16];
        entropy.fill(&mut id).map_err(|error| {
            let message = "no randomness to name the record's pieces with";
            StoreError::new(StoreErrorKind::Unavailable, message).with_source(error)
        })?;
        let count = u32::try_from(payload.len().div_ceil(size)).map_err(|_| {
            StoreError::new(StoreErrorKind::TooLarge, "the record has too many pieces")
        })?;
        let pieces = Pieces { id, count };
        announce(backend, name, Some(pieces), current)?;
        for (n, piece) in (0..count).zip(payload.expose().chunks(size)) {
            backend.set(&pieces.entry(n), &SecretBytes::from(piece))?;
        }
        let manifest = Manifest::of_pieces(revision, pieces, &payload);
        backend.set(&entry(name), &manifest.to_secret())?;
        // The record is saved; what is left over is swept by the next write.
        let _ = sweep(backend, name, Some(pieces));
        return Ok(());
    }
    let _ = sweep(backend, name, None);
    Ok(())
}

/// Removes a record and every piece of it.
pub(crate) fn remove(
    backend: &mut dyn Backend,
    name: &RecordName,
    before: &Found,
) -> Result<(), StoreError> {
    let current = before.manifest.as_ref().ok().and_then(Manifest::pieces);
    sweep(backend, name, current)?;
    if current.is_some() {
        announce(backend, name, None, current)?;
    }
    backend.delete(&entry(name))?;
    // A removal leaves no secret, so it is not done before the pieces are gone too.
    sweep(backend, name, None)
}

/// Says which pieces may be left over if what follows is cut off.
fn announce(
    backend: &mut dyn Backend,
    name: &RecordName,
    new: Option<Pieces>,
    old: Option<Pieces>,
) -> Result<(), StoreError> {
    let mut bytes = Vec::with_capacity(2 * Pieces::LENGTH);
    for pieces in [new, old].into_iter().flatten() {
        bytes.extend_from_slice(&pieces.to_bytes());
    }
    backend.set(&intent_entry(name), &SecretBytes::from(bytes))
}

/// Removes the pieces that an earlier write announced and that `current` does not need.
pub(crate) fn sweep(
    backend: &mut dyn Backend,
    name: &RecordName,
    current: Option<Pieces>,
) -> Result<(), StoreError> {
    let Some(intent) = backend.get(&intent_entry(name))? else { return Ok(()) };
    for pieces in intent.expose().as_chunks::<{ Pieces::LENGTH }>().0 {
        let pieces = Pieces::from_bytes(*pieces);
        if Some(pieces) == current {
            continue;
        }
        // From the end, so that a damaged count does not keep this busy for long.
        for n in 0..pieces.count.min(MAX_PIECES) {
            backend.delete(&pieces.entry(n))?;
        }
    }
    backend.delete(&intent_entry(name))
}

/// A record of 64 MiB in pieces of the smallest back end.
const MAX_PIECES: u32 = 32 * 1024;
