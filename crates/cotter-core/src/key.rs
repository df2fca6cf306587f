//! Whose tokens: the key under which a store keeps one session.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use crate::error::Error;

/// The longest session name, in bytes of UTF-8.
pub const MAX_SESSION_NAME: usize = 4096;

/// What begins the name of a device's key: nothing that anybody would call a session.
const DEVICE: &str = "\u{1}cotter:device\u{1}";

/// Names one session: provider address, client, session name.
///
/// The address is normalised (lower-case scheme and host, no default port, no trailing `/`), so
/// that two spellings of one provider share their records. Any session name up to
/// [`MAX_SESSION_NAME`] bytes is allowed, the empty one and `../` included: stores never use it as a
/// path.
///
/// ```
/// use cotter_core::StoreKey;
///
/// let a = StoreKey::new("HTTPS://Auth.Example:443/api/", "client", "ada")?;
/// let b = StoreKey::new("https://auth.example/api", "client", "ada")?;
/// assert_eq!(a, b);
/// # Ok::<(), cotter_core::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StoreKey {
    provider: Arc<str>,
    client: Arc<str>,
    session: Arc<str>,
}

impl StoreKey {
    /// The key of `session` at the provider with this address, for this client (or API key) id.
    ///
    /// # Errors
    /// `Config` if the address is not an absolute URL or the session name is too long.
    pub fn new(provider: &str, client: &str, session: &str) -> Result<Self, Error> {
        if session.len() > MAX_SESSION_NAME {
            return Err(Error::config("the session name is longer than 4096 bytes"));
        }
        Ok(Self {
            provider: normalise(provider)?.into(),
            client: client.into(),
            session: session.into(),
        })
    }

    /// The same provider and client, another session; shares what does not differ.
    ///
    /// # Errors
    /// `Config` if the session name is too long.
    pub fn with_session(&self, session: &str) -> Result<Self, Error> {
        if session.len() > MAX_SESSION_NAME {
            return Err(Error::config("the session name is longer than 4096 bytes"));
        }
        Ok(Self {
            provider: Arc::clone(&self.provider),
            client: Arc::clone(&self.client),
            session: session.into(),
        })
    }

    /// Where this session's trusted device is kept: apart from its tokens, so that signing out leaves it.
    ///
    /// # Errors
    /// `Config` if the session's name leaves no room for that.
    pub fn for_device(&self) -> Result<Self, Error> {
        let mut name = String::from(DEVICE);
        name.push_str(&self.session);
        self.with_session(&name)
    }

    /// Whether this is no session's key but one that cotter keeps something else under; listings leave
    /// it out.
    #[must_use]
    pub fn is_reserved(&self) -> bool {
        self.session.starts_with(DEVICE)
    }

    /// The provider's address, normalised.
    #[must_use]
    pub fn provider(&self) -> &str {
        &self.provider
    }

    /// The client id or API key id.
    #[must_use]
    pub fn client(&self) -> &str {
        &self.client
    }

    /// The session's name.
    #[must_use]
    pub fn session(&self) -> &str {
        &self.session
    }

    /// The session's name, shared instead of copied.
    #[must_use]
    pub fn session_shared(&self) -> Arc<str> {
        Arc::clone(&self.session)
    }

    /// One unambiguous line of bytes: each part behind its length (32 bits, big-endian).
    ///
    /// Stores hash it to a record name, and seals bind it to the record.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let parts = [&self.provider, &self.client, &self.session];
        let mut bytes = Vec::with_capacity(parts.iter().map(|part| part.len() + 4).sum());
        for part in parts {
            // Each part was read from a URL, a header-sized id or a bounded name: it fits.
            let length = u32::try_from(part.len()).unwrap_or(u32::MAX);
            bytes.extend_from_slice(&length.to_be_bytes());
            bytes.extend_from_slice(part.as_bytes());
        }
        bytes
    }

    /// Reads back what [`to_bytes`](Self::to_bytes) wrote; `None` for anything else.
    #[must_use]
    pub fn from_bytes(mut bytes: &[u8]) -> Option<Self> {
        let provider = take_part(&mut bytes)?;
        let client = take_part(&mut bytes)?;
        let session = take_part(&mut bytes)?;
        bytes.is_empty().then_some(Self { provider, client, session })
    }
}

fn take_part(bytes: &mut &[u8]) -> Option<Arc<str>> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    let (part, rest) = rest.split_at_checked(length)?;
    *bytes = rest;
    core::str::from_utf8(part).ok().map(Arc::from)
}

/// Session names may be a person's address, so they stay out of logs.
impl fmt::Debug for StoreKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreKey").field("provider", &self.provider).finish_non_exhaustive()
    }
}

/// Lower-case scheme and host, default port and trailing `/` dropped, query and fragment refused.
pub(crate) fn normalise(address: &str) -> Result<String, Error> {
    let bad = || Error::config("the address is not an absolute http(s) URL");
    if address.contains('#') {
        return Err(Error::config("the address must have no query and no fragment"));
    }
    let uri: http::Uri = address.parse().map_err(|_| bad())?;
    let scheme = uri.scheme_str().ok_or_else(bad)?.to_ascii_lowercase();
    let authority = uri.authority().ok_or_else(bad)?;
    if authority.as_str().contains('@') {
        return Err(Error::config("the address must not contain a user name"));
    }
    if uri.query().is_some() {
        return Err(Error::config("the address must have no query and no fragment"));
    }
    let default_port: u16 = match scheme.as_str() {
        "https" => 443,
        "http" => 80,
        _ => return Err(bad()),
    };
    let after_host = authority.as_str().strip_prefix(authority.host()).unwrap_or_default();
    let port = match after_host.strip_prefix(':').unwrap_or(after_host) {
        // RFC 3986 section 3.2.3: a colon alone is the default port.
        "" => default_port,
        digits if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            digits.parse().map_err(|_| bad())?
        }
        _ => return Err(bad()),
    };
    let mut out = scheme;
    out.push_str("://");
    out.push_str(&authority.host().to_ascii_lowercase());
    if port != default_port {
        out.push(':');
        out.push_str(&alloc::string::ToString::to_string(&port));
    }
    out.push_str(uri.path().trim_end_matches('/'));
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;

    #[test]
    fn a_port_that_is_none_is_an_error_and_no_other_port() {
        for bad in ["https://h:99999/t", "https://h:-1", "https://h:+443", "https://[::1]:65536"] {
            assert!(normalise(bad).is_err(), "{bad}");
        }
        assert_eq!(normalise("https://h:0443/t").unwrap(), "https://h/t");
        assert_eq!(normalise("https://h:65535/t").unwrap(), "https://h:65535/t");
        assert_eq!(normalise("https://[::1]:8443/t").unwrap(), "https://[::1]:8443/t");
        assert_eq!(normalise("https://[::1]").unwrap(), "https://[::1]");
    }

    #[test]
    fn two_spellings_of_one_provider_share_their_records() {
        for spelling in ["https://a.example", "HTTPS://A.EXAMPLE:443/", "https://A.example/"] {
            assert_eq!(normalise(spelling).unwrap(), "https://a.example", "{spelling}");
        }
        assert_eq!(normalise("http://[::1]:80/x/").unwrap(), "http://[::1]/x");
        assert_eq!(
            normalise("http://127.0.0.1:8080/api/v0").unwrap(),
            "http://127.0.0.1:8080/api/v0"
        );
        assert_eq!(normalise("https://a.example/Case").unwrap(), "https://a.example/Case");
    }

    #[test]
    fn what_is_no_address_is_a_config_error() {
        for bad in
            ["", "a.example", "/x", "ftp://a", "https://u:p@a", "https://a/?q", "https://a/#f"]
        {
            assert!(normalise(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn odd_session_names_come_back_unchanged() {
        let long = "x".repeat(MAX_SESSION_NAME);
        for name in ["", "../", "a\0b", "żółw", long.as_str()] {
            let key = StoreKey::new("https://a.example", "c", name).unwrap();
            assert_eq!(StoreKey::from_bytes(&key.to_bytes()).unwrap(), key);
        }
        assert!(
            StoreKey::new("https://a.example", "c", &"x".repeat(MAX_SESSION_NAME + 1)).is_err()
        );
    }

    #[test]
    fn truncated_or_padded_key_bytes_are_refused() {
        let bytes = StoreKey::new("https://a.example", "c", "s").unwrap().to_bytes();
        for end in 0..bytes.len() {
            assert!(StoreKey::from_bytes(&bytes[..end]).is_none());
        }
        let mut padded = bytes;
        padded.push(0);
        assert!(StoreKey::from_bytes(&padded).is_none());
    }

    #[test]
    fn a_key_does_not_print_the_persons_name() {
        let key = StoreKey::new("https://a.example", "c", "ada@example.test").unwrap();
        assert!(!format!("{key:?}").contains("ada"));
    }
}
