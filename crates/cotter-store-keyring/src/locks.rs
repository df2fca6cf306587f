//! Leases and swaps from lock files, since no keyring has either.
//!
//! Two files per name, never unlinked: `.lease`, held while somebody exchanges, and `.cas`, held
//! just around read, compare and write. The order is lease, then cas.

use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;
use std::collections::HashMap;
use std::fs::{self, File, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use cotter_core::{Holder, Lease, LeaseAnswer, LeaseOwner, StoreError, StoreErrorKind, Timestamp};

const POLL: Duration = Duration::from_millis(5);

/// The folder with the lock files.
#[derive(Debug)]
pub(crate) struct Locks {
    folder: PathBuf,
    /// Whether the folder was there and its owner's alone.
    there: AtomicBool,
    leases: Mutex<Leases>,
}

#[derive(Debug, Default)]
struct Leases {
    held: HashMap<LeaseOwner, (String, Lock)>,
    given: u64,
}

/// Held until dropped.
#[derive(Debug)]
pub(crate) struct Lock(File);

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing is not enough: a child process that another thread is just starting has the same
        // open file until it runs its own program. Where this fails, closing does it in the end.
        let _ = self.0.unlock();
    }
}

impl Locks {
    /// Locks in `folder`, which is checked to be its owner's alone if it is there.
    ///
    /// The first lock makes it otherwise: who only reads leaves nothing behind.
    pub(crate) fn open(folder: PathBuf) -> Result<Self, StoreError> {
        let there = match fs::symlink_metadata(&folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => false,
            found => check(found).map(|()| true)?,
        };
        Ok(Self { folder, there: AtomicBool::new(there), leases: Mutex::default() })
    }

    /// The lock file `name`, which is made where it is not there.
    fn file(&self, name: &str, message: &'static str) -> Result<File, StoreError> {
        if !self.there.load(Ordering::Relaxed) {
            // Somebody else may have made it meanwhile.
            prepare(&self.folder)?;
            self.there.store(true, Ordering::Relaxed);
        }
        let path = self.folder.join(name);
        let opened = match open_private(&path) {
            // A sign-out of the desktop, or whoever tidies up, has taken the folder away.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                prepare(&self.folder)?;
                open_private(&path)
            }
            opened => opened,
        };
        opened.map_err(|error| io_error(error, message))
    }

    /// Never waits.
    pub(crate) fn try_lease(&self, name: &str) -> Result<LeaseAnswer, StoreError> {
        const UNUSABLE: &str = "the lease's lock file can't be used";
        let mut file = self.file(&format!("{name}.lease"), UNUSABLE)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(LeaseAnswer::Held(read_holder(&mut file))),
            Err(TryLockError::Error(error)) => return Err(io_error(error, UNUSABLE)),
        }
        // For people only, so a full disk keeps nobody from a lease.
        let _ = write_holder(&mut file);
        let mut leases = self.leases.lock().unwrap_or_else(PoisonError::into_inner);
        leases.given += 1;
        let mut owner = [0; 16];
        owner[..4].copy_from_slice(&std::process::id().to_be_bytes());
        owner[8..].copy_from_slice(&leases.given.to_be_bytes());
        let owner = LeaseOwner::from_bytes(owner);
        leases.held.insert(owner, (name.to_owned(), Lock(file)));
        Ok(LeaseAnswer::Granted(Lease::until_given_back(owner)))
    }

    /// Gives the lease back, if `owner` has it.
    pub(crate) fn release(&self, name: &str, owner: LeaseOwner) {
        let mut leases = self.leases.lock().unwrap_or_else(PoisonError::into_inner);
        if leases.held.get(&owner).is_some_and(|(held, _)| held == name) {
            leases.held.remove(&owner);
        }
    }

    /// Waits for the right to write under `name` until `end`.
    pub(crate) fn cas(&self, name: &str, end: Instant) -> Result<Lock, StoreError> {
        const UNUSABLE: &str = "the write's lock file can't be used";
        let mut file = self.file(&format!("{name}.cas"), UNUSABLE)?;
        loop {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) if Instant::now() < end => thread::sleep(POLL),
                Err(TryLockError::WouldBlock) => {
                    let holder = read_holder(&mut file);
                    let message = format!("{holder} is writing to the keyring");
                    return Err(StoreError::new(StoreErrorKind::Locked, message)
                        .with_hint("try later; if that process hangs, end it"));
                }
                Err(TryLockError::Error(error)) => return Err(io_error(error, UNUSABLE)),
            }
        }
        let _ = write_holder(&mut file);
        Ok(Lock(file))
    }
}

/// The user's own folder for lock files: `cotter` in `$XDG_RUNTIME_DIR`, or in the folder that this
/// variable names in a session of the user's, for jobs that run without it; else one in the folder for
/// temporary files that carries the user's number.
#[must_use]
pub fn runtime_folder() -> PathBuf {
    folder_in(std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from), sessions_folder)
}

fn folder_in(named: Option<PathBuf>, session: impl FnOnce() -> Option<PathBuf>) -> PathBuf {
    // A relative one is to be ignored (XDG base directories), and so is another user's, which `su` and
    // `sudo` may leave in the environment.
    let named = named.filter(|folder| folder.is_absolute() && is_ours(folder));
    let session = named.or_else(session);
    session.map_or_else(|| temporary().join(personal_name()), |folder| folder.join("cotter"))
}

/// Where systemd keeps what `XDG_RUNTIME_DIR` names: a job of cron's is to find the same locks.
#[cfg(target_os = "linux")]
fn sessions_folder() -> Option<PathBuf> {
    let folder = Path::new("/run/user").join(rustix::process::getuid().as_raw().to_string());
    is_ours(&folder).then_some(folder)
}

fn is_ours(folder: &Path) -> bool {
    check(fs::symlink_metadata(folder)).is_ok()
}

#[cfg(not(target_os = "linux"))]
fn sessions_folder() -> Option<PathBuf> {
    None
}

/// `TMPDIR` differs from shell to shell on Linux; locks must not.
#[cfg(target_os = "linux")]
fn temporary() -> PathBuf {
    PathBuf::from("/tmp")
}

#[cfg(not(target_os = "linux"))]
fn temporary() -> PathBuf {
    std::env::temp_dir()
}

#[cfg(unix)]
fn personal_name() -> String {
    format!("cotter-{}", rustix::process::getuid().as_raw())
}

/// Elsewhere the folder for temporary files is the user's own.
#[cfg(not(unix))]
fn personal_name() -> String {
    "cotter".to_owned()
}

fn prepare(folder: &Path) -> Result<(), StoreError> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder
        .create(folder)
        .map_err(|error| io_error(error, "the folder for lock files can't be made"))?;
    check(fs::symlink_metadata(folder))
}

fn check(found: io::Result<fs::Metadata>) -> Result<(), StoreError> {
    let found =
        found.map_err(|error| io_error(error, "the folder for lock files can't be read"))?;
    #[cfg(unix)]
    let ours = {
        use std::os::unix::fs::MetadataExt as _;
        found.uid() == rustix::process::geteuid().as_raw() && found.mode() & 0o022 == 0
    };
    #[cfg(not(unix))]
    let ours = true;
    if found.is_dir() && ours {
        return Ok(());
    }
    Err(StoreError::new(
        StoreErrorKind::Forbidden,
        "the folder for lock files is a link, another user's, or open for others to write",
    )
    .with_hint("it has to be yours alone; XDG_RUNTIME_DIR says where it is made"))
}

fn open_private(path: &Path) -> io::Result<File> {
    let mut options = fs::OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        let no_follow = rustix::fs::OFlags::NOFOLLOW.bits();
        options.mode(0o600).custom_flags(no_follow.cast_signed());
    }
    options.open(path)
}

fn io_error(error: io::Error, message: &'static str) -> StoreError {
    let kind = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => StoreErrorKind::Full,
        io::ErrorKind::PermissionDenied => StoreErrorKind::Forbidden,
        io::ErrorKind::ReadOnlyFilesystem => StoreErrorKind::ReadOnly,
        io::ErrorKind::NotFound => StoreErrorKind::Unavailable,
        _ => StoreErrorKind::Other,
    };
    StoreError::new(kind, message)
        .with_hint("a keyring has no locks of its own; name another folder for the lock files")
        .with_source(error)
}

fn write_holder(file: &mut File) -> io::Result<()> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    file.set_len(0)?;
    file.rewind()?;
    file.write_all(format!("{} {since}\n", std::process::id()).as_bytes())
}

fn read_holder(file: &mut File) -> Holder {
    let mut text = String::new();
    let read = file.rewind().and_then(|()| file.take(64).read_to_string(&mut text));
    let mut words = text.split_whitespace();
    match (read, words.next().and_then(|pid| pid.parse().ok())) {
        (Ok(_), Some(pid)) => {
            let since = words.next().and_then(|since| since.parse().ok());
            Holder::process(pid, since.map(Timestamp::from_unix_seconds))
        }
        _ => Holder::unknown(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locks_are_given_back_even_where_a_child_process_has_their_files_too() {
        let folder = tempfile::tempdir().unwrap();
        let locks = Locks::open(folder.path().to_owned()).unwrap();
        let cas = locks.cas("name", Instant::now()).unwrap();
        let inherited = cas.0.try_clone().unwrap();
        assert!(locks.cas("name", Instant::now()).is_err());
        drop(cas);
        assert!(locks.cas("name", Instant::now()).is_ok());
        drop(inherited);
    }

    #[test]
    fn a_folder_that_is_taken_away_is_made_again() {
        let run = tempfile::tempdir().unwrap();
        let folder = run.path().join("cotter");
        let locks = Locks::open(folder.clone()).unwrap();
        drop(locks.cas("name", Instant::now()).unwrap());
        fs::remove_dir_all(&folder).unwrap();
        assert!(matches!(locks.try_lease("name"), Ok(LeaseAnswer::Granted(_))));
        assert!(folder.is_dir());
    }

    #[cfg(unix)]
    #[test]
    fn a_cron_job_and_a_desktop_find_the_same_locks() {
        use std::os::unix::fs::PermissionsExt as _;

        let run = tempfile::tempdir().unwrap();
        let own = || Some(run.path().to_owned());
        let desktop = folder_in(own(), || None);
        assert_eq!(desktop, run.path().join("cotter"));
        assert_eq!(folder_in(None, own), desktop);
        // What is relative, gone, or open to others names no folder.
        let open = tempfile::tempdir().unwrap();
        fs::set_permissions(open.path(), fs::Permissions::from_mode(0o777)).unwrap();
        for odd in [Path::new(""), Path::new("run"), Path::new("/nowhere"), open.path()] {
            assert_eq!(folder_in(Some(odd.to_owned()), own), desktop, "{odd:?}");
        }
        let nowhere = folder_in(None, || None);
        assert!(nowhere.is_absolute() && nowhere.ends_with(personal_name()), "{nowhere:?}");
    }
}
