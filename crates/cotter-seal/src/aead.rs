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
    cipher: Aes256Gcm,
    nonce: [u8; 12],
}

impl Once {
    fn derive(key: &SealKey, salt: &[u8; SALT], label: &[u8]) -> Self {
        let derived: Zeroizing<[u8; 44]> = derive::expand(key.expose(), salt, label);
        let mut nonce = [0; 12];
        nonce.copy_from_slice(&derived[32..]);
        let mut key = Zeroizing::new([0; 32]);
        key.copy_from_slice(&derived[..32]);
        Self { cipher: Aes256Gcm::new((&*key).into()), nonce }
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
    let Once { cipher, nonce } = Once::derive(key, salt, label);
    let clear = bytes.get_mut(start..).unwrap_or_default();
    let tag = cipher
        .encrypt_inout_detached((&nonce).into(), associated, clear.into())
        .map_err(|_| StoreError::new(StoreErrorKind::TooLarge, "a record over 64 GiB"))?;
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
    let Once { cipher, nonce } = Once::derive(key, salt, label);
    let mut clear = Zeroizing::new(sealed.to_vec());
    cipher
        .decrypt_inout_detached(
            (&nonce).into(),
            associated,
            clear.as_mut_slice().into(),
            tag.into(),
        )
        .ok()?;
    Some(SecretBytes::from(core::mem::take(&mut *clear)))
}
