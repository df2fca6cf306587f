//! Signatures are checked by ring, which TLS brings along: a second such library would make the program
//! half as large again.

use cotter::jwt::{Algorithm, Backend, BadSignature, PublicKey, SignatureCheck};
use ring::signature::{ECDSA_P256_SHA256_FIXED, ED25519, UnparsedPublicKey};

/// What checks the signatures of tokens and of signed objects.
pub(crate) const fn backend() -> Backend {
    Backend::custom(&Ring)
}

#[derive(Debug)]
struct Ring;

impl SignatureCheck for Ring {
    fn check(
        &self,
        algorithm: Algorithm,
        key: &PublicKey,
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), BadSignature> {
        let checked = match (algorithm, key) {
            (Algorithm::Es256, PublicKey::P256(key)) => {
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, key).verify(message, signature)
            }
            (Algorithm::EdDsa, PublicKey::Ed25519(key)) => {
                UnparsedPublicKey::new(&ED25519, key).verify(message, signature)
            }
            // Cotter signs by these two alone.
            _ => return Err(BadSignature),
        };
        checked.map_err(|_| BadSignature)
    }
}
