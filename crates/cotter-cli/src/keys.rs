//! Where the sealing key of a store comes from.

use cotter::seal::{Given, KeySource, Keys, SealKey};
use cotter::{Entropy, StoreError, StoreErrorKind};

use crate::failure::Failure;
use crate::settings;

/// How long a keyring may take for one call.
#[cfg(feature = "keyring")]
pub(crate) const PATIENCE: core::time::Duration = core::time::Duration::from_secs(5);

const VARIABLE: &str = "COTTER_STORE_KEY";
const VARIABLE_OLD: &str = "COTTER_STORE_KEY_OLD";

/// The sealing key in the environment, and the older ones.
#[derive(Debug)]
pub(crate) struct Environment(Option<Given>);

impl Environment {
    /// What the variables say; a key that is none is a usage error, whatever the store is.
    pub(crate) fn read() -> Result<Self, Failure> {
        let newest = settings::variable_secret(VARIABLE)?;
        let mut given = newest.map(|text| key(VARIABLE, &text).map(Given::new)).transpose()?;
        if let Some(old) = settings::variable_secret(VARIABLE_OLD)? {
            for text in old.split(',').filter(|text| !text.trim().is_empty()) {
                // Read also where there is no newer one and it is not used: a bad one is found.
                let old = key(VARIABLE_OLD, text)?;
                given = given.map(|given| given.with_old(old));
            }
        }
        Ok(Self(given))
    }

    pub(crate) const fn is_set(&self) -> bool {
        self.0.is_some()
    }
}

fn key(name: &str, text: &str) -> Result<SealKey, Failure> {
    SealKey::from_base64(text).map_err(|_| {
        Failure::usage(format!("{name} is not standard base64 of 32 bytes"))
            .with_hint("`openssl rand -base64 32` makes a key; keep it, nothing opens without it")
    })
}

impl KeySource for Environment {
    fn kind(&self) -> &str {
        "environment"
    }

    fn describe(&self) -> &str {
        "the environment variable COTTER_STORE_KEY"
    }

    fn keys(&self, parameters: &[u8]) -> Result<Keys, StoreError> {
        let Some(given) = &self.0 else {
            let what = "this store is sealed with a key from COTTER_STORE_KEY, which is not set";
            return Err(StoreError::new(StoreErrorKind::KeyMissing, what)
                .with_hint("set COTTER_STORE_KEY to the key that the store was made with"));
        };
        given.keys(parameters)
    }

    fn create_if_absent(&self, _entropy: &dyn Entropy) -> Result<Vec<u8>, StoreError> {
        Ok(Vec::new())
    }
}

/// One of the places that a key may come from.
#[derive(Debug)]
pub(crate) enum Source {
    Environment(Environment),
    #[cfg(feature = "file")]
    File(cotter::store::KeyFile),
    #[cfg(feature = "keyring")]
    Keyring(cotter::store::KeyringKey),
}

impl Source {
    fn inner(&self) -> &dyn KeySource {
        match self {
            Self::Environment(source) => source,
            #[cfg(feature = "file")]
            Self::File(source) => source,
            #[cfg(feature = "keyring")]
            Self::Keyring(source) => source,
        }
    }
}

impl KeySource for Source {
    fn kind(&self) -> &str {
        self.inner().kind()
    }

    fn describe(&self) -> &str {
        self.inner().describe()
    }

    fn keys(&self, parameters: &[u8]) -> Result<Keys, StoreError> {
        self.inner().keys(parameters)
    }

    fn create_if_absent(&self, entropy: &dyn Entropy) -> Result<Vec<u8>, StoreError> {
        self.inner().create_if_absent(entropy)
    }
}

/// The source that a store's header names.
pub(crate) fn source(name: &str, environment: Environment) -> Result<Source, Failure> {
    match name {
        "environment" => Ok(Source::Environment(environment)),
        #[cfg(feature = "file")]
        "key-file" => key_file(),
        #[cfg(feature = "keyring")]
        "keyring" => keyring(),
        _ => Err(StoreError::new(
            StoreErrorKind::KeyMissing,
            format!(
                "the key of this store is kept in a way that this cotter does not know: {name}"
            ),
        )
        .with_hint("use the program that made the store, or build cotter with all features")
        .into()),
    }
}

/// What a new store may take its key from, the best first.
pub(crate) fn candidates(environment: Environment) -> Vec<Result<Source, Failure>> {
    if environment.is_set() {
        return vec![Ok(Source::Environment(environment))];
    }
    vec![
        #[cfg(feature = "keyring")]
        keyring(),
        #[cfg(feature = "file")]
        key_file(),
    ]
}

/// The key in a file of the configuration folder, which is never that of the records.
#[cfg(feature = "file")]
fn key_file() -> Result<Source, Failure> {
    let folder = settings::config_dir().ok_or_else(|| {
        Failure::usage("there is no configuration folder: neither HOME nor XDG_CONFIG_HOME is set")
            .with_hint("set one of them, or COTTER_STORE_KEY")
    })?;
    Ok(Source::File(cotter::store::KeyFile::new(folder.join("store.key"))))
}

/// The one key that all of a user's stores share, in the keyring of the operating system.
#[cfg(feature = "keyring")]
fn keyring() -> Result<Source, Failure> {
    use cotter::store::{KeyringKey, OsKeyring, runtime_folder};
    let key = KeyringKey::with_backend(OsKeyring::native(), "cotter", runtime_folder(), PATIENCE)?;
    Ok(Source::Keyring(key))
}
