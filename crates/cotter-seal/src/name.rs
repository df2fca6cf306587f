//! What records are called where they lie.

use alloc::string::String;
use core::fmt::{self, Write as _};

use cotter_core::StoreKey;
use zeroize::Zeroizing;

use crate::derive;

/// What a record is called where it lies: a keyed hash of its [`StoreKey`].
///
/// It tells neither provider nor API key id nor session name to who has not the sealing key.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RecordName([u8; 32]);

impl RecordName {
    /// How many bytes a name has.
    pub const LENGTH: usize = 32;

    /// The bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; Self::LENGTH] {
        &self.0
    }

    /// A name that was stored.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; Self::LENGTH]) -> Self {
        Self(bytes)
    }

    /// The name as 64 lower-case hexadecimal digits.
    #[must_use]
    pub fn to_hex(&self) -> String {
        let mut hex = String::with_capacity(2 * Self::LENGTH);
        for byte in self.0 {
            // Writing into a string cannot fail.
            let _ = write!(hex, "{byte:02x}");
        }
        hex
    }

    /// Reads back what [`to_hex`](Self::to_hex) wrote.
    #[must_use]
    pub fn from_hex(hex: &str) -> Option<Self> {
        let digits = hex.as_bytes();
        if digits.len() != 2 * Self::LENGTH {
            return None;
        }
        let mut name = [0; Self::LENGTH];
        for (byte, pair) in name.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = digit(pair[0])? << 4 | digit(pair[1])?;
        }
        Some(Self(name))
    }
}

/// Lower case only: one name has one spelling.
const fn digit(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

impl fmt::Debug for RecordName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0[..4].iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Makes names. It is drawn once, when a store is made, and outlives every change of sealing keys.
pub(crate) enum Names {
    Keyed(Zeroizing<[u8; 32]>),
    /// In a store that is not sealed there is nothing to key them with.
    Plain,
}

impl Names {
    pub(crate) fn name(&self, key: &StoreKey) -> RecordName {
        let bytes = Zeroizing::new(key.to_bytes());
        RecordName(match self {
            Self::Keyed(secret) => derive::mac(secret, &bytes),
            Self::Plain => derive::hash(&[b"cotter plain name", &bytes]),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_one_spelling() {
        let name = RecordName::from_bytes(core::array::from_fn(|n| n as u8 * 8 + 3));
        let hex = name.to_hex();
        assert_eq!(RecordName::from_hex(&hex), Some(name));
        assert_eq!(RecordName::from_hex(&hex.to_uppercase()), None);
        assert_eq!(RecordName::from_hex(&hex[1..]), None);
        assert_eq!(RecordName::from_hex(&hex.replace('0', "g")), None);
    }
}
