//! Addresses of providers: https, or this machine.

use alloc::string::{String, ToString as _};

use crate::address::{PlainHttp, check_address};
use crate::error::Error;
use crate::key::normalise;

/// The address below which a provider's endpoints stand: normalised, without a trailing `/`.
///
/// # Errors
/// `Config` if it is no https URL (or http to where `plain_http` lets it go).
pub(crate) fn base(url: &str, plain_http: PlainHttp) -> Result<String, Error> {
    let normal = normalise(url)?;
    let uri: http::Uri = normal.parse().map_err(|_| Error::config("the address is no URL"))?;
    check_address(&uri, plain_http).map_err(|error| Error::config(error.to_string()))?;
    Ok(normal)
}

/// The address of one endpoint: path and query stay as they are (RFC 6749 section 3.2 allows a
/// query), a `/` at the end too, for there are servers that want it.
///
/// # Errors
/// As [`base`].
pub(crate) fn endpoint(url: &str, plain_http: PlainHttp) -> Result<String, Error> {
    let bad = || Error::config("the endpoint is not an absolute http(s) URL");
    if url.contains('#') {
        return Err(Error::config("the endpoint must have no fragment"));
    }
    base(url.split_once('?').map_or(url, |(place, _)| place), plain_http)?;
    let uri: http::Uri = url.parse().map_err(|_| bad())?;
    let scheme = uri.scheme_str().ok_or_else(bad)?;
    let authority = uri.authority().ok_or_else(bad)?.as_str().to_ascii_lowercase();
    let rest = uri.path_and_query().map_or("/", |rest| rest.as_str());
    Ok(alloc::format!("{scheme}://{authority}{rest}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_keeps_its_path_query_and_last_slash() {
        for (given, kept) in [
            ("HTTPS://Auth.Example/O/token/", "https://auth.example/O/token/"),
            ("https://auth.example/token?p=Policy", "https://auth.example/token?p=Policy"),
            ("http://LOCALHOST:8080/token", "http://localhost:8080/token"),
            ("https://auth.example", "https://auth.example/"),
        ] {
            assert_eq!(endpoint(given, PlainHttp::Loopback).unwrap(), kept);
        }
    }

    #[test]
    fn what_is_not_https_and_not_this_machine_is_refused() {
        for bad in [
            "",
            "x",
            "/token",
            "ftp://x/",
            "http://x.example/",
            "http://localhost.evil.example/",
            "http://127.0.0.1.evil.example/",
            "https://user:pass@x.example/",
            "https://x.example/#token",
            "https://x.example/?q#token",
            "https://x.example/a b",
        ] {
            assert!(base(bad, PlainHttp::Loopback).is_err(), "{bad}");
            assert!(endpoint(bad, PlainHttp::Loopback).is_err(), "{bad}");
        }
        assert!(base("https://x.example/?q", PlainHttp::Loopback).is_err());
        assert!(base("http://x.example/", PlainHttp::Anywhere).is_ok());
        assert!(endpoint("http://x.example/?q", PlainHttp::Anywhere).is_ok());
        assert!(endpoint("ftp://x.example/", PlainHttp::Anywhere).is_err());
    }
}
