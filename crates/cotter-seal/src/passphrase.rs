//! A sealing key that is derived from words.

use alloc::string::String;
use alloc::vec::Vec;

use argon2::{Algorithm, Argon2, Params, Version};
use cotter_core::{Entropy, SecretBytes, StoreError, StoreErrorKind};
use zeroize::{Zeroize, Zeroizing};

use crate::frame::{Fields, damaged};
use crate::key::{Keys, SealKey};
use crate::source::KeySource;

const LAYOUT: u8 = 1;
const SALT: usize = 16;

/// What deriving a key costs, in memory and passes.
///
/// What stands in a header is taken only between the bounds that the constructors have: a changed
/// header can make opening neither cheap to guess nor endless.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cost {
    kibibytes: u32,
    passes: u32,
    lanes: u32,
}

impl Cost {
    /// 64 MiB and three passes: RFC 9106's second recommended setting, on one lane.
    pub const DEFAULT: Self = Self { kibibytes: 64 * 1024, passes: 3, lanes: 1 };

    /// 8 MiB and one pass: the least that is taken, for small machines and tests.
    pub const LEAST: Self = Self { kibibytes: 8 * 1024, passes: 1, lanes: 1 };

    /// 1 GiB, 16 passes, 8 lanes: the most that is taken.
    pub const MOST: Self = Self { kibibytes: 1024 * 1024, passes: 16, lanes: 8 };

    /// This much memory, passes and lanes, each brought between [`LEAST`](Self::LEAST) and
    /// [`MOST`](Self::MOST).
    #[must_use]
    pub fn new(kibibytes: u32, passes: u32, lanes: u32) -> Self {
        Self {
            kibibytes: kibibytes.clamp(Self::LEAST.kibibytes, Self::MOST.kibibytes),
            passes: passes.clamp(Self::LEAST.passes, Self::MOST.passes),
            lanes: lanes.clamp(Self::LEAST.lanes, Self::MOST.lanes),
        }
    }
}

impl Default for Cost {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// Derives the sealing key from words by argon2id; salt and cost are kept in the store's header.
#[derive(Debug)]
pub struct Passphrase {
    newest: SecretBytes,
    old: Vec<SecretBytes>,
    cost: Cost,
}

impl Passphrase {
    /// These words.
    #[must_use]
    pub fn new(words: impl Into<String>) -> Self {
        Self { newest: secret(words.into()), old: Vec::new(), cost: Cost::DEFAULT }
    }

    /// And older words, that open what was sealed with them.
    #[must_use]
    pub fn with_old(mut self, words: impl Into<String>) -> Self {
        self.old.push(secret(words.into()));
        self
    }

    /// The cost for stores made from now on; an existing one keeps its own.
    #[must_use]
    pub const fn with_cost(mut self, cost: Cost) -> Self {
        self.cost = cost;
        self
    }
}

fn secret(mut words: String) -> SecretBytes {
    let bytes = SecretBytes::from(words.as_bytes());
    words.zeroize();
    bytes
}

impl KeySource for Passphrase {
    fn kind(&self) -> &str {
        "passphrase"
    }

    fn describe(&self) -> &str {
        "the passphrase"
    }

    fn keys(&self, parameters: &[u8]) -> Result<Keys, StoreError> {
        if parameters.is_empty() {
            let message = "the store's sealing key does not come from a passphrase";
            return Err(StoreError::new(StoreErrorKind::KeyWrong, message));
        }
        let (cost, salt) = read(parameters)?;
        let newest = derive(&self.newest, cost, &salt)?;
        self.old.iter().try_fold(Keys::new(newest), |keys, words| {
            Ok(keys.with_old(derive(words, cost, &salt)?))
        })
    }

    fn create_if_absent(&self, entropy: &dyn Entropy) -> Result<Vec<u8>, StoreError> {
        let mut salt = [0; SALT];
        crate::fill(entropy, &mut salt)?;
        let mut parameters = Vec::from([LAYOUT]);
        for number in [self.cost.kibibytes, self.cost.passes, self.cost.lanes] {
            parameters.extend_from_slice(&number.to_be_bytes());
        }
        parameters.extend_from_slice(&salt);
        Ok(parameters)
    }
}

fn read(parameters: &[u8]) -> Result<(Cost, [u8; SALT]), StoreError> {
    let mut fields = Fields(parameters);
    match fields.array()? {
        [LAYOUT] => {}
        [0] => return Err(damaged("the passphrase's parameters make no sense")),
        _ => return Err(StoreError::new(StoreErrorKind::TooNew, "a newer cotter wrote this")),
    }
    let mut number = || fields.array().map(u32::from_be_bytes);
    let stated = Cost { kibibytes: number()?, passes: number()?, lanes: number()? };
    let salt = fields.array()?;
    fields.end()?;
    if stated != Cost::new(stated.kibibytes, stated.passes, stated.lanes) {
        return Err(damaged("the passphrase's parameters are out of bounds"));
    }
    Ok((stated, salt))
}

fn derive(words: &SecretBytes, cost: Cost, salt: &[u8]) -> Result<SealKey, StoreError> {
    let failed = || StoreError::new(StoreErrorKind::Other, "argon2id refused its parameters");
    let params =
        Params::new(cost.kibibytes, cost.passes, cost.lanes, Some(32)).map_err(|_| failed())?;
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let mut key = Zeroizing::new([0; SealKey::LENGTH]);
    argon2.hash_password_into(words.expose(), salt, key.as_mut_slice()).map_err(|_| failed())?;
    Ok(SealKey::from_bytes(*key))
}
