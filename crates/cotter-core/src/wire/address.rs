//! Addresses of providers: https, or this machine.

use alloc::string::String;

use crate::address::is_loopback;
use crate::error::Error;
use crate::key::normalise;

/// The address below which a provider's endpoints stand: normalised, without a trailing `/`.
///
/// # Errors
/// `Config` if it is no https URL (or http to this machine, or by `plain_http` to any).
pub(crate) fn base(url: &str, plain_http: bool) -> Result<String, Error> {
    let normal = normalise(url)?;
    if normal.starts_with("https://") || plain_http {
        return Ok(normal);
    }
    let uri: http::Uri = normal.parse().map_err(|_| Error::config("the address is no URL"))?;
    if is_loopback(uri.host().unwrap_or_default()) {
        Ok(normal)
    } else {
        Err(Error::config("the address must be https; plain http is for this machine only"))
    }
}

/// The address of one endpoint: path and query stay as they are (RFC 6749 section 3.2 allows a
/// query), a `/` at the end too, for there are servers that want it.
///
/// # Errors
/// As [`base`].
pub(crate) fn endpoint(url: &str, plain_http: bool) -> Result<String, Error> {
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
            assert_eq!(endpoint(given, false).unwrap(), kept);
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
            assert!(base(bad, false).is_err(), "{bad}");
            assert!(endpoint(bad, false).is_err(), "{bad}");
        }
        assert!(base("https://x.example/?q", false).is_err());
        assert!(base("http://x.example/", true).is_ok());
        assert!(endpoint("http://x.example/?q", true).is_ok());
        assert!(endpoint("ftp://x.example/", true).is_err());
    }
}
