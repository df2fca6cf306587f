//! Keeps sealed records in a sled database that one process owns.
//!
//! Every record is sealed ([`cotter_seal`]) before sled sees it, and sled's keys are keyed hashes:
//! no token, account name, API key id or subject stands in clear in any of its files. The folder is
//! made for its owner alone (0700, files 0600); one that is open to others is refused.
//!
//! ```
//! # use cotter_core::{BlockingTokenStore, Expected, Lineage, Revision, SecretBytes, StoreKey, Swap};
//! use cotter_seal::{Given, SealKey};
//! use cotter_store_sled::SledStore;
//!
//! # let folder = tempfile::tempdir()?; let folder = folder.path().join("sessions");
//! // The key comes from wherever a program has it; `KeyFile` of the file store and `KeyringKey` keep one.
//! let store = SledStore::open(&folder, Given::new(SealKey::from_bytes([42; 32])))?;
//!
//! let key = StoreKey::new("https://auth.example", "client", "ada")?;
//! let first = Revision::first(Lineage::from_bytes([7; 16]));
//! let record = SecretBytes::from(b"tokens".as_slice());
//! assert_eq!(store.save(&key, &record, Expected::Absent, first)?, Swap::Done);
//! store.close()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A server opens it once and keeps thousands of sessions in it; a program opens it, works, and
//! [closes](SledStore::close) it, so that the next one need not wait.
//!
//! # Durable, and how
//!
//! sled's own `flush` is no `fsync`: it asks the kernel to write (`sync_file_range`), which survives
//! a killed process and not a power cut. So each save and each removal is followed by an `fsync` of
//! sled's log, of each of its files that is new, and of the folders that hold them; then the write
//! is counted in a file of its own, synced too; only then does the call return, and only then does
//! a load see it. A failed sync ends the store until it is opened again.
//!
//! Seen by strace, 31 writes came to 33 `fsync` of the log and 31 of the count (sled alone: 9 in
//! 6 003 flushes). The recorded calls, replayed up to each sync with what was not synced dropped at
//! random, always left the last acknowledged record or the next one. A save took at most 1.3 times a
//! bare write, `fsync`, rename and `fsync` of the folder. A load takes as long among a hundred
//! thousand sessions as among a hundred (some 15 us; 50 us when it has to be read from the file);
//! opening reads every record's revision, which is a second for a hundred thousand.
//!
//! That file, the high-water mark, also tells damage from absence: sled repairs a damaged log by
//! forgetting its end, in silence, and what it forgets is a newer refresh token. A database that is
//! behind its mark, or whose records don't add up to it, is [`Damaged`] as a whole and is not read.
//! A folder brought back whole from an old backup can't be told from a new one.
//!
//! # When to take the file store instead
//!
//! - **Several processes.** One process owns the folder; a second gets [`Locked`], after a bounded
//!   wait. sled gives its lock back late after a drop; [`SledStore::close`] waits for it.
//! - **A full disk.** sled needs room even to open for reading: then everything fails with
//!   [`Full`], and nothing that was saved is lost. To keep out of that, a save or a removal is
//!   refused with [`Full`] while there is still room for two megabytes and a hundred times the
//!   greatest record that this process has read or written (sled writes records again in whole
//!   nodes), and then the store can still be read. Where somebody else fills the disk under sled,
//!   sled does not recover while the process lives: the store says so, and the program has to be
//!   started again.
//! - **Old generations.** sled's log keeps what was replaced or removed until it reuses the space.
//!   It is sealed, and no load ever gives it; but a removal here is no shredding, and who has both
//!   the folder and the sealing key can find spent tokens in it. The file store keeps none.
//! - **Maintenance.** sled 0.34 is the last stable line, and depends on crates that are no longer
//!   maintained (`fxhash`, `instant`, `parking_lot` 0.11).
//! - **Damage.** One bad block can make the whole database [`Damaged`], not one record.
//!
//! [`Damaged`]: cotter_core::StoreErrorKind::Damaged
//! [`Full`]: cotter_core::StoreErrorKind::Full
//! [`Locked`]: cotter_core::StoreErrorKind::Locked

mod crash;
mod disk;
mod engine;
mod entropy;
mod leases;
mod lock;
mod marks;
mod opening;
mod store;

pub use store::{SledOptions, SledStore};
