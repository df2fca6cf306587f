//! What an error of ureq's means for the one question that matters: was the request sent?

use cotter_core::TransportError;
use ureq::{Error, Timeout};

use crate::deadline::Late;
use crate::limit::TooLong;

/// It is known whether the request has begun.
///
/// One with a body has when the body is asked for, which ureq does only when it is connected and has
/// written the head: until then the server has at most a head that announces a body, which is no
/// request, whatever the error. One without a body has with its first byte.
pub(crate) fn told(error: Error, begun: bool) -> TransportError {
    if begun { broken(error) } else { unconnected(error) }
}

/// The request had no body, and went by an agent that does not tell: only an error that can come from nowhere else but the way to the
/// connection proves that nothing was sent. A broken handshake is not among them, since ureq reports
/// it as it does TLS that breaks later.
pub(crate) fn without_body(error: Error) -> TransportError {
    let not_sent = match &error {
        Error::BadUri(_)
        | Error::ConnectProxyFailed(_)
        | Error::ConnectionFailed
        | Error::Http(_)
        | Error::HostNotFound
        | Error::InvalidProxyUrl
        | Error::RequireHttpsOnly(_)
        | Error::Timeout(Timeout::Resolve | Timeout::Connect)
        | Error::Tls(_)
        | Error::TlsRequired => true,
        Error::Io(error) => error.kind() == std::io::ErrorKind::ConnectionRefused,
        _ => false,
    };
    if not_sent { unconnected(error) } else { broken(error) }
}

/// The response had begun.
pub(crate) fn in_response(error: Error) -> TransportError {
    let message = match error {
        _ if TooLong::ended(&error) => return with_source(TransportError::too_long(), error),
        Error::Timeout(_) => "the response did not end in time",
        _ => "the response broke off",
    };
    with_source(TransportError::maybe_sent(message), error)
}

fn unconnected(error: Error) -> TransportError {
    let message = match error {
        _ if Late::stopped(&error) => "the deadline passed before the request was sent",
        Error::Timeout(_) => "no connection to the server came about in time",
        _ => "no connection to the server came about",
    };
    with_source(TransportError::not_sent(message), error)
}

fn broken(error: Error) -> TransportError {
    let message = match error {
        _ if TooLong::ended(&error) => return with_source(TransportError::too_long(), error),
        Error::Timeout(_) => "the server did not answer in time",
        Error::LargeResponseHeader(..) => return TransportError::too_long(),
        Error::Protocol(_) => "the response is not HTTP",
        _ => "the connection broke before the server answered",
    };
    with_source(TransportError::maybe_sent(message), error)
}

/// Keeps what helps and names no address: other errors print URLs or what the server sent.
fn with_source(error: TransportError, source: Error) -> TransportError {
    match source {
        Error::Io(source) => error.with_source(source),
        source @ (Error::ConnectionFailed
        | Error::HostNotFound
        | Error::Rustls(_)
        | Error::Timeout(_)
        | Error::Tls(_)) => error.with_source(source),
        _ => error,
    }
}
