use core::fmt;

use crate::algorithm::Algorithm;
use crate::keyset::Key;

/// Does the arithmetic: whether these bytes are this key's signature over that message.
///
/// A backend is a value. No process-wide provider is installed or read, so both of the features
/// `aws_lc_rs` and `rust_crypto` may be on, or neither, and nothing panics.
///
/// ```
/// use cotter_jwt::{Backend, Verifier};
///
/// # #[cfg(feature = "aws_lc_rs")] {
/// let verifier = Verifier::cotter_with(Backend::aws_lc_rs(), "<API_KEY_ID>");
/// # }
/// ```
#[derive(Clone, Copy)]
pub struct Backend(Kind);

#[derive(Clone, Copy)]
enum Kind {
    #[cfg_attr(not(any(feature = "aws_lc_rs", feature = "rust_crypto")), expect(dead_code))]
    Provider(&'static str, &'static jsonwebtoken::crypto::CryptoProvider),
    Custom(&'static dyn SignatureCheck),
}

impl Backend {
    /// AWS-LC, by way of jsonwebtoken.
    #[cfg(feature = "aws_lc_rs")]
    #[must_use]
    pub fn aws_lc_rs() -> Self {
        Self(Kind::Provider("aws_lc_rs", &jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER))
    }

    /// The RustCrypto crates, by way of jsonwebtoken.
    ///
    /// They bring the crate `rsa`, which leaks timing when it *signs* or decrypts
    /// (RUSTSEC-2023-0071). Checking signatures needs no private key, but auditors will ask.
    #[cfg(feature = "rust_crypto")]
    #[must_use]
    pub fn rust_crypto() -> Self {
        Self(Kind::Provider("rust_crypto", &jsonwebtoken::crypto::rust_crypto::DEFAULT_PROVIDER))
    }

    /// Your own.
    #[must_use]
    pub const fn custom(check: &'static dyn SignatureCheck) -> Self {
        Self(Kind::Custom(check))
    }

    /// Checks `signature` over `message`.
    ///
    /// The key must be made for `algorithm`, and the signature must have that algorithm's one
    /// form: for ECDSA the two numbers side by side, never DER.
    ///
    /// # Errors
    /// [`BadSignature`], whatever was wrong.
    pub fn check(
        self,
        algorithm: Algorithm,
        key: &Key,
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), BadSignature> {
        let fits = key.public().is_some_and(|public| public.fits(algorithm));
        if !fits || !well_formed(algorithm, signature) {
            return Err(BadSignature);
        }
        match self.0 {
            Kind::Custom(check) => {
                let public = key.public().ok_or(BadSignature)?;
                check.check(algorithm, public, message, signature)
            }
            Kind::Provider(_, provider) => {
                let decoding = key.decoding().ok_or(BadSignature)?;
                let verifier = (provider.verifier_factory)(&algorithm.jsonwebtoken(), decoding)
                    .map_err(|_| BadSignature)?;
                verifier.verify(message, &signature.to_vec()).map_err(|_| BadSignature)
            }
        }
    }
}

impl fmt::Debug for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Kind::Provider(name, _) => write!(f, "Backend({name})"),
            Kind::Custom(check) => write!(f, "Backend({check:?})"),
        }
    }
}

/// Whether the bytes can be a signature of this algorithm at all.
///
/// ECDSA: both halves present and neither of them zero, so that the "psychic" all-zero signature
/// (CVE-2022-21449) never gets as far as the arithmetic.
pub(crate) fn well_formed(algorithm: Algorithm, signature: &[u8]) -> bool {
    let halves = |size: usize| {
        signature.len() == 2 * size
            && signature[..size].iter().any(|byte| *byte != 0)
            && signature[size..].iter().any(|byte| *byte != 0)
    };
    match algorithm {
        Algorithm::Es256 => halves(32),
        Algorithm::Es384 => halves(48),
        Algorithm::EdDsa => signature.len() == 64,
        Algorithm::Ps256 | Algorithm::Rs256 => (256..=1024).contains(&signature.len()),
    }
}

/// A signature check of your own: a hardware module, another library.
pub trait SignatureCheck: Send + Sync + fmt::Debug {
    /// Checks `signature` over `message`; key, algorithm and length are known to fit together.
    ///
    /// # Errors
    /// [`BadSignature`], whatever was wrong.
    fn check(
        &self,
        algorithm: Algorithm,
        key: &PublicKey,
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), BadSignature>;
}

/// The signature is not this key's over this message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "there is nothing more to say about it")]
pub struct BadSignature;

impl fmt::Display for BadSignature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the signature is not this key's")
    }
}

impl core::error::Error for BadSignature {}

/// A public key, as bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PublicKey {
    /// A point on P-256: `0x04`, x, y.
    P256([u8; 65]),
    /// A point on P-384: `0x04`, x, y.
    P384([u8; 97]),
    /// An Ed25519 key.
    Ed25519([u8; 32]),
    /// An RSA key of 2048 to 8192 bits, both numbers big-endian without leading zeros.
    Rsa {
        /// The modulus.
        n: alloc::vec::Vec<u8>,
        /// The exponent.
        e: alloc::vec::Vec<u8>,
    },
}

impl PublicKey {
    /// Whether keys of this kind make signatures of `algorithm`.
    #[must_use]
    pub const fn fits(&self, algorithm: Algorithm) -> bool {
        matches!(
            (self, algorithm),
            (Self::P256(_), Algorithm::Es256)
                | (Self::P384(_), Algorithm::Es384)
                | (Self::Ed25519(_), Algorithm::EdDsa)
                | (Self::Rsa { .. }, Algorithm::Ps256 | Algorithm::Rs256)
        )
    }
}
