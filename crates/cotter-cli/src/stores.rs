//! Where tokens rest: which store is used, with which key, and why.
//!
//! A store's header says of which kind it is and where its key was when it was made; every later
//! run uses exactly that. Only a command that signs in makes a store, and only there is a choice.

use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;

use cotter::seal::{Header, KeySource};
use cotter::{BlockingTokenStore, OsEntropy, StoreError, StoreErrorKind};
use serde::Serialize;

use crate::failure::{Code, Failure};
use crate::keys::{self, Environment};
use crate::settings::{Kind, Settings};

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
}

/// Which store is used; what is not known is `None`.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Place {
    pub(crate) kind: Option<String>,
    pub(crate) path: Option<String>,
    pub(crate) key_source: Option<String>,
    /// For `doctor`: why it is this one.
    #[serde(skip)]
    pub(crate) remarks: Vec<String>,
}

/// Opens the store that is there; `None` where nothing was ever stored.
pub(crate) fn open(settings: &Settings) -> Result<Option<Opened>, Failure> {
    let path = settings.store_path()?;
    let environment = Environment::read()?;
    match header(&path)? {
        Some(header) => known(settings, &path, &header, environment).map(Some),
        None => Ok(None),
    }
}

/// Opens the store that is there, or makes one.
pub(crate) fn create(settings: &Settings) -> Result<Opened, Failure> {
    let path = settings.store_path()?;
    let environment = Environment::read()?;
    match header(&path)? {
        Some(header) => known(settings, &path, &header, environment),
        None => make(settings, &path, environment),
    }
}

/// What can be said of a store that is not there.
pub(crate) fn nowhere(settings: &Settings) -> Result<Place, Failure> {
    let kind = Some(settings.store).filter(|kind| *kind != Kind::Auto);
    Ok(Place {
        kind: kind.map(|kind| kind.as_str().to_owned()),
        path: Some(settings.store_path()?.display().to_string()),
        ..Place::default()
    })
}

/// What the store in `path` says about itself; `None` where there is none.
fn header(path: &Path) -> Result<Option<Header>, Failure> {
    match std::fs::read(path.join("header")) {
        Ok(bytes) => Ok(Some(Header::from_bytes(&bytes)?)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => {
            let what = "the store's header cannot be read";
            Err(StoreError::new(StoreErrorKind::Other, what).with_source(error).into())
        }
    }
}

/// Opens a store as its header says, and not otherwise.
fn known(
    settings: &Settings,
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
    let mut place = place(kind, path, &*source);
    place.remarks.push("kind and key source are those that the store was made with".to_owned());
    Ok(Opened { store: open_as(kind, settings, path, &*source)?, place })
}

/// Makes a store: of the kind that was asked for, with the first key source that works.
fn make(settings: &Settings, path: &Path, environment: Environment) -> Result<Opened, Failure> {
    let kind = match settings.store {
        Kind::Auto => Kind::File,
        kind => kind,
    };
    if !environment.is_set() {
        return Err(StoreError::new(StoreErrorKind::KeyMissing, "there is no sealing key").into());
    }
    let store = open_as(kind, settings, path, &environment)?;
    Ok(Opened { store, place: place(kind, path, &environment) })
}

fn place(kind: Kind, path: &Path, source: &dyn KeySource) -> Place {
    Place {
        kind: Some(kind.as_str().to_owned()),
        path: Some(path.display().to_string()),
        key_source: Some(source.kind().to_owned()),
        remarks: vec![format!("its key comes from {}", source.describe())],
    }
}

fn open_as(
    kind: Kind,
    settings: &Settings,
    path: &Path,
    source: &dyn KeySource,
) -> Result<Arc<dyn Store>, Failure> {
    match kind {
        #[cfg(feature = "sled")]
        Kind::Sled => {
            let options =
                cotter::store::SledOptions::new().with_lock_timeout(settings.lock_timeout);
            Ok(Arc::new(options.open(path, source, Arc::new(OsEntropy::new()))?))
        }
        _ => {
            let _ = (settings, path, source, OsEntropy::new());
            Err(Failure::new(
                Code::Store,
                format!("this cotter was built without the store {}", kind.as_str()),
            )
            .with_hint("build it with that feature, or choose another --store"))
        }
    }
}

#[cfg(feature = "sled")]
impl Store for cotter::store::Sled {
    fn reseal(&self) -> Result<usize, StoreError> {
        Self::reseal(self)
    }
}
