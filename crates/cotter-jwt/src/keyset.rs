use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use jsonwebtoken::DecodingKey;
use sha2::{Digest, Sha256};

use crate::algorithm::Algorithm;
use crate::backend::PublicKey;
use crate::compact::decode;
use crate::json::{self, Map, Value};
use crate::reason::Reason;

/// How many keys of a set are taken.
const MAX_KEYS: usize = 256;
/// The longest set that is read.
const MAX_SET: usize = 1024 * 1024;

/// The keys that an issuer signs with: a JWK set (RFC 7517).
///
/// Keys of unknown types are skipped, and so are symmetric ones; what is private in a key is not
/// even read. Each key is judged by itself: whatever is odd about one takes no other down with it.
/// The first 256 keys of a set are taken.
///
/// A token that names a key by its `kid` is verified with that one alone. Where several keys have
/// the same `kid`, it is the first in the order of the set that fits the token's algorithm and may
/// check signatures. A token that names none is tried with each key that fits.
///
/// ```
/// use cotter_jwt::KeySet;
///
/// let keys = KeySet::from_json(r#"{"keys":[
///     {"kty":"EC","crv":"P-256","kid":"1","x":"c5L2JMkkqaRsvhiLFiS8x5A3MtrWwJHNEevLCW_-uq4",
///      "y":"jUKmZ9JDXbSeCpgMF-MrJQq6jPU2B0p0Rgpk3-BwVRE"},
///     {"kty":"from the future","kid":"2"}]}"#)?;
/// assert_eq!(keys.usable(), 1);
/// assert!(keys.knows("1"));
/// # Ok::<(), cotter_jwt::KeySetError>(())
/// ```
#[derive(Clone)]
pub struct KeySet {
    keys: Vec<Key>,
    id: [u8; 32],
}

impl KeySet {
    /// A set without keys; nothing verifies with it.
    #[must_use]
    pub fn empty() -> Self {
        Self::new(Vec::new())
    }

    /// Reads a JWK set.
    ///
    /// # Errors
    /// [`KeySetError`] if this is no JSON object with one array `keys`, or longer than 1 MiB.
    pub fn from_json(text: impl AsRef<[u8]>) -> Result<Self, KeySetError> {
        let text = text.as_ref();
        if text.len() > MAX_SET {
            return Err(KeySetError);
        }
        let mut keys = Vec::new();
        json::each(text, "keys", |jwk| {
            if keys.len() < MAX_KEYS
                && let Ok(jwk) = json::object(jwk.as_bytes())
            {
                // What has neither a name nor a use is not worth its place.
                keys.extend(Some(Key::from_jwk(&jwk)).filter(Key::is_something));
            }
        })
        .map_err(|_| KeySetError)?;
        Ok(Self::new(keys))
    }

    /// A set of one key that is already at hand.
    #[must_use]
    pub fn of(key: Key) -> Self {
        Self::new(alloc::vec![key])
    }

    fn new(keys: Vec<Key>) -> Self {
        let mut hash = Sha256::new();
        for key in &keys {
            hash.update(key.id);
        }
        let id = hash.finalize().into();
        Self { keys, id }
    }

    /// How many keys can check signatures.
    #[must_use]
    pub fn usable(&self) -> usize {
        self.keys.iter().filter(|key| key.is_usable()).count()
    }

    /// Whether a key of this `kid` is in the set, usable or not: then fetching the set again will
    /// not help.
    #[must_use]
    pub fn knows(&self, kid: &str) -> bool {
        self.keys.iter().any(|key| key.kid() == Some(kid))
    }

    /// The keys.
    pub fn keys(&self) -> impl Iterator<Item = &Key> {
        self.keys.iter()
    }

    /// Changes whenever any key does.
    pub(crate) const fn id(&self) -> &[u8; 32] {
        &self.id
    }

    pub(crate) fn has(&self, id: &[u8; 32]) -> bool {
        self.keys.iter().any(|key| key.id == *id)
    }

    /// The keys that may have made a signature of `algorithm`; never none.
    ///
    /// With a `kid` one key: the first of that id that fits. Without one every key that fits; a key
    /// that says nothing about its use and algorithm fits by its type alone.
    pub(crate) fn candidates(
        &self,
        kid: Option<&str>,
        algorithm: Algorithm,
    ) -> Result<Vec<&Key>, Reason> {
        let Some(kid) = kid else {
            let fitting: Vec<&Key> =
                self.keys.iter().filter(|key| key.suits(algorithm).is_ok()).collect();
            return if fitting.is_empty() { Err(Reason::NoKey) } else { Ok(fitting) };
        };
        let mut why = Reason::KidUnknown;
        for key in self.keys.iter().filter(|key| key.kid() == Some(kid)) {
            match key.suits(algorithm) {
                Ok(()) => return Ok(alloc::vec![key]),
                Err(reason) => why = reason,
            }
        }
        Err(why)
    }
}

impl fmt::Debug for KeySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.keys).finish()
    }
}

/// This is no JWK set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "there is nothing more to say about it")]
pub struct KeySetError;

impl fmt::Display for KeySetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("this is no JWK set")
    }
}

impl core::error::Error for KeySetError {}

/// One public key of a set.
#[derive(Clone)]
pub struct Key {
    kid: Option<String>,
    /// The one algorithm it may be used with; `Some(None)` is one that is not known here.
    alg: Option<Option<Algorithm>>,
    for_checking: bool,
    material: Option<(PublicKey, DecodingKey)>,
    id: [u8; 32],
}

impl Key {
    /// A key that is already at hand, for whatever algorithm its type is for.
    #[must_use]
    pub fn new(kid: Option<&str>, public: PublicKey) -> Self {
        Self::assemble(kid.map(String::from), None, true, Some(public))
    }

    fn from_jwk(jwk: &Map<'_>) -> Self {
        let text = |name: &str| jwk.get(name).and_then(Value::as_str);
        let alg = jwk.get("alg").map(|alg| alg.as_str().and_then(Algorithm::from_name));
        let sig = jwk.get("use").is_none_or(|purpose| purpose.as_str() == Some("sig"));
        let ops = jwk.get("key_ops").is_none_or(|ops| {
            ops.as_array().is_some_and(|ops| ops.iter().any(|op| op.as_str() == Some("verify")))
        });
        let public = match (text("kty"), text("crv")) {
            (Some("EC"), Some("P-256")) => point(jwk).map(PublicKey::P256),
            (Some("EC"), Some("P-384")) => point(jwk).map(PublicKey::P384),
            (Some("OKP"), Some("Ed25519")) => {
                bytes(jwk, "x").and_then(|x| <[u8; 32]>::try_from(x).ok()).map(PublicKey::Ed25519)
            }
            (Some("RSA"), _) => rsa(jwk),
            _ => None,
        };
        Self::assemble(text("kid").map(String::from), alg, sig && ops, public)
    }

    fn assemble(
        kid: Option<String>,
        alg: Option<Option<Algorithm>>,
        for_checking: bool,
        public: Option<PublicKey>,
    ) -> Self {
        let mut hash = Sha256::new();
        let mut field = |bytes: &[u8]| {
            hash.update(u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes());
            hash.update(bytes);
        };
        field(&[u8::from(kid.is_some())]);
        field(kid.as_deref().unwrap_or_default().as_bytes());
        field(match alg {
            None => b"",
            Some(None) => b"?",
            Some(Some(alg)) => alg.name().as_bytes(),
        });
        field(&[u8::from(for_checking)]);
        let decoding = match &public {
            None => {
                field(b"");
                None
            }
            Some(PublicKey::P256(point)) => {
                field(point);
                Some(DecodingKey::from_ec_der(point))
            }
            Some(PublicKey::P384(point)) => {
                field(point);
                Some(DecodingKey::from_ec_der(point))
            }
            Some(PublicKey::Ed25519(x)) => {
                field(x);
                Some(DecodingKey::from_ed_der(x))
            }
            Some(PublicKey::Rsa { n, e }) => {
                field(n);
                field(e);
                Some(DecodingKey::from_rsa_raw_components(n, e))
            }
        };
        let id = hash.finalize().into();
        Self { kid, alg, for_checking, material: public.zip(decoding), id }
    }

    /// Its id.
    #[must_use]
    pub fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// The key itself, where it is of a known type.
    #[must_use]
    pub fn public(&self) -> Option<&PublicKey> {
        self.material.as_ref().map(|(public, _)| public)
    }

    /// Whether it can check signatures: one whose `alg` is not for keys of its type can check none.
    #[must_use]
    pub fn is_usable(&self) -> bool {
        let fits = |public: &PublicKey| match self.alg {
            None => true,
            Some(alg) => alg.is_some_and(|alg| public.fits(alg)),
        };
        self.for_checking && self.public().is_some_and(fits)
    }

    fn is_something(&self) -> bool {
        self.kid.is_some() || self.material.is_some()
    }

    pub(crate) fn decoding(&self) -> Option<&DecodingKey> {
        self.material.as_ref().map(|(_, decoding)| decoding)
    }

    pub(crate) const fn id(&self) -> &[u8; 32] {
        &self.id
    }

    fn suits(&self, algorithm: Algorithm) -> Result<(), Reason> {
        let made_for = self.public().is_some_and(|public| public.fits(algorithm));
        if !made_for || self.alg.is_some_and(|alg| alg != Some(algorithm)) {
            return Err(Reason::KeyAlgorithm);
        }
        if self.for_checking { Ok(()) } else { Err(Reason::KeyUse) }
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key")
            .field("kid", &self.kid)
            .field("usable", &self.is_usable())
            .finish_non_exhaustive()
    }
}

fn bytes(jwk: &Map<'_>, name: &str) -> Option<Vec<u8>> {
    decode(jwk.get(name)?.as_str()?)
}

/// `0x04`, x, y. Each coordinate has the full length of the field (RFC 7518 section 6.2.1.2);
/// whether the point is on the curve is the backend's to say.
fn point<const N: usize>(jwk: &Map<'_>) -> Option<[u8; N]> {
    let (x, y) = (bytes(jwk, "x")?, bytes(jwk, "y")?);
    let size = (N - 1) / 2;
    if x.len() != size || y.len() != size {
        return None;
    }
    let mut point = [0; N];
    point[0] = 4;
    point[1..=size].copy_from_slice(&x);
    point[size + 1..].copy_from_slice(&y);
    Some(point)
}

fn rsa(jwk: &Map<'_>) -> Option<PublicKey> {
    let (n, e) = (bytes(jwk, "n")?, bytes(jwk, "e")?);
    // RFC 7518 section 6.3.1.1 forbids leading zeros; some issuers write one.
    let trim = |bytes: Vec<u8>| -> Vec<u8> { bytes.into_iter().skip_while(|b| *b == 0).collect() };
    let (n, e) = (trim(n), trim(e));
    let bits = n.len() * 8 - n.first().map_or(0, |first| first.leading_zeros() as usize);
    let odd = |bytes: &[u8]| bytes.last().is_some_and(|last| last & 1 == 1);
    let sound = (2048..=8192).contains(&bits) && odd(&n) && odd(&e) && e.len() <= 4 && e != [1];
    sound.then_some(PublicKey::Rsa { n, e })
}
