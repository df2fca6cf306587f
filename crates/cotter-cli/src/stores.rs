//! Where tokens rest: which store is used, with which key, and why.

use std::path::PathBuf;
use std::sync::Arc;

use cotter::BlockingTokenStore;
use serde::Serialize;

use crate::failure::{Code, Failure};
use crate::settings::{Kind, Settings};

/// A store that is open.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) store: Arc<dyn BlockingTokenStore>,
    pub(crate) place: Place,
}

/// Which store is used; what is not known is `None`.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Place {
    pub(crate) kind: Option<String>,
    pub(crate) path: Option<String>,
    pub(crate) key_source: Option<String>,
    /// For `doctor`: what else there is to say.
    #[serde(skip)]
    pub(crate) remarks: Vec<String>,
}

/// Opens the store that is there; `None` where nothing was ever stored.
pub(crate) fn open(settings: &Settings) -> Result<Option<Opened>, Failure> {
    let path = settings.store_path()?;
    not_built_in(settings, &path)
}

/// Opens the store that is there, or makes one.
pub(crate) fn create(settings: &Settings) -> Result<Opened, Failure> {
    let path = settings.store_path()?;
    match not_built_in(settings, &path)? {
        Some(opened) => Ok(opened),
        None => Err(Failure::new(Code::Store, "this cotter was built without any store")),
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

fn not_built_in(settings: &Settings, _path: &PathBuf) -> Result<Option<Opened>, Failure> {
    let _ = settings;
    Err(Failure::new(Code::Store, "this cotter was built without any store"))
}
