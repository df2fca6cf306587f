//! The head of a request, read without trust.

/// The longest head that is read.
pub(crate) const MAX_HEAD: usize = 16 * 1024;

/// The longest target that is looked into.
const MAX_TARGET: usize = 8 * 1024;

/// What a connection has sent so far amounts to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Read<'a> {
    /// Nothing that could be judged yet.
    More,
    /// A whole head.
    Request { method: Method, target: &'a str, host: Option<&'a str> },
    /// Nothing that will ever be one.
    Bad(Fault),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    Get,
    Head,
    Other,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    Malformed,
    HeadTooLong,
    TargetTooLong,
}

pub(crate) fn read(bytes: &[u8]) -> Read<'_> {
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut request = httparse::Request::new(&mut headers);
    match request.parse(bytes) {
        Ok(httparse::Status::Complete(_)) => {}
        Ok(httparse::Status::Partial) if bytes.len() < MAX_HEAD => return Read::More,
        Ok(httparse::Status::Partial) | Err(httparse::Error::TooManyHeaders) => {
            return Read::Bad(Fault::HeadTooLong);
        }
        Err(_) => return Read::Bad(Fault::Malformed),
    }
    let (Some(method), Some(target)) = (request.method, request.path) else {
        return Read::Bad(Fault::Malformed);
    };
    if target.len() > MAX_TARGET {
        return Read::Bad(Fault::TargetTooLong);
    }
    let mut hosts =
        request.headers.iter().filter(|header| header.name.eq_ignore_ascii_case("host"));
    let host = hosts.next().and_then(|header| core::str::from_utf8(header.value).ok());
    if hosts.next().is_some() {
        return Read::Bad(Fault::Malformed);
    }
    let method = match method {
        "GET" => Method::Get,
        "HEAD" => Method::Head,
        _ => Method::Other,
    };
    Read::Request { method, target, host: host.map(str::trim) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_read_when_it_is_whole() {
        let whole = b"GET /back?a=b HTTP/1.1\r\nHost: 127.0.0.1:80\r\nx: y\r\n\r\n";
        for end in 0..whole.len() {
            assert_eq!(read(&whole[..end]), Read::More, "{end}");
        }
        let host = Some("127.0.0.1:80");
        let request = Read::Request { method: Method::Get, target: "/back?a=b", host };
        assert_eq!(read(whole), request);
    }

    #[test]
    fn what_is_no_request_is_told_apart_by_why() {
        let long = format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(9_000));
        assert_eq!(read(long.as_bytes()), Read::Bad(Fault::TargetTooLong));
        let endless = vec![b'a'; MAX_HEAD];
        assert_ne!(read(&endless), Read::More);
        let headers = format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(100));
        assert_eq!(read(headers.as_bytes()), Read::Bad(Fault::HeadTooLong));
        for bad in
            [&b"\x16\x03\x01\x02\x00\x01"[..], b"GET\r\n\r\n", b"\0\0\0\0", b"GET / HTTP/9\r\n\r\n"]
        {
            assert_eq!(read(bad), Read::Bad(Fault::Malformed), "{bad:?}");
        }
        let two = b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n";
        assert_eq!(read(two), Read::Bad(Fault::Malformed));
    }
}
