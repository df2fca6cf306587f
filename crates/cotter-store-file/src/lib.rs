//! Keeps records sealed in one directory that many processes share.
//!
//! ```
//! use cotter_core::{BlockingTokenStore, Expected, Lineage, Revision, SecretBytes, StoreKey, Swap};
//! use cotter_store_file::{FileStore, KeyFile};
//!
//! # let home = tempfile::tempdir()?;
//! # let home = home.path();
//! // The key lies elsewhere than the records; it is made with the store and never again.
//! let source = KeyFile::new(home.join("config/cotter/key"));
//! let store = FileStore::open(home.join("state/cotter"), source)?;
//!
//! let key = StoreKey::new("https://auth.example", "client", "ada")?;
//! let first = Revision::first(Lineage::from_bytes([7; 16]));
//! let record = SecretBytes::from(b"tokens".as_slice());
//! assert_eq!(store.save(&key, &record, Expected::Absent, first)?, Swap::Done);
//! assert_eq!(store.load(&key)?.expect("just saved").record?, record);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What lies in the directory
//!
//! | file | what it is |
//! |---|---|
//! | `cotter.header` | the [`Header`]: the sealing key's name, and the sealed key that names records |
//! | `cotter.lock` | held while the header is made |
//! | `<name>.rec` | a sealed record; its name is a keyed hash of provider, client and session |
//! | `<name>.cas` | held just around a comparison and the change that follows it |
//! | `<name>.lease` | held by who exchanges that session's refresh token |
//! | `tmp/` | files on their way to their place; what a crash left there is swept |
//!
//! Locks are the kernel's, one for each open file: two stores in one process exclude each other
//! like two processes, and a process that dies holds nothing. Lock files say who holds them, are
//! never removed, and tell how many sessions there ever were. The directory must be on a local file
//! system; network file systems give weaker promises than the ones below.
//!
//! # What it promises
//!
//! - **A save happened or did not.** The bytes go to a file of their own, which is synced, renamed
//!   over the record, and the directory synced, before `save` returns `Ok`. A kill or a power cut
//!   at any moment leaves the old record or the new one. No older one is kept: it would hold a
//!   spent token.
//! - **A failed sync is not tried again on the same file**, as the second one may lie. The write
//!   begins anew; if the name may stand but not durably, the error is a
//!   [`Timeout`](cotter_core::StoreErrorKind::Timeout): uncertain.
//! - **Damage is not absence.** A record that can't be opened has a revision all the same; a
//!   sign-in replaces it and a sign-out removes it, nothing else does. If the header is gone, or
//!   the whole directory, that is an error and not "nobody is signed in".
//! - **Private.** The directory is made 0700, files 0600, under whatever umask. Symbolic links, other
//!   people's files, and whatever other people may change are refused; what they may only read is
//!   closed to them when it is opened. A key file that they may read is refused.
//! - **What is removed is unlinked**, not overwritten: file systems and disks keep blocks as they
//!   like. They are sealed.
//!
//! A load opens one file and takes no lock, however many sessions there are. `list` opens every
//! record and fails if one can't be opened; [`FileStore::survey`] says which.

mod crash;
mod create;
mod disk;
mod entropy;
mod fail;
mod folder;
mod keys;
mod lease;
mod lock;
mod reseal;
mod state;
mod store;
mod sys;
mod write;

#[cfg(test)]
mod power_cut;

/// The longest record that is taken: 16 MiB.
pub const MAX_RECORD: usize = 16 * 1024 * 1024;

pub use cotter_seal::{Given, Header, KeyId, KeySource, Keys, SealKey};
pub use keys::{Environment, KeyFile};
pub use reseal::Resealed;
pub use store::{FileStore, Surveyed};
