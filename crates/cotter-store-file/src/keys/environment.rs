use cotter_core::{Entropy, StoreError, StoreErrorKind};
use cotter_seal::{KeySource, Keys, SealKey};
use zeroize::Zeroizing;

/// Sealing keys in environment variables, as standard base64; an empty variable counts as unset.
///
/// It makes no keys. The variables are read when the store is opened.
#[derive(Clone, Debug)]
pub struct Environment {
    variable: String,
    old: Option<String>,
    described: String,
}

impl Environment {
    /// The key in this variable.
    #[must_use]
    pub fn new(variable: impl Into<String>) -> Self {
        let variable = variable.into();
        let described = format!("the environment variable {variable}");
        Self { variable, old: None, described }
    }

    /// And older keys in that variable, separated by commas; it may be unset.
    #[must_use]
    pub fn with_old(mut self, variable: impl Into<String>) -> Self {
        self.old = Some(variable.into());
        self
    }
}

impl KeySource for Environment {
    fn kind(&self) -> &str {
        "environment"
    }

    fn describe(&self) -> &str {
        &self.described
    }

    fn keys(&self, _parameters: &[u8]) -> Result<Keys, StoreError> {
        let Some(newest) = read(&self.variable)? else {
            let message = format!("{} is not set", self.variable);
            return Err(StoreError::new(StoreErrorKind::KeyMissing, message));
        };
        let keys = Keys::new(parse(&self.variable, &newest)?);
        let Some(variable) = &self.old else { return Ok(keys) };
        let Some(old) = read(variable)? else { return Ok(keys) };
        old.split(',')
            .filter(|text| !text.trim().is_empty())
            .try_fold(keys, |keys, text| Ok(keys.with_old(parse(variable, text)?)))
    }

    fn create_if_absent(&self, _entropy: &dyn Entropy) -> Result<Vec<u8>, StoreError> {
        Ok(Vec::new())
    }
}

fn read(variable: &str) -> Result<Option<Zeroizing<String>>, StoreError> {
    match std::env::var(variable) {
        Ok(text) => Ok(Some(Zeroizing::new(text)).filter(|text| !text.trim().is_empty())),
        Err(std::env::VarError::NotPresent) => Ok(None),
        Err(std::env::VarError::NotUnicode(_)) => Err(bad(variable)),
    }
}

fn parse(variable: &str, text: &str) -> Result<SealKey, StoreError> {
    SealKey::from_base64(text).map_err(|_| bad(variable))
}

fn bad(variable: &str) -> StoreError {
    let message = format!("{variable} does not hold a key: base64 of 32 bytes");
    StoreError::new(StoreErrorKind::KeyWrong, message)
        .with_hint("`openssl rand -base64 32` makes one")
}
