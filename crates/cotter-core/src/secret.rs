//! Secrets as types: they redact themselves, wipe their memory, and compare in constant time.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use subtle::ConstantTimeEq;
use zeroize::{Zeroize, Zeroizing};

/// What every secret type shares; the text type differs in who may copy it.
macro_rules! secret_text {
    ($(#[$doc:meta])* $vis:vis $name:ident, $inner:ty, $make:expr) => {
        $(#[$doc])*
        $vis struct $name($inner);

        impl $name {
            /// Takes `text` over as a secret.
            #[must_use]
            $vis fn new(text: impl Into<String>) -> Self {
                // An exact copy, so that shrinking the string leaves no second one behind.
                let mut text: String = text.into();
                let exact: Box<str> = Box::from(text.as_str());
                text.zeroize();
                #[allow(clippy::redundant_closure_call)]
                Self($make(Zeroizing::new(exact)))
            }

            /// The secret itself. Call it only where the bytes leave for a wire or a back end.
            #[must_use]
            $vis fn expose(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "([redacted])"))
            }
        }

        impl PartialEq for $name {
            fn eq(&self, other: &Self) -> bool {
                self.expose().as_bytes().ct_eq(other.expose().as_bytes()).into()
            }
        }

        impl Eq for $name {}
    };
}

secret_text!(
    /// An access token; cloning shares the one copy in memory.
    ///
    /// ```
    /// use cotter_core::AccessToken;
    ///
    /// let token = AccessToken::new("eyJhbGciOi...");
    /// assert_eq!(format!("{token:?}"), "AccessToken([redacted])");
    /// assert_eq!(token.expose(), "eyJhbGciOi...");
    /// ```
    pub AccessToken, Arc<Zeroizing<Box<str>>>, Arc::new
);
secret_text!(
    /// An ID token; cloning shares the one copy in memory.
    pub IdToken, Arc<Zeroizing<Box<str>>>, Arc::new
);
secret_text!(
    /// A refresh token; not `Clone`, since every copy is one more that can leak.
    pub RefreshToken, Zeroizing<Box<str>>, core::convert::identity
);
secret_text!(
    /// The secret of a confidential client (RFC 6749 section 2.3.1).
    pub ClientSecret, Zeroizing<Box<str>>, core::convert::identity
);

secret_text!(
    /// What a login proves itself by when it exchanges its code (RFC 7636 section 4.1).
    pub(crate) CodeVerifier, Zeroizing<Box<str>>, core::convert::identity
);
secret_text!(
    /// What ties an answer to the login that it belongs to.
    pub(crate) LoginState, Zeroizing<Box<str>>, core::convert::identity
);
secret_text!(
    /// What buys a login's tokens, once.
    pub(crate) LoginCode, Zeroizing<Box<str>>, core::convert::identity
);

impl Clone for AccessToken {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl Clone for IdToken {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl RefreshToken {
    /// A second copy, made on purpose.
    #[must_use]
    pub fn duplicate(&self) -> Self {
        Self(self.0.clone())
    }
}

impl ClientSecret {
    /// A second copy, made on purpose.
    #[must_use]
    pub fn duplicate(&self) -> Self {
        Self(self.0.clone())
    }
}

/// Bytes that hold a secret: a record, a request body, a response body.
///
/// Wiped when dropped. Build it at its final size (`with_capacity`), because a vector that grows
/// leaves its old contents behind in freed memory.
///
/// ```
/// use cotter_core::SecretBytes;
///
/// let body = SecretBytes::from(b"hunter2".to_vec());
/// assert_eq!(format!("{body:?}"), "SecretBytes([redacted])");
/// assert_eq!(body.expose(), b"hunter2");
/// ```
#[derive(Default)]
pub struct SecretBytes(Zeroizing<Vec<u8>>);

impl SecretBytes {
    /// An empty secret that can take `capacity` bytes without moving.
    #[must_use]
    pub fn with_capacity(capacity: usize) -> Self {
        Self(Zeroizing::new(Vec::with_capacity(capacity)))
    }

    /// The bytes. Call it only where they leave for a wire or a back end.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// How many bytes there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Appends `bytes`; where they do not fit, the old buffer is wiped before it is given back.
    pub fn extend_from_slice(&mut self, bytes: &[u8]) {
        if self.0.capacity() - self.0.len() < bytes.len() {
            let room = (self.0.len() + bytes.len()).max(self.0.capacity().saturating_mul(2));
            let mut roomier = Vec::with_capacity(room);
            roomier.extend_from_slice(&self.0);
            self.0 = Zeroizing::new(roomier);
        }
        self.0.extend_from_slice(bytes);
    }

    /// A second copy, made on purpose.
    #[must_use]
    pub fn duplicate(&self) -> Self {
        Self(self.0.clone())
    }
}

impl From<Vec<u8>> for SecretBytes {
    fn from(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }
}

impl From<&[u8]> for SecretBytes {
    fn from(bytes: &[u8]) -> Self {
        Self(Zeroizing::new(bytes.to_vec()))
    }
}

impl fmt::Debug for SecretBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretBytes([redacted])")
    }
}

impl PartialEq for SecretBytes {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_slice().ct_eq(other.0.as_slice()).into()
    }
}

impl Eq for SecretBytes {}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;

    #[test]
    fn no_secret_type_prints_what_it_holds() {
        let planted = "PLANTED-SECRET";
        let printed = format!(
            "{:?} {:?} {:?} {:?} {:?}",
            AccessToken::new(planted),
            IdToken::new(planted),
            RefreshToken::new(planted),
            ClientSecret::new(planted),
            SecretBytes::from(planted.as_bytes()),
        );
        assert!(!printed.contains("PLANTED"), "{printed}");
        assert_eq!(printed.matches("[redacted]").count(), 5);
    }

    #[test]
    fn secrets_compare_by_value() {
        assert_eq!(RefreshToken::new("a"), RefreshToken::new("a").duplicate());
        assert_ne!(RefreshToken::new("a"), RefreshToken::new("b"));
        assert_ne!(AccessToken::new("a"), AccessToken::new("ab"));
    }

    #[test]
    fn growing_secret_bytes_keeps_their_content() {
        let mut bytes = SecretBytes::with_capacity(2);
        for chunk in [b"ab".as_slice(), b"cde", b"f"] {
            bytes.extend_from_slice(chunk);
        }
        assert_eq!(bytes.expose(), b"abcdef");
    }
}
