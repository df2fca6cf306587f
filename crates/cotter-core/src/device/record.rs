//! What is kept of a device: its key, whose it is, and how far its enrolment went.

use alloc::borrow::ToOwned;
use alloc::string::String;

use super::DeviceSeed;
use crate::secret::SecretBytes;
use crate::store::{StoreError, StoreErrorKind};

/// The version that is written.
const VERSION: u8 = 1;

/// The longest user id that is kept.
const LONGEST: usize = 256;

#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) seed: DeviceSeed,
    pub(crate) user_id: String,
    pub(crate) enrolled: bool,
}

impl Kept {
    /// Version, state, seed, user id.
    pub(crate) fn encode(&self) -> SecretBytes {
        let mut bytes = SecretBytes::with_capacity(34 + self.user_id.len());
        bytes.extend_from_slice(&[VERSION, u8::from(self.enrolled)]);
        bytes.extend_from_slice(self.seed.expose());
        bytes.extend_from_slice(self.user_id.as_bytes());
        bytes
    }

    pub(crate) fn decode(bytes: &SecretBytes) -> Result<Self, StoreError> {
        let damaged = || StoreError::new(StoreErrorKind::Damaged, "the device's key is damaged");
        let (version, rest) = bytes.expose().split_first().ok_or_else(damaged)?;
        if *version > VERSION {
            let message = "the device's key was written by a newer version";
            return Err(StoreError::new(StoreErrorKind::TooNew, message));
        }
        let (state, rest) = rest.split_first().ok_or_else(damaged)?;
        let (seed, user_id) = rest.split_first_chunk::<32>().ok_or_else(damaged)?;
        let user_id = core::str::from_utf8(user_id).map_err(|_| damaged())?;
        if *version == 0 || *state > 1 || user_id.is_empty() || user_id.len() > LONGEST {
            return Err(damaged());
        }
        Ok(Self {
            seed: DeviceSeed::new(*seed),
            user_id: user_id.to_owned(),
            enrolled: *state == 1,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_comes_back_and_nothing_else_does() {
        let kept =
            Kept { seed: DeviceSeed::new([7; 32]), user_id: "user-1".to_owned(), enrolled: true };
        let bytes = kept.encode();
        // The stored form of version 1, for ever.
        let mut golden = alloc::vec![1, 1];
        golden.extend_from_slice(&[7; 32]);
        golden.extend_from_slice(b"user-1");
        assert_eq!(bytes.expose(), golden);
        let back = Kept::decode(&bytes).unwrap();
        assert_eq!((back.user_id.as_str(), back.enrolled), ("user-1", true));
        for end in 0..=34 {
            let error = Kept::decode(&SecretBytes::from(&golden[..end])).unwrap_err();
            assert_eq!(error.kind(), StoreErrorKind::Damaged, "{end}");
        }
        golden[0] = 2;
        let newer = Kept::decode(&SecretBytes::from(golden)).unwrap_err();
        assert_eq!(newer.kind(), StoreErrorKind::TooNew);
    }
}
