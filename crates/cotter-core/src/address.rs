//! Which addresses may be asked: https, or this machine.

use core::net::IpAddr;

use http::Uri;

use crate::transport::TransportError;

/// Where plain http may go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "there is nothing between here and anywhere")]
pub enum PlainHttp {
    /// To this machine only.
    #[default]
    Loopback,
    /// To any machine: **whoever is on the way reads the tokens and writes the answers**.
    Anywhere,
}

/// Refuses an address that no request may go to; transports ask before they send anything.
///
/// # Errors
/// A [`TransportError`] that [is of the set-up](TransportError::is_config) if it is no absolute https or
/// http URL, names a user, has a port that is none, or is plain http to where that must not go.
///
/// ```
/// use cotter_core::{PlainHttp, check_address};
///
/// let check = |url: &'static str| check_address(&url.parse().unwrap(), PlainHttp::Loopback);
/// assert!(check("https://auth.example/token").is_ok());
/// assert!(check("http://127.0.0.1:1234/token").is_ok());
/// assert!(check("http://auth.example/token").is_err());
/// assert!(check("https://me:secret@auth.example/token").is_err());
/// assert!(check("https://auth.example:99999/token").is_err());
/// ```
pub fn check_address(uri: &Uri, plain_http: PlainHttp) -> Result<(), TransportError> {
    let authority = uri.authority().filter(|authority| !authority.host().is_empty());
    let Some(authority) = authority else {
        return Err(TransportError::config("the address names no server"));
    };
    if authority.as_str().contains('@') {
        return Err(TransportError::config("the address must not contain a user name"));
    }
    // RFC 3986 section 3.2.3: a colon alone is the default port.
    let port = authority.as_str().strip_prefix(authority.host()).unwrap_or_default();
    if !matches!(port, "" | ":") && authority.port_u16().is_none() {
        return Err(TransportError::config("the address has a port that is none"));
    }
    match uri.scheme_str() {
        Some("https") => Ok(()),
        Some("http") if plain_http == PlainHttp::Anywhere || is_loopback(authority.host()) => {
            Ok(())
        }
        Some("http") => Err(TransportError::config(
            "the address must be https; plain http is for this machine only",
        )),
        _ => Err(TransportError::config("the address is neither https nor http")),
    }
}

/// Whether a host is this machine itself: 127.0.0.0/8, `[::1]` or `localhost`.
///
/// ```
/// use cotter_core::is_loopback;
///
/// assert!(is_loopback("127.0.0.1") && is_loopback("[::1]") && is_loopback("LocalHost"));
/// assert!(!is_loopback("localhost.example") && !is_loopback("10.0.0.1"));
/// ```
#[must_use]
pub fn is_loopback(host: &str) -> bool {
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    bare.eq_ignore_ascii_case("localhost")
        || bare.parse().is_ok_and(|address: IpAddr| address.is_loopback())
}
