//! The high-water mark: what the database must hold at least.
//!
//! sled repairs a damaged log by forgetting its end, and says nothing. A forgotten end is a spent
//! refresh token that comes back. So each durable write is counted, in sled (in the same atomic
//! batch as the record) and, once it is on the disk, in a file of two slots that are written in
//! turn. A database that is behind this file, or whose own sums don't add up, is damaged.

use std::fs::{self, File};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use cotter_core::{StoreError, StoreErrorKind};
use sha2::{Digest as _, Sha256};

use crate::{crash, disk};

const MAGIC: &[u8; 7] = b"cotterM";
const VERSION: u8 = 1;
const BODY: usize = 8 + Mark::LENGTH;
const CHECKSUM: usize = 16;
const SLOT: usize = BODY + CHECKSUM;
/// Apart, so that no torn sector hits both.
const SLOT_AT: [u64; 2] = [0, 4096];

/// How many writes there were, and what all of them left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Mark {
    /// Grows by one with every write.
    pub(crate) writes: u64,
    /// How many records there are.
    pub(crate) records: u64,
    /// The exclusive or of a hash of every record's name and revision.
    pub(crate) sum: [u8; 16],
}

impl Mark {
    pub(crate) const LENGTH: usize = 32;

    /// Puts a record in, or takes it out: that is the same.
    pub(crate) fn toggle(&mut self, name: &[u8], revision: &[u8]) {
        let hash = Sha256::new().chain_update(name).chain_update(revision).finalize();
        self.sum.iter_mut().zip(hash).for_each(|(sum, byte)| *sum ^= byte);
    }

    pub(crate) fn to_bytes(self) -> [u8; Self::LENGTH] {
        let mut bytes = [0; Self::LENGTH];
        bytes[..8].copy_from_slice(&self.writes.to_be_bytes());
        bytes[8..16].copy_from_slice(&self.records.to_be_bytes());
        bytes[16..].copy_from_slice(&self.sum);
        bytes
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (writes, rest) = bytes.split_first_chunk::<8>()?;
        let (records, rest) = rest.split_first_chunk::<8>()?;
        Some(Self {
            writes: u64::from_be_bytes(*writes),
            records: u64::from_be_bytes(*records),
            sum: rest.try_into().ok()?,
        })
    }
}

/// The file that holds the mark.
#[derive(Debug)]
pub(crate) struct Marks {
    file: File,
    /// The highest mark found or written.
    pub(crate) highest: Mark,
    /// Whether both slots stand as they were made: no write was ever acknowledged.
    pub(crate) untouched: bool,
}

impl Marks {
    /// A file with no write in it, durable before it has its name.
    pub(crate) fn create(path: &Path) -> Result<Self, StoreError> {
        let failed = |error| disk::io_error(error, "the store's mark file can't be written");
        let unnamed: PathBuf = path.with_extension("new");
        let mut file = disk::open_private(&unnamed).map_err(failed)?;
        for at in SLOT_AT {
            put(&mut file, at, Mark::default()).map_err(failed)?;
        }
        file.sync_all().map_err(failed)?;
        crash::point("before-first-mark");
        fs::rename(&unnamed, path).map_err(failed)?;
        crash::point("after-first-mark");
        disk::sync_folder(path.parent().unwrap_or(path))?;
        Ok(Self { file, highest: Mark::default(), untouched: true })
    }

    /// The file as it stands; `None` if there is none.
    pub(crate) fn open(path: &Path) -> Result<Option<Self>, StoreError> {
        let unreadable = |error| disk::io_error(error, "the store's mark file can't be read");
        if !path.try_exists().map_err(unreadable)? {
            return Ok(None);
        }
        let mut file = disk::open_private(path).map_err(unreadable)?;
        let slots = SLOT_AT.map(|at| get(&mut file, at));
        let highest = slots.iter().filter_map(|slot| slot.as_ref().ok()).max_by_key(|m| m.writes);
        let highest = match (highest, &slots) {
            (Some(highest), _) => *highest,
            (None, [Err(Slot::TooNew), _] | [_, Err(Slot::TooNew)]) => {
                return Err(StoreError::new(
                    StoreErrorKind::TooNew,
                    "a newer cotter wrote this store",
                )
                .with_hint("update cotter; nothing was touched"));
            }
            (None, _) => {
                return Err(StoreError::new(
                    StoreErrorKind::Damaged,
                    "the store's mark file is not what was written",
                )
                .with_hint(disk::DAMAGED_HINT));
            }
        };
        let untouched = slots.iter().all(|slot| matches!(slot, Ok(mark) if mark.writes == 0));
        Ok(Some(Self { file, highest, untouched }))
    }

    /// Makes `mark` the highest, durably.
    pub(crate) fn raise(&mut self, mark: Mark) -> Result<(), StoreError> {
        crash::point("before-mark");
        let at = SLOT_AT[usize::from(mark.writes % 2 == 1)];
        put(&mut self.file, at, mark)
            .and_then(|()| {
                crash::point("in-mark");
                self.file.sync_data()
            })
            .map_err(|error| disk::io_error(error, "the store's mark file can't be written"))?;
        self.highest = mark;
        self.untouched = false;
        Ok(())
    }
}

enum Slot {
    TooNew,
    Damaged,
}

fn put(file: &mut File, at: u64, mark: Mark) -> std::io::Result<()> {
    let mut slot = [0; SLOT];
    slot[..7].copy_from_slice(MAGIC);
    slot[7] = VERSION;
    slot[8..BODY].copy_from_slice(&mark.to_bytes());
    let checksum = Sha256::digest(&slot[..BODY]);
    slot[BODY..].copy_from_slice(&checksum[..CHECKSUM]);
    file.seek(SeekFrom::Start(at))?;
    file.write_all(&slot)
}

fn get(file: &mut File, at: u64) -> Result<Mark, Slot> {
    let mut slot = [0; SLOT];
    file.seek(SeekFrom::Start(at))
        .and_then(|_| file.read_exact(&mut slot))
        .map_err(|_| Slot::Damaged)?;
    let checksum = Sha256::digest(&slot[..BODY]);
    if slot[..7] != *MAGIC || slot[BODY..] != checksum[..CHECKSUM] {
        return Err(Slot::Damaged);
    }
    if slot[7] != VERSION {
        return Err(Slot::TooNew);
    }
    Mark::from_bytes(&slot[8..BODY]).ok_or(Slot::Damaged)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(writes: u64) -> Mark {
        let mut mark = Mark { writes, records: 1, ..Mark::default() };
        mark.toggle(b"name", &writes.to_be_bytes());
        mark
    }

    #[test]
    fn the_highest_mark_is_found_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("marks");
        assert!(Marks::open(&path).unwrap().is_none());
        let mut marks = Marks::create(&path).unwrap();
        for writes in 1..=5 {
            marks.raise(mark(writes)).unwrap();
            let found = Marks::open(&path).unwrap().unwrap();
            assert_eq!(found.highest, mark(writes));
            assert!(!found.untouched);
        }
    }

    #[test]
    fn every_flipped_byte_is_noticed_or_leaves_the_mark_before() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("marks");
        let mut marks = Marks::create(&path).unwrap();
        marks.raise(mark(1)).unwrap();
        marks.raise(mark(2)).unwrap();
        let whole = fs::read(&path).unwrap();
        // Between the slots lies nothing.
        for at in (0..SLOT).chain(4096..whole.len()) {
            let mut flipped = whole.clone();
            flipped[at] ^= 0x10;
            fs::write(&path, &flipped).unwrap();
            let found = Marks::open(&path).unwrap().unwrap();
            assert!(found.highest == mark(2) || found.highest == mark(1), "byte {at}");
            assert!(!found.untouched, "byte {at}");
        }
        for end in (0..=SLOT).chain(4096..whole.len()) {
            fs::write(&path, &whole[..end]).unwrap();
            match Marks::open(&path) {
                Ok(found) => assert_eq!(found.unwrap().highest, mark(2), "cut at {end}"),
                Err(error) => assert_eq!(error.kind(), StoreErrorKind::Damaged, "cut at {end}"),
            }
        }
    }

    #[test]
    fn a_newer_version_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("marks");
        let mut slot = [0; SLOT];
        slot[..7].copy_from_slice(MAGIC);
        slot[7] = VERSION + 1;
        let checksum = Sha256::digest(&slot[..BODY]);
        slot[BODY..].copy_from_slice(&checksum[..CHECKSUM]);
        fs::write(&path, slot).unwrap();
        assert_eq!(Marks::open(&path).unwrap_err().kind(), StoreErrorKind::TooNew);
    }

    #[test]
    fn putting_in_and_taking_out_cancel() {
        let mut mark = Mark::default();
        mark.toggle(b"a", b"1");
        mark.toggle(b"b", b"2");
        mark.toggle(b"a", b"1");
        let mut other = Mark::default();
        other.toggle(b"b", b"2");
        assert_eq!(mark, other);
        assert_eq!(Mark::from_bytes(&mark.to_bytes()), Some(mark));
    }
}
