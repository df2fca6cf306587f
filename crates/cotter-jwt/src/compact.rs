//! The compact serialization of a JWS (RFC 7515 section 7.1), taken apart strictly.

use alloc::string::String;
use alloc::vec::Vec;

use crate::json::{self, Fault, Map, Value};
use crate::reason::Reason;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// The longest token that is looked at.
pub(crate) const MAX_TOKEN: usize = 16 * 1024;
const MAX_KID: usize = 256;

/// A token's three parts; nothing in it has been believed yet.
pub(crate) struct Compact<'a> {
    pub(crate) header: Header,
    /// What the signature covers: the first two parts as they came.
    pub(crate) message: &'a [u8],
    pub(crate) payload: Vec<u8>,
    pub(crate) signature: Vec<u8>,
}

/// What is read of a header. `jwk`, `jku`, `x5u`, `x5c` and the like are not: a token does not say
/// which key to trust.
pub(crate) struct Header {
    pub(crate) alg: String,
    pub(crate) kid: Option<String>,
    pub(crate) typ: Option<String>,
}

impl<'a> Compact<'a> {
    pub(crate) fn parse(token: &'a str) -> Result<Self, Reason> {
        if token.len() > MAX_TOKEN {
            return Err(Reason::TooLarge);
        }
        let mut parts = token.split('.');
        let (Some(header), Some(payload), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(Reason::NotThreeParts);
        };
        let message = &token.as_bytes()[..header.len() + 1 + payload.len()];
        let header = decode(header).ok_or(Reason::HeaderEncoding)?;
        let header = Header::parse(&header)?;
        let payload = decode(payload).ok_or(Reason::ClaimsEncoding)?;
        let signature = decode(signature).ok_or(Reason::SignatureEncoding)?;
        Ok(Self { header, message, payload, signature })
    }
}

impl Header {
    fn parse(bytes: &[u8]) -> Result<Self, Reason> {
        let mut members = json::object(bytes).map_err(|fault| match fault {
            Fault::Malformed => Reason::HeaderMalformed,
            Fault::Duplicate => Reason::HeaderDuplicate,
            Fault::TooDeep => Reason::HeaderTooDeep,
        })?;
        // No extension is understood here, so every critical one has to be refused
        // (RFC 7515 section 4.1.11); without it `b64` (RFC 7797) has no say either.
        if members.has("crit") {
            return Err(Reason::CriticalHeader);
        }
        let alg = text(&mut members, "alg")?.ok_or(Reason::HeaderMalformed)?;
        let kid = text(&mut members, "kid")?;
        if kid.as_ref().is_some_and(|kid| kid.len() > MAX_KID) {
            return Err(Reason::HeaderMalformed);
        }
        Ok(Self { alg, kid, typ: text(&mut members, "typ")? })
    }
}

fn text(members: &mut Map<'_>, name: &str) -> Result<Option<String>, Reason> {
    match members.take(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.into_owned())),
        Some(_) => Err(Reason::HeaderMalformed),
    }
}

/// Unpadded, canonical base64url: one text for one sequence of bytes (RFC 7515 section 2).
pub(crate) fn decode(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64url_has_one_spelling_for_each_value() {
        assert_eq!(decode("_-8").unwrap(), [0xff, 0xef]);
        for other in ["_-8=", "/+8", "_-9", "_-_", "_- 8", "_-8\n", "_", "_-8A="] {
            assert!(decode(other).is_none(), "{other:?}");
        }
    }
}
