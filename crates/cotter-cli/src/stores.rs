//! Where tokens rest: which store is used, with which key, and why.
//!
//! A store's header says of which kind it is and where its key was when it was made; every later
//! run uses exactly that. Only a command that signs in makes a store, and only there is a choice.

use core::time::Duration;
use std::path::Path;
use std::sync::Arc;

use cotter::seal::{Header, KeySource};
use cotter::store::{Candidate, Chosen, Outcome, Protection, Tried, choose};
use cotter::{BlockingTokenStore, StoreError, StoreKey};
use serde::Serialize;

use crate::failure::{Code, Failure};
use crate::keys::{self, Environment, Source};
use crate::progress::Progress;
use crate::settings::{Kind, Settings};

/// How long one way to make a store may take, before the next one is tried.
const PATIENCE: Duration = Duration::from_secs(15);

/// A store that is open.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) place: Place,
}

/// What the program wants of a store beside the contract.
pub(crate) trait Store: BlockingTokenStore {
    /// Seals everything with the newest key and says how many records that were.
    fn reseal(&self) -> Result<usize, StoreError>;

    /// Whose records there are, those that cannot be opened included.
    fn survey(&self) -> Result<Vec<Result<StoreKey, StoreError>>, StoreError> {
        Ok(self.list()?.into_iter().map(Ok).collect())
    }
}

/// Which store is used; what is not known is `None`.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Place {
    pub(crate) kind: Option<String>,
    pub(crate) path: Option<String>,
    pub(crate) key_source: Option<String>,
    /// Where exactly the key is.
    #[serde(skip)]
    pub(crate) key: Option<String>,
    /// For `doctor`: why it is this one.
    #[serde(skip)]
    pub(crate) remarks: Vec<String>,
}

/// Opens the store that is there; `None` where nothing was ever stored.
pub(crate) fn open(settings: &Settings, progress: &Progress) -> Result<Option<Opened>, Failure> {
    built_in(settings.store)?;
    let environment = Environment::read()?;
    if wanted(settings) == Kind::Keyring {
        nobody_elses(settings)?;
        return keyring().map(Some);
    }
    let path = settings.store_path()?;
    match header(&path)? {
        Some(header) => known(settings, progress, &path, &header, environment).map(Some),
        None => Ok(None),
    }
}

/// Opens the store that is there, or makes one.
pub(crate) fn create(settings: &Settings, progress: &Progress) -> Result<Opened, Failure> {
    built_in(settings.store)?;
    let environment = Environment::read()?;
    if wanted(settings) == Kind::Keyring {
        nobody_elses(settings)?;
        return keyring();
    }
    let path = settings.store_path()?;
    match header(&path)? {
        Some(header) => known(settings, progress, &path, &header, environment),
        None => make(settings, progress, &path, environment),
    }
}

/// What can be said of a store that is not there.
pub(crate) fn nowhere(settings: &Settings) -> Result<Place, Failure> {
    let kind = Some(settings.store).filter(|kind| *kind != Kind::Auto);
    let path = match wanted(settings) {
        #[cfg(feature = "keyring")]
        Kind::Keyring => cotter::store::runtime_folder(),
        _ => settings.store_path()?,
    };
    Ok(Place {
        kind: kind.map(|kind| kind.as_str().to_owned()),
        path: Some(path.display().to_string()),
        ..Place::default()
    })
}

/// Where the keyring is all that this program knows: what another build has stored is not nobody.
fn nobody_elses(settings: &Settings) -> Result<(), Failure> {
    match settings.store {
        Kind::Auto => header(&settings.store_path()?).map(drop),
        _ => Ok(()),
    }
}

/// What the store in `path` says about itself; `None` where there is none.
fn header(path: &Path) -> Result<Option<Header>, Failure> {
    // What another build of this program has made is not nobody.
    for (kind, header) in [(Kind::File, "cotter.header"), (Kind::Sled, "header")] {
        if path.join(header).exists() {
            built_in(kind)?;
        }
    }
    #[cfg(feature = "file")]
    if let Some(header) = cotter::store::File::header(path)? {
        return Ok(Some(header));
    }
    #[cfg(feature = "sled")]
    match std::fs::read(path.join("header")) {
        Ok(bytes) => return Ok(Some(Header::from_bytes(&bytes)?)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            if ["marks", "database"].iter().any(|name| path.join(name).exists()) {
                let what = "the store's header is gone, and its database is not";
                return Err(StoreError::new(cotter::StoreErrorKind::Damaged, what)
                    .with_hint("bring the folder back from a backup, or remove it and sign in")
                    .into());
            }
        }
        Err(error) => {
            let what = "the store's header cannot be read";
            return Err(StoreError::new(cotter::StoreErrorKind::Other, what)
                .with_source(error)
                .into());
        }
    }
    Ok(None)
}

/// Opens a store as its header says, and not otherwise.
fn known(
    settings: &Settings,
    progress: &Progress,
    path: &Path,
    header: &Header,
    environment: Environment,
) -> Result<Opened, Failure> {
    let kind = [Kind::File, Kind::Keyring, Kind::Sled]
        .into_iter()
        .find(|kind| kind.as_str() == header.kind())
        .ok_or_else(|| {
            Failure::new(Code::TooNew, "this store is of a kind unknown to this cotter")
        })?;
    if settings.store != Kind::Auto && settings.store != kind {
        let (is, wanted) = (kind.as_str(), settings.store.as_str());
        let what = format!("the store in this folder is of the kind {is}, not {wanted}");
        return Err(Failure::new(Code::Store, what)
            .with_hint("leave --store out, or give another folder with --store-path"));
    }
    let source = keys::source(header.source(), environment)?;
    let mut place = place(kind, path, &source);
    place.remarks.push("kind and key source are those that the store was made with".to_owned());
    let waiting = match (kind, source.kind()) {
        (Kind::Sled, _) => Some("waiting for another process that has this store"),
        (_, "keyring") => Some("waiting for the keyring"),
        _ => None,
    };
    let open = || open_as(kind, settings.lock_timeout, path, Arc::new(source));
    let store = match waiting {
        Some(waiting) => progress.during(waiting, open),
        None => open(),
    };
    Ok(Opened { store: store?, place })
}

/// Makes a store: of the kind that was asked for, with the first key source by which it keeps things.
fn make(
    settings: &Settings,
    progress: &Progress,
    path: &Path,
    environment: Environment,
) -> Result<Opened, Failure> {
    let kind = wanted(settings);
    let (mut candidates, mut places, mut first) = (Vec::new(), Vec::new(), None);
    for source in keys::candidates(environment) {
        let source = match source {
            Ok(source) => Arc::new(source),
            Err(failure) => {
                first.get_or_insert(failure);
                continue;
            }
        };
        let place = place(kind, path, &source);
        let name = format!("{} with its key from {}", kind.as_str(), source.kind());
        let (path, lock_timeout) = (path.to_owned(), settings.lock_timeout);
        let open = move || open_as(kind, lock_timeout, &path, Arc::clone(&source));
        let candidate = Candidate::new(name, Protection::Sealed, open);
        candidates.push(candidate.with_patience(PATIENCE));
        places.push(place);
    }
    let chosen = progress.during("looking for a place to keep tokens", || choose(candidates));
    let Chosen { store, report, .. } = chosen.map_err(|none| match none.0.tried() {
        [] => first.unwrap_or_else(|| {
            Failure::new(Code::KeyMissing, "there is no sealing key, and no place to keep one")
                .with_hint("set COTTER_STORE_KEY; `openssl rand -base64 32` makes a key")
        }),
        // One is all there was: its own words, without a list of one.
        [Tried { outcome: Outcome::Failed(error), .. }] => error.clone().into(),
        _ => cotter::Error::from(none).into(),
    })?;
    let mut place = places.swap_remove(report.chosen().unwrap_or_default());
    place.remarks = report.tried().iter().map(ToString::to_string).collect();
    for remark in &place.remarks {
        tracing::info!("{remark}");
    }
    Ok(Opened { store, place })
}

/// Records in the keyring, which seals them itself; only the lock files are in a folder, which all who
/// share the keyring must name alike: so it is the user's runtime folder, whatever --store-path says.
#[cfg(feature = "keyring")]
fn keyring() -> Result<Opened, Failure> {
    use cotter::store::{Keyring, OsKeyring, runtime_folder};
    let path = runtime_folder();
    let entropy = Arc::new(cotter::OsEntropy::new());
    let backend = OsKeyring::native();
    let what = backend.what();
    let store = Keyring::with_backend(backend, &path, entropy, keys::PATIENCE)?;
    let place = Place {
        kind: Some(Kind::Keyring.as_str().to_owned()),
        path: Some(path.display().to_string()),
        remarks: vec![format!("records lie in {what}, which seals them; lock files in the folder")],
        ..Place::default()
    };
    Ok(Opened { store: Arc::new(store), place })
}

#[cfg(not(feature = "keyring"))]
fn keyring() -> Result<Opened, Failure> {
    Err(not_built_in(Kind::Keyring).into())
}

/// The kind that was asked for; for `auto` the first one that this program was built with.
const fn wanted(settings: &Settings) -> Kind {
    match settings.store {
        Kind::Auto if cfg!(feature = "file") => Kind::File,
        Kind::Auto if cfg!(feature = "sled") => Kind::Sled,
        Kind::Auto if cfg!(feature = "keyring") => Kind::Keyring,
        Kind::Auto => Kind::File,
        kind => kind,
    }
}

fn built_in(kind: Kind) -> Result<(), Failure> {
    let there = match kind {
        Kind::Auto => true,
        Kind::File => cfg!(feature = "file"),
        Kind::Keyring => cfg!(feature = "keyring"),
        Kind::Sled => cfg!(feature = "sled"),
    };
    if there { Ok(()) } else { Err(not_built_in(kind).into()) }
}

fn not_built_in(kind: Kind) -> StoreError {
    let what = format!("this cotter was built without the store {}", kind.as_str());
    StoreError::new(cotter::StoreErrorKind::Unsupported, what)
        .with_hint("build it with that feature, or choose another --store")
}

fn place(kind: Kind, path: &Path, source: &Source) -> Place {
    Place {
        kind: Some(kind.as_str().to_owned()),
        path: Some(path.display().to_string()),
        key_source: Some(source.kind().to_owned()),
        key: Some(source.describe().to_owned()),
        remarks: Vec::new(),
    }
}

fn open_as(
    kind: Kind,
    lock_timeout: Duration,
    path: &Path,
    source: Arc<Source>,
) -> Result<Arc<dyn Store>, StoreError> {
    match kind {
        #[cfg(feature = "file")]
        Kind::File => Ok(Arc::new(cotter::store::File::open(path, source)?)),
        #[cfg(feature = "sled")]
        Kind::Sled => {
            let options = cotter::store::SledOptions::new().with_lock_wait(lock_timeout);
            Ok(Arc::new(options.open(path, source)?))
        }
        _ => {
            let _ = (lock_timeout, path, source);
            Err(not_built_in(kind))
        }
    }
}

#[cfg(feature = "file")]
impl Store for cotter::store::File {
    fn reseal(&self) -> Result<usize, StoreError> {
        Self::reseal(self).map(|done| done.moved)
    }

    fn survey(&self) -> Result<Vec<Result<StoreKey, StoreError>>, StoreError> {
        Ok(Self::survey(self)?.into_iter().map(|found| found.key).collect())
    }
}

#[cfg(feature = "keyring")]
impl Store for cotter::store::Keyring {
    fn reseal(&self) -> Result<usize, StoreError> {
        let what = "the keyring seals its records itself";
        Err(StoreError::new(cotter::StoreErrorKind::Unsupported, what)
            .with_hint("change the keyring's own password; cotter has no key of its own in it"))
    }
}

#[cfg(feature = "sled")]
impl Store for cotter::store::Sled {
    fn reseal(&self) -> Result<usize, StoreError> {
        Self::reseal(self)
    }
}
