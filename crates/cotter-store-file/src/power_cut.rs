//! What a power cut leaves, and what a disk that fails to sync does.
//!
//! Every change that the store makes goes through [`Disk`]; these tests record the changes of real
//! saves, then lay out on a fresh folder what a file system may keep of them when the power goes
//! after each: of a file that was not synced, any content; of names that were not synced, any
//! subset. The real store is opened on each outcome. That the changes are made by the system calls
//! that their names promise is what `strace` shows.

use core::sync::atomic::{AtomicU32, Ordering};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use cotter_core::{
    BlockingTokenStore as _, Expected, Lineage, Revision, SecretBytes, StoreErrorKind, StoreKey,
    Swap,
};
use cotter_seal::{Given, SealKey};

use crate::disk::{Disk, Real};
use crate::folder::Folder;
use crate::state::Opener;
use crate::store::FileStore;

#[derive(Clone, Debug)]
enum Op {
    Write(PathBuf, Vec<u8>),
    Sync(PathBuf),
    Rename(PathBuf, PathBuf),
    Remove(PathBuf),
    SyncFolder(PathBuf),
    /// The store has answered that this stands there durably.
    Acknowledged(Option<u64>),
    /// The store was asked for this.
    Asked(Option<u64>),
}

/// Does everything, and writes down what.
#[derive(Debug)]
struct Recorder {
    log: Arc<Mutex<Vec<Op>>>,
    root: PathBuf,
}

impl Recorder {
    fn note(&self, op: impl FnOnce(&dyn Fn(&Path) -> PathBuf) -> Op) {
        let relative = |path: &Path| path.strip_prefix(&self.root).unwrap().to_path_buf();
        self.log.lock().unwrap().push(op(&relative));
    }
}

impl Disk for Recorder {
    fn write_new(&self, path: &Path, bytes: &[u8]) -> io::Result<File> {
        self.note(|relative| Op::Write(relative(path), bytes.to_vec()));
        Real.write_new(path, bytes)
    }
    fn sync(&self, file: &File, path: &Path) -> io::Result<()> {
        self.note(|relative| Op::Sync(relative(path)));
        Real.sync(file, path)
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.note(|relative| Op::Rename(relative(from), relative(to)));
        Real.rename(from, to)
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        self.note(|relative| Op::Remove(relative(path)));
        Real.remove(path)
    }
    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        self.note(|relative| Op::SyncFolder(relative(path)));
        Real.sync_folder(path)
    }
}

/// A disk with a volatile cache before it.
#[derive(Clone, Default)]
struct Model {
    /// Content, and whether it has reached the disk.
    files: Vec<(Vec<u8>, bool)>,
    now: BTreeMap<PathBuf, usize>,
    durable: BTreeMap<PathBuf, usize>,
    /// Changes of names that may or may not have reached the disk.
    pending: Vec<(PathBuf, Option<usize>)>,
}

impl Model {
    fn set(&mut self, path: &Path, file: Option<usize>) {
        match file {
            Some(file) => self.now.insert(path.into(), file),
            None => self.now.remove(path),
        };
        self.pending.push((path.into(), file));
    }

    fn apply(&mut self, op: &Op) {
        match op {
            Op::Write(path, bytes) => {
                self.files.push((bytes.clone(), false));
                self.set(path, Some(self.files.len() - 1));
            }
            Op::Sync(path) => self.files[self.now[path]].1 = true,
            Op::Rename(from, to) => {
                let file = self.now[from];
                self.set(to, Some(file));
                self.set(from, None);
            }
            Op::Remove(path) => self.set(path, None),
            Op::SyncFolder(folder) => {
                for (path, file) in core::mem::take(&mut self.pending) {
                    if path.parent() != Some(folder) {
                        self.pending.push((path, file));
                        continue;
                    }
                    match file {
                        Some(file) => self.durable.insert(path, file),
                        None => self.durable.remove(&path),
                    };
                }
            }
            Op::Acknowledged(_) | Op::Asked(_) => {}
        }
    }

    /// Everything that may be found when the power comes back.
    fn outcomes(&self) -> Vec<BTreeMap<PathBuf, Vec<u8>>> {
        // Nothing reads temporary files; what is left of them goes together.
        let (aside, names): (Vec<_>, Vec<_>) =
            self.pending.iter().partition(|(path, _)| path.starts_with("tmp"));
        assert!(names.len() < 8, "too many subsets");
        let mut outcomes = Vec::new();
        for subset in 0..1_u32 << names.len() {
            for with_aside in [false, true] {
                let mut files = self.durable.clone();
                let chosen = (0..).zip(&names).filter(|(n, _)| subset >> n & 1 == 1);
                let chosen = chosen.map(|(_, change)| *change);
                let aside = aside.iter().copied().filter(|_| with_aside);
                for (path, file) in chosen.chain(aside) {
                    match file {
                        Some(file) => files.insert(path.clone(), *file),
                        None => files.remove(path),
                    };
                }
                for content in 0..4 {
                    let laid_out = files.iter().map(|(path, file)| {
                        let (bytes, synced) = &self.files[*file];
                        let kept = match content {
                            _ if *synced => bytes.clone(),
                            0 => bytes.clone(),
                            1 => Vec::new(),
                            2 => bytes[..bytes.len() / 2].to_vec(),
                            _ => vec![0; bytes.len()],
                        };
                        (path.clone(), kept)
                    });
                    outcomes.push(laid_out.collect());
                }
            }
        }
        outcomes.sort();
        outcomes.dedup();
        outcomes
    }
}

fn source() -> Given {
    Given::new(SealKey::from_bytes([1; 32]))
}

fn key() -> StoreKey {
    StoreKey::new("https://auth.example", "client", "ada").unwrap()
}

fn revision(counter: u64) -> Revision {
    Revision { lineage: Lineage::from_bytes([1; 16]), counter }
}

fn record(counter: u64) -> SecretBytes {
    SecretBytes::from(format!("record {counter}").into_bytes())
}

fn record_changes() -> Vec<Op> {
    let home = tempfile::tempdir().unwrap();
    let root = home.path().join("store");
    let log = Arc::new(Mutex::new(Vec::new()));
    let disk = Box::new(Recorder { log: Arc::clone(&log), root: root.clone() });
    let opener = || Opener::Sealed(Arc::new(source()));
    let store = FileStore::build(root, opener(), disk).unwrap();
    let note = |op| log.lock().unwrap().push(op);
    let mut standing = None;
    for step in [Some(1), Some(2), Some(3), None, Some(5), None, Some(7), Some(8)] {
        note(Op::Asked(step));
        let swap = match step {
            None => store.remove(&key(), revision(standing.unwrap())),
            Some(n) => {
                let expected =
                    standing.map_or(Expected::Absent, |n| Expected::Revision(revision(n)));
                store.save(&key(), &record(n), expected, revision(n))
            }
        };
        assert_eq!(swap.unwrap(), Swap::Done);
        note(Op::Acknowledged(step));
        standing = step;
    }
    let log = log.lock().unwrap();
    log.clone()
}

#[test]
fn rule_15_after_a_power_cut_at_any_moment_the_old_record_stands_or_the_new_one() {
    let log = record_changes();
    let mut model = Model::default();
    let (mut acknowledged, mut asked, mut outcomes) = (None, None, 0);
    for cut in 0..=log.len() {
        for files in model.outcomes() {
            outcomes += 1;
            let home = tempfile::tempdir().unwrap();
            let folder = Folder::at(home.path().join("store"));
            folder.make().unwrap();
            for (path, bytes) in &files {
                fs::write(folder.path().join(path), bytes).unwrap();
            }
            let at = format!("after {cut} of {log:?}: {:?}", files.keys());
            let store = FileStore::open(folder.path(), source()).expect(&at);
            let loaded = store.load(&key()).expect(&at);
            let stands = loaded.as_ref().map(|loaded| loaded.revision.counter);
            assert!(stands == acknowledged || stands == asked, "{stands:?} {at}");
            if let Some(loaded) = loaded {
                assert!(loaded.record.expect(&at) == record(stands.unwrap()), "{at}");
            }
        }
        match log.get(cut) {
            Some(Op::Acknowledged(step)) => (acknowledged, asked) = (*step, *step),
            Some(Op::Asked(step)) => asked = *step,
            Some(op) => model.apply(op),
            None => {}
        }
    }
    assert!(outcomes > 60, "only {outcomes} outcomes were looked at");
}

/// Fails the syncs of files and of folders whose bits are set, the first one's being the lowest.
#[derive(Debug)]
struct Failing {
    files: AtomicU32,
    folders: AtomicU32,
    log: Arc<Mutex<Vec<PathBuf>>>,
}

fn eio(bits: &AtomicU32) -> io::Result<()> {
    let before = bits.load(Ordering::Relaxed);
    bits.store(before >> 1, Ordering::Relaxed);
    if before & 1 == 1 { Err(io::Error::other("EIO")) } else { Ok(()) }
}

impl Disk for Failing {
    fn write_new(&self, path: &Path, bytes: &[u8]) -> io::Result<File> {
        self.log.lock().unwrap().push(path.into());
        Real.write_new(path, bytes)
    }
    fn sync(&self, file: &File, path: &Path) -> io::Result<()> {
        eio(&self.files).and_then(|()| Real.sync(file, path))
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        Real.rename(from, to)
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        Real.remove(path)
    }
    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        eio(&self.folders).and_then(|()| Real.sync_folder(path))
    }
}

/// A store with record 1 in it, on a disk that then fails these syncs of files and folders.
fn failing(files: u32, folders: u32) -> (tempfile::TempDir, FileStore, Arc<Mutex<Vec<PathBuf>>>) {
    let home = tempfile::tempdir().unwrap();
    let healthy = FileStore::open(home.path().join("store"), source()).unwrap();
    healthy.save(&key(), &record(1), Expected::Absent, revision(1)).unwrap();
    let log = Arc::new(Mutex::new(Vec::new()));
    let disk = Failing {
        files: AtomicU32::new(files),
        folders: AtomicU32::new(folders),
        log: Arc::clone(&log),
    };
    let opener = Opener::Sealed(Arc::new(source()));
    let store = FileStore::build(home.path().join("store"), opener, Box::new(disk)).unwrap();
    (home, store, log)
}

fn save_2(store: &FileStore) -> Result<Swap, StoreErrorKind> {
    let expected = Expected::Revision(revision(1));
    store.save(&key(), &record(2), expected, revision(2)).map_err(|error| error.kind())
}

fn standing(store: &FileStore) -> u64 {
    let loaded = store.load(&key()).unwrap().unwrap();
    let counter = loaded.revision.counter;
    assert!(loaded.record.unwrap() == record(counter));
    counter
}

#[test]
fn rule_15_a_failed_sync_discards_the_file_and_begins_anew() {
    for (files, folders) in [(1, 0), (0, 1)] {
        let (_home, store, written) = failing(files, folders);
        assert_eq!(save_2(&store), Ok(Swap::Done));
        assert_eq!(standing(&store), 2);
        let written = written.lock().unwrap();
        assert_eq!(written.len(), 2, "a second file");
        assert_ne!(written[0], written[1]);
    }
}

#[test]
fn a_disk_that_syncs_no_file_keeps_the_old_record() {
    let (home, store, _) = failing(u32::MAX, 0);
    assert_eq!(save_2(&store), Err(StoreErrorKind::Other));
    assert_eq!(standing(&store), 1);
    assert_eq!(fs::read_dir(home.path().join("store/tmp")).unwrap().count(), 0);
}

#[test]
fn a_disk_that_syncs_no_folder_leaves_it_uncertain() {
    let (_home, store, _) = failing(0, u32::MAX);
    assert_eq!(save_2(&store), Err(StoreErrorKind::Timeout));
    assert_eq!(standing(&store), 2);
    let removed = store.remove(&key(), revision(2)).unwrap_err();
    assert!(removed.is_uncertain());

    // Nor is it any more certain if the second attempt does not get that far.
    let (_home, store, _) = failing(0b10, 0b1);
    assert_eq!(save_2(&store), Err(StoreErrorKind::Timeout));
    assert_eq!(standing(&store), 2);
}
