//! Opening: whose folder it is, by which key it is sealed, and whether sled forgot anything.

use core::time::Duration;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::Instant;

use cotter_core::{Entropy, StoreError, StoreErrorKind};
use cotter_seal::{Header, KeySource, Vault};

use crate::crash;
use crate::disk::{self, Synced};
use crate::engine::{Engine, damaged};
use crate::lock;
use crate::marks::{Mark, Marks};

pub(crate) const KIND: &str = "sled";
/// How long a database that failed is waited for; sled may never be done with it.
pub(crate) const GRACE: Duration = Duration::from_millis(500);

/// The names in the store's folder.
#[derive(Debug)]
pub(crate) struct Places {
    pub(crate) root: PathBuf,
}

impl Places {
    pub(crate) fn lock(&self) -> PathBuf {
        self.root.join("lock")
    }
    pub(crate) fn header(&self) -> PathBuf {
        self.root.join("header")
    }
    pub(crate) fn marks(&self) -> PathBuf {
        self.root.join("marks")
    }
    pub(crate) fn database(&self) -> PathBuf {
        self.root.join("database")
    }
    pub(crate) fn log(&self) -> PathBuf {
        self.database().join("db")
    }
}

/// Everything that a write needs; one writer at a time.
#[derive(Debug)]
pub(crate) struct Writer {
    pub(crate) marks: Marks,
    pub(crate) synced: Synced,
    /// What the database says of itself.
    pub(crate) mark: Mark,
}

/// Opens the header, or makes one where there is nothing.
pub(crate) fn vault(
    places: &Places,
    source: &dyn KeySource,
    entropy: &dyn Entropy,
) -> Result<Vault, StoreError> {
    match fs::read(places.header()) {
        Ok(header) => Vault::open(KIND, &header, source),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            if places.marks().exists() || places.database().exists() {
                return Err(damaged("the store's header is gone, and its database is not"));
            }
            let vault = Vault::create(KIND, source, entropy)?;
            write_header(places, vault.header())?;
            Ok(vault)
        }
        Err(error) => Err(disk::io_error(error, "the store's header can't be read")),
    }
}

/// Opens the header of a store that moves from one key source to another, and has it say so.
pub(crate) fn moving_vault(
    places: &Places,
    from: &dyn KeySource,
    to: &dyn KeySource,
    entropy: &dyn Entropy,
) -> Result<Vault, StoreError> {
    let header = fs::read(places.header())
        .map_err(|error| disk::io_error(error, "the store's header can't be read"))?;
    let vault = Vault::open_moving(KIND, &header, from, to)?;
    let Some(begun) = vault.begin_move(to, entropy)? else { return Ok(vault) };
    write_header(places, begun.header())?;
    Ok(begun)
}

/// Puts the header in place, whole or not at all.
pub(crate) fn write_header(places: &Places, header: &Header) -> Result<(), StoreError> {
    let unnamed = places.header().with_extension("new");
    let write = || {
        let mut file = disk::open_private(&unnamed)?;
        file.set_len(0)?;
        file.write_all(&header.to_bytes())?;
        file.sync_all()?;
        crash::point("before-header");
        fs::rename(&unnamed, places.header())?;
        crash::point("after-header");
        Ok(())
    };
    write().map_err(|error| disk::io_error(error, "the store's header can't be written"))?;
    disk::sync_folder(&places.root)
}

/// Opens the database and holds it against the mark.
pub(crate) fn database(places: &Places, deadline: Instant) -> Result<(Engine, Writer), StoreError> {
    let folder = places.database();
    let (marks, fresh) = match Marks::open(&places.marks())? {
        Some(marks) => (marks, false),
        None if folder.exists() => {
            return Err(damaged("the store's mark file is gone, and its database is not"));
        }
        None => (Marks::create(&places.marks())?, true),
    };
    if fresh || !folder.exists() {
        if !marks.untouched {
            return Err(damaged("the database is gone"));
        }
        disk::prepare(&folder)?;
    }
    if !marks.untouched && !places.log().exists() {
        return Err(damaged("the database's log is gone"));
    }
    match open_and_check(places, marks, deadline) {
        // Cut off while it was being made: nothing was ever saved in it, so it is made anew.
        Err(error) if error.kind() == StoreErrorKind::Damaged && unfinished(places) => {
            lock::wait_until_free(&places.log(), deadline);
            fs::remove_dir_all(&folder).map_err(|error| {
                disk::io_error(error, "an unfinished database can't be removed")
            })?;
            disk::prepare(&folder)?;
            let marks = Marks::create(&places.marks())?;
            open_and_check(places, marks, deadline)
        }
        opened => opened,
    }
}

fn unfinished(places: &Places) -> bool {
    matches!(Marks::open(&places.marks()), Ok(Some(marks)) if marks.untouched)
}

fn open_and_check(
    places: &Places,
    mut marks: Marks,
    deadline: Instant,
) -> Result<(Engine, Writer), StoreError> {
    lock::wait_until_free(&places.log(), deadline);
    remove_unfinished_snapshots(&places.database())?;
    crash::point("before-database");
    let engine = Engine::open(&places.database(), deadline)?;
    crash::point("after-database");
    let checked = check(&engine, marks.highest).and_then(|mark| {
        // What a crash left unsynced is made durable before anybody sees it.
        engine.flush()?;
        let mut synced = Synced::new(&places.database())?;
        synced.sync()?;
        if mark.writes > marks.highest.writes {
            marks.raise(mark)?;
        }
        Ok(Writer { marks, synced, mark })
    });
    match checked {
        Ok(writer) => Ok((engine, writer)),
        Err(error) => {
            engine.close().is_over(GRACE);
            Err(error)
        }
    }
}

/// sled takes a snapshot that it was still writing, when the disk was full or it was killed, for the
/// newest one, and then itself for damaged. It never counted: the log has everything.
fn remove_unfinished_snapshots(folder: &Path) -> Result<(), StoreError> {
    let failed = |error| disk::io_error(error, "sled's folder can't be read");
    for entry in fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with("snap.") && name.ends_with(".generating") {
            fs::remove_file(entry.path()).map_err(failed)?;
        }
    }
    Ok(())
}

/// The database's own mark, if everything that it and the mark file count is there.
fn check(engine: &Engine, highest: Mark) -> Result<Mark, StoreError> {
    let mark = engine.mark()?.unwrap_or_default();
    if mark.writes < highest.writes {
        return Err(damaged("sled has lost the last writes, and what is left may be out of date"));
    }
    let mut found = Mark { writes: mark.writes, ..Mark::default() };
    for entry in engine.names() {
        let (name, revision) = entry?;
        found.records += 1;
        found.toggle(name.as_bytes(), &revision.to_bytes());
    }
    if found != mark || (mark.writes == highest.writes && mark != highest) {
        return Err(damaged("sled has lost records"));
    }
    Ok(mark)
}

pub(crate) fn deadline(wait: Duration) -> Instant {
    let now = Instant::now();
    now.checked_add(wait).unwrap_or_else(|| now + Duration::from_secs(365 * 24 * 3600))
}

/// Whether there is a store in `root` at all.
pub(crate) fn exists(root: &Path) -> bool {
    ["header", "marks", "database"].iter().any(|name| root.join(name).exists())
}
