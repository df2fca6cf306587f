//! Where a browser may be sent back to, and what it came back with.

use alloc::string::String;
use alloc::vec::Vec;

use zeroize::Zeroizing;

use crate::address::PlainHttp;
use crate::error::Error;
use crate::wire::address;

/// The longest redirect URL.
const LONGEST: usize = 2048;

/// Schemes that a browser keeps to itself.
const BROWSERS_OWN: [&str; 6] = ["about", "blob", "data", "file", "ftp", "javascript"];

/// Whether a login may come back to `url`: this machine by http, an https URL, or an application's
/// own scheme (RFC 8252 section 7).
pub(super) fn check(url: &str) -> Result<(), Error> {
    let bad = |why| Err(Error::config(alloc::format!("the redirect URL {why}")));
    if url.len() > LONGEST || !url.bytes().all(|byte| byte.is_ascii_graphic()) {
        return bad("is too long, or has characters that belong percent-encoded");
    }
    if url.contains(['?', '#']) {
        return bad("must have no query and no fragment: the answer is put there");
    }
    let Some((scheme, _)) = url.split_once(':') else { return bad("has no scheme") };
    let scheme = scheme.to_ascii_lowercase();
    match scheme.as_str() {
        "http" | "https" => address::base(url, PlainHttp::Loopback).map(drop),
        other if BROWSERS_OWN.contains(&other) => bad("has a scheme that no application can have"),
        // An underscore or anything odder does not work (protocol page 2.5).
        own if own.starts_with(|first: char| first.is_ascii_alphabetic())
            && own.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".+-".contains(&byte)) =>
        {
            Ok(())
        }
        _ => bad("has a scheme that is none"),
    }
}

/// The parameters of an address: whole, or from its path on, or its query alone.
pub(super) struct Parameters<'a>(&'a str);

impl<'a> Parameters<'a> {
    pub(super) fn of(address: &'a str) -> Self {
        let address = address.trim();
        let address = address.split_once('#').map_or(address, |(before, _)| before);
        Self(address.split_once('?').map_or("", |(_, query)| query))
    }

    /// Every value of this name, decoded.
    pub(super) fn all(&self, name: &str) -> Vec<Zeroizing<String>> {
        let pairs = self.0.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        let named = pairs.filter(|(key, _)| decoded(key).is_some_and(|key| *key == name));
        // What is not UTF-8 counts as a value that nothing equals.
        named.map(|(_, value)| decoded(value).unwrap_or_default()).collect()
    }
}

/// A percent-decoded value; `None` if it is not UTF-8.
fn decoded(text: &str) -> Option<Zeroizing<String>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(text.len()));
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        rest = after;
        let hex = |at: usize| char::from(*after.get(at)?).to_digit(16);
        let byte = match first {
            b'+' => b' ',
            b'%' => match (hex(0), hex(1)) {
                (Some(high), Some(low)) => {
                    rest = &after[2..];
                    u8::try_from(high * 16 + low).unwrap_or_default()
                }
                _ => b'%',
            },
            other => *other,
        };
        bytes.push(byte);
    }
    core::str::from_utf8(&bytes).ok().map(|text| Zeroizing::new(text.into()))
}
