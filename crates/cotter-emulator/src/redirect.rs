//! Where a login may return to, and how.

use crate::codec::percent;

/// Whether a login may return to `url`: it begins with one of `allowed`, or, where none is given,
/// it is on this machine or of an application's own scheme.
pub(crate) fn is_allowed(allowed: &[String], url: &str) -> bool {
    if !allowed.is_empty() {
        return allowed.iter().any(|prefix| url.starts_with(prefix.as_str()));
    }
    let Some((scheme, rest)) = url.split_once(':') else { return false };
    match scheme {
        "http" => {
            let authority = rest.strip_prefix("//").unwrap_or_default();
            let authority = authority.split(['/', '?', '#']).next().unwrap_or_default();
            let host = match authority.rsplit_once(':') {
                Some((host, port)) if port.chars().all(|c| c.is_ascii_digit()) => host,
                _ => authority,
            };
            matches!(host, "localhost" | "127.0.0.1" | "[::1]")
        }
        "https" | "javascript" | "data" | "file" | "" => false,
        own => own.chars().all(|c| c.is_ascii_alphanumeric() || ".+-".contains(c)),
    }
}

/// `url` with more query parameters.
pub(crate) fn with_query(url: &str, pairs: &[(&str, &str)]) -> String {
    let mut url = url.split('#').next().unwrap_or_default().to_owned();
    if url.starts_with("http") {
        let authority = url.find("://").map_or(0, |at| at + 3);
        match url[authority..].find(['/', '?']).map(|at| authority + at) {
            None => url.push('/'),
            Some(at) if url[at..].starts_with('?') => url.insert(at, '/'),
            Some(_) => {}
        }
    }
    for (name, value) in pairs {
        url.push(if url.contains('?') { '&' } else { '?' });
        url.push_str(&format!("{}={}", percent(name), percent(value)));
    }
    url
}

#[cfg(test)]
mod tests {
    use super::{is_allowed, with_query};

    #[test]
    fn loopback_and_own_schemes_unless_told() {
        for good in [
            "http://localhost:8395",
            "http://127.0.0.1:1/cb?x=1",
            "http://[::1]:80/",
            "http://localhost",
            "myexample://auth_callback",
            "com.example.app:path",
        ] {
            assert!(is_allowed(&[], good), "{good}");
        }
        for bad in [
            "https://localhost/",
            "http://localhost.example.test/",
            "http://localhost:80@example.test/",
            "http://example.test/",
            "my_example://x",
            "javascript:alert(1)",
            "nothing",
            "",
        ] {
            assert!(!is_allowed(&[], bad), "{bad}");
        }
        let list = ["https://app.example.test/".to_owned()];
        assert!(is_allowed(&list, "https://app.example.test/cb"));
        assert!(!is_allowed(&list, "http://localhost:1/"));
    }

    #[test]
    fn parameters_are_appended_encoded() {
        let pairs = [("code", "a+b"), ("state", "x y")];
        assert_eq!(
            with_query("http://127.0.0.1:1", &pairs),
            "http://127.0.0.1:1/?code=a%2Bb&state=x%20y"
        );
        assert_eq!(with_query("http://h/p?q=1#f", &pairs[..1]), "http://h/p?q=1&code=a%2Bb");
        assert_eq!(with_query("http://h?q=1", &pairs[..1]), "http://h/?q=1&code=a%2Bb");
        assert_eq!(with_query("my://cb", &pairs[..1]), "my://cb?code=a%2Bb");
    }
}
