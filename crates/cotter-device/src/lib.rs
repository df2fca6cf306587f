//! Signs as a trusted device: the arithmetic for the flows of `cotter_core::device`.
//!
//! ```
//! use cotter_core::device::{DeviceSeed, Ed25519 as _};
//! use cotter_device::Signer;
//!
//! let seed = DeviceSeed::new([7; 32]); // drawn at random, in earnest
//! let (key, signature) = (Signer.public_key(&seed), Signer.sign(&seed, b"approved"));
//! assert_eq!((key.len(), signature.len()), (32, 64));
//! ```

#![no_std]

use cotter_core::device::{DeviceSeed, Ed25519};
use ed25519_dalek::SigningKey;
use ed25519_dalek::ed25519::signature::Signer as _;

/// Ed25519 (RFC 8032) by the crate ed25519-dalek.
#[derive(Clone, Copy, Debug, Default)]
#[expect(clippy::exhaustive_structs, reason = "there is nothing to set")]
pub struct Signer;

impl Ed25519 for Signer {
    fn public_key(&self, seed: &DeviceSeed) -> [u8; 32] {
        SigningKey::from_bytes(seed.expose()).verifying_key().to_bytes()
    }

    fn sign(&self, seed: &DeviceSeed, message: &[u8]) -> [u8; 64] {
        SigningKey::from_bytes(seed.expose()).sign(message).to_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes<const N: usize>(hex: &str) -> [u8; N] {
        core::array::from_fn(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap())
    }

    /// RFC 8032 section 7.1, tests 1 and 3.
    #[test]
    fn the_examples_of_rfc_8032_come_out() {
        for (seed, public, message, signature) in [
            (
                "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
                "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
                &[][..],
                "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155\
                 5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
            ),
            (
                "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
                "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
                &[0xaf, 0x82][..],
                "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac\
                 18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
            ),
        ] {
            let seed = DeviceSeed::new(bytes(seed));
            assert_eq!(Signer.public_key(&seed), bytes::<32>(public));
            assert_eq!(Signer.sign(&seed, message), bytes::<64>(signature));
        }
    }
}
