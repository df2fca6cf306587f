use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use cotter_core::{Entropy, StoreError, StoreErrorKind};
use cotter_seal::{KeySource, Keys, SealKey};
use zeroize::Zeroizing;

use crate::crash;
use crate::entropy;
use crate::fail;
use crate::folder::{self, HEADER, LOCK};
use crate::sys;

/// The longest key file that is read.
const MOST: u64 = 64 * 1024;

/// Sealing keys in a file of their own, which must not lie in a store.
///
/// Each line is a key as standard base64, the newest first; empty lines and lines that begin with
/// `#` count for nothing. The file is made with one new key when a store is made, and never
/// changed. It must belong to the user and be closed to everybody else (0600), and be no symbolic
/// link.
#[derive(Clone, Debug)]
pub struct KeyFile {
    path: PathBuf,
    described: String,
}

impl KeyFile {
    /// The keys in this file.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        let described = format!("the key file {}", path.display());
        Self { path, described }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A key beside what it seals protects nothing: whoever copies the folder has both.
    fn refuse_beside_records(&self) -> Result<(), StoreError> {
        let mut above = self.path.ancestors().skip(1);
        let is_store = |folder: &Path| {
            [LOCK, HEADER].iter().any(|file| folder.join(file).symlink_metadata().is_ok())
        };
        if above.any(is_store) {
            let message = "the key file lies in the folder of the records that it seals";
            return Err(fail::forbidden(message, "choose another folder for one of the two"));
        }
        Ok(())
    }

    fn make(&self, folder: &Path, key: &SealKey) -> Result<(), StoreError> {
        let failed = |error| fail::writing(error, "the key file cannot be made");
        let random = u64::from_be_bytes(entropy::random()?);
        let temporary = folder.join(format!(".cotter-key.{random:016x}"));
        let mut file = sys::create_new(&temporary).map_err(failed)?;
        let mut text = Zeroizing::new(Vec::with_capacity(64));
        text.extend_from_slice(key.to_base64().as_bytes());
        text.push(b'\n');
        let written = file.write_all(&text).and_then(|()| file.sync_all());
        crash::point("in-key-file");
        // A link, unlike a rename, never replaces what another process made meanwhile.
        let linked = written.and_then(|()| match std::fs::hard_link(&temporary, &self.path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            linked => linked,
        });
        let removed = std::fs::remove_file(&temporary);
        linked.and(removed).and_then(|()| sys::sync_folder(folder)).map_err(failed)
    }
}

impl KeySource for KeyFile {
    fn kind(&self) -> &str {
        "key-file"
    }

    fn describe(&self) -> &str {
        &self.described
    }

    fn keys(&self, _parameters: &[u8]) -> Result<Keys, StoreError> {
        self.refuse_beside_records()?;
        let failed = |error| fail::reading(error, "the key file cannot be read");
        let file = match sys::open_read(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let message = format!("{} is not there", self.described);
                return Err(StoreError::new(StoreErrorKind::KeyMissing, message)
                    .with_hint("bring it back from a backup, or sign in again in a new store"));
            }
            opened => opened.map_err(failed)?,
        };
        let found = file.metadata().map_err(failed)?;
        if !found.is_file() || !sys::is_ours(&found) || sys::others_may(&found) {
            let message = "the key file is not the user's own, or not the user's alone";
            return Err(fail::forbidden(message, "chown it, and chmod 600"));
        }
        let mut text = Zeroizing::new(String::with_capacity(4096));
        file.take(MOST).read_to_string(&mut text).map_err(|error| match error.kind() {
            io::ErrorKind::InvalidData => bad(),
            _ => failed(error),
        })?;
        let mut keys = None;
        for line in text.lines().map(str::trim) {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let key = SealKey::from_base64(line).map_err(|_| bad())?;
            keys = Some(match keys {
                None => Keys::new(key),
                Some(keys) => Keys::with_old(keys, key),
            });
        }
        keys.ok_or_else(bad)
    }

    fn create_if_absent(&self, entropy: &dyn Entropy) -> Result<Vec<u8>, StoreError> {
        self.refuse_beside_records()?;
        if self.path.symlink_metadata().is_ok() {
            return Ok(Vec::new());
        }
        let folder = match self.path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        folder::make_all(folder, "the key file's folder cannot be made")?;
        self.make(folder, &SealKey::generate(entropy)?)?;
        Ok(Vec::new())
    }
}

fn bad() -> StoreError {
    StoreError::new(StoreErrorKind::KeyWrong, "the key file does not hold keys")
        .with_hint("it must have a line with base64 of 32 bytes")
}
