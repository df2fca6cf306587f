//! The clauses of the transport contract; [`transport_contract!`](crate::transport_contract) runs
//! them.
//!
//! Each takes a transport and panics where it breaks the contract. Every request carries planted
//! secrets, and every error is searched for them.
#![allow(missing_docs, reason = "each name is its sentence")]

mod size;
mod tls;
#[cfg(feature = "tls")]
mod trust;

use core::error::Error;
use core::net::Ipv6Addr;
use core::time::Duration;
use std::net::TcpListener;
use std::time::Instant;

use cotter_core::{SecretBytes, Sent, TransportError};
use http::{HeaderValue, Request, Response};

use super::Subject;
pub use size::*;
pub use tls::*;
#[cfg(feature = "tls")]
pub use trust::*;

use crate::wire::{Reply, Server};

/// Plenty for anything on loopback.
const PLENTY: Duration = Duration::from_secs(20);
/// A deadline that a test waits for: so long that half of it is enough for a busy machine.
const BRIEF: Duration = Duration::from_millis(2000);
/// The latest end of a call that ends with [`BRIEF`].
const LATEST: Duration = Duration::from_millis(3500);
/// How long a call may take, on a busy machine, that ends at once.
const SLACK: Duration = Duration::from_secs(3);

pub fn a_request_arrives_as_it_was_given(transport: &Subject) {
    let server = Server::start(|_| Reply::ok("{}"));
    let body: Vec<u8> = (0..=255).cycle().take(10_000).collect();
    let request = Request::put(server.url("/a/b%20c?d=e%26f&g"))
        .header("API_KEY_ID", "PLANTED-KEY")
        .header("authorization", sensitive("Bearer PLANTED-TOKEN"))
        .header("content-type", "application/json")
        .header("x-twice", "one")
        .header("x-twice", "two")
        .header("user-agent", "its own/1")
        .body(SecretBytes::from(body.as_slice()))
        .expect("a valid request");
    assert_eq!(transport.send(request, PLENTY).expect("an answer").status(), 200);

    let [seen] = &server.requests()[..] else { panic!("not exactly one request on the wire") };
    assert_eq!((seen.method.as_str(), seen.target.as_str()), ("PUT", "/a/b%20c?d=e%26f&g"));
    assert_eq!(seen.header("api_key_id"), Some("PLANTED-KEY"));
    assert_eq!(seen.header("authorization"), Some("Bearer PLANTED-TOKEN"));
    assert_eq!(seen.header("content-type"), Some("application/json"));
    assert_eq!(seen.header("user-agent"), Some("its own/1"));
    assert_eq!(seen.header("host"), Some(server.address().to_string().as_str()));
    assert_eq!(seen.header("content-length"), Some("10000"));
    let twice = seen.headers.iter().filter(|(name, _)| name == "x-twice");
    assert_eq!(twice.map(|(_, value)| value.as_str()).collect::<Vec<_>>(), ["one", "two"]);
    for unwanted in ["accept-encoding", "cookie", "expect", "referer", "transfer-encoding"] {
        assert_eq!(seen.header(unwanted), None, "{unwanted} was added");
    }
    assert!(seen.body == body, "the body arrived changed, {} bytes long", seen.body.len());
}

pub fn a_request_without_a_body_has_none(transport: &Subject) {
    let server = Server::start(|_| Reply::ok("{}"));
    let request = Request::get(server.url("/keys")).body(SecretBytes::default());
    transport.send(request.expect("a valid request"), PLENTY).expect("an answer");
    let seen = &server.requests()[0];
    assert_eq!(seen.method, "GET");
    assert!(matches!(seen.header("content-length"), None | Some("0")), "{seen:?}");
    assert_eq!(seen.header("transfer-encoding"), None);
}

pub fn an_empty_post_is_sent(transport: &Subject) {
    let server = Server::start(|_| Reply::ok("{}"));
    let request = Request::post(server.url("/x")).body(SecretBytes::default());
    transport.send(request.expect("a valid request"), PLENTY).expect("an answer");
    let seen = &server.requests()[0];
    assert_eq!(seen.header("content-length"), Some("0"), "RFC 9110 section 8.6");
    assert_eq!(seen.header("transfer-encoding"), None);
}

pub fn a_response_comes_back_as_it_was_sent(transport: &Subject) {
    let body: Vec<u8> = (0..=255).cycle().take(5000).collect();
    let server = Server::start({
        let body = body.clone();
        move |_| {
            let headers =
                [("Content-Type", "text/odd"), ("retry-after", "7"), ("x-a", "1"), ("X-A", "2")];
            Reply::status(429, &headers, &body)
        }
    });
    let response = transport.send(secret_post(&server), PLENTY).expect("an answer");
    assert_eq!(response.status(), 429);
    assert_eq!(response.headers()["content-type"], "text/odd");
    assert_eq!(response.headers()["retry-after"], "7");
    let both: Vec<_> = response.headers().get_all("x-a").iter().collect();
    assert_eq!(both, ["1", "2"]);
    assert!(response.body().expose() == body, "the body came back changed");
}

pub fn a_chunked_response_comes_back_whole(transport: &Subject) {
    let server = Server::start(|_| {
        Reply::raw(
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n",
        )
    });
    let response = transport.send(secret_post(&server), PLENTY).expect("an answer");
    assert_eq!(response.body().expose(), b"abcde");
}

pub fn every_status_is_an_answer(transport: &Subject) {
    let server = Server::start(|request| {
        let status = request.target.trim_start_matches('/').parse().expect("a status");
        Reply::status(status, &[], if status == 204 { "" } else { "{}" })
    });
    for status in
        [200_u16, 201, 204, 300, 304, 400, 401, 403, 404, 408, 418, 429, 500, 502, 503, 599]
    {
        let response = transport.send(secret_post_to(&server.url(&format!("/{status}"))), PLENTY);
        assert_eq!(response.expect("every status is Ok").status(), status);
    }
    assert_eq!(server.requests().len(), 16);
}

pub fn interim_responses_are_passed_over(transport: &Subject) {
    let server = Server::start(|_| {
        Reply::raw("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}")
    });
    assert_eq!(transport.send(secret_post(&server), PLENTY).expect("an answer").status(), 200);
}

pub fn redirects_are_not_followed(transport: &Subject) {
    let target = Server::start(|_| Reply::ok("the wrong place"));
    let location = target.url("/stolen");
    let server = Server::start(move |request| {
        let status = request.target.trim_start_matches('/').parse().expect("a status");
        Reply::status(status, &[("location", &location)], "moved")
    });
    for status in [301_u16, 302, 303, 307, 308] {
        let url = server.url(&format!("/{status}"));
        let get = Request::get(&url).body(SecretBytes::default()).expect("a valid request");
        for request in [secret_post_to(&url), get] {
            let response = transport.send(request, PLENTY).expect("a redirect is an answer");
            assert_eq!(response.status(), status);
            assert_eq!(response.headers()["location"], target.url("/stolen"));
            assert_eq!(response.body().expose(), b"moved");
        }
    }
    assert_eq!((server.requests().len(), target.connections()), (10, 0));
}

pub fn cookies_are_not_kept(transport: &Subject) {
    let server = Server::start(|_| Reply::status(200, &[("set-cookie", "a=b; Path=/")], "{}"));
    for _ in 0..2 {
        transport.send(secret_post(&server), PLENTY).expect("an answer");
    }
    let seen = server.requests();
    assert_eq!(seen.len(), 2);
    assert_eq!(seen[1].header("cookie"), None, "a cookie came back");
}

pub fn nothing_is_sent_twice_after_an_answer_that_invites_it(transport: &Subject) {
    let server = Server::start(|request| {
        let status = request.target.trim_start_matches('/').parse().expect("a status");
        Reply::status(status, &[("retry-after", "0"), ("connection", "close")], "{}")
    });
    let statuses = [408, 421, 425, 429, 500, 502, 503, 504];
    for status in statuses {
        let url = server.url(&format!("/{status}"));
        transport.send(secret_post_to(&url), PLENTY).expect("every status is an answer");
    }
    assert_eq!(server.requests().len(), statuses.len());
}

pub fn nothing_is_sent_twice_after_a_broken_connection(transport: &Subject) {
    for reply in [Reply::reset(), Reply::close(), Reply::raw("HTTP/1.1 200 OK\r\ncont")] {
        let server = Server::start(move |_| reply.clone());
        error(transport, secret_post(&server), PLENTY);
        let get = Request::get(server.url("/PLANTED")).body(SecretBytes::default());
        error(transport, get.expect("a valid request"), PLENTY);
        assert_eq!((server.requests().len(), server.connections()), (2, 2));
    }
}

pub fn a_kept_alive_connection_that_closes_causes_no_second_request(transport: &Subject) {
    // The second request, on whichever connection it comes, gets no answer.
    let count = core::sync::atomic::AtomicUsize::new(0);
    let server = Server::start(move |_| {
        if count.fetch_add(1, core::sync::atomic::Ordering::SeqCst) == 0 {
            Reply::ok("{}").then_keep_alive()
        } else {
            Reply::close()
        }
    });
    transport.send(secret_post(&server), PLENTY).expect("the first is answered");
    assert_eq!(error(transport, secret_post(&server), PLENTY).sent(), Sent::Maybe);
    assert_eq!(server.requests().len(), 2);
}

pub fn concurrent_requests_get_their_own_answers(transport: &Subject) {
    let server = Server::start(|request| Reply::ok(&request.body));
    std::thread::scope(|scope| {
        for n in 0..8 {
            let url = server.url("/");
            scope.spawn(move || {
                for round in 0..4 {
                    let body = format!("request {n} of round {round}");
                    let request = Request::post(&url).body(SecretBytes::from(body.as_bytes()));
                    let response = transport.send(request.expect("a valid request"), PLENTY);
                    assert_eq!(response.expect("an answer").body().expose(), body.as_bytes());
                }
            });
        }
    });
    assert_eq!(server.requests().len(), 32);
}

pub fn a_compressed_response_is_not_opened(transport: &Subject) {
    let server = Server::start(|_| Reply::status(200, &[("content-encoding", "gzip")], "no gzip"));
    let response = transport.send(secret_post(&server), PLENTY).expect("an answer");
    assert_eq!(response.body().expose(), b"no gzip");
}

pub fn a_dripping_head_ends_with_the_deadline(transport: &Subject) {
    drips(transport, || Reply::raw("HTTP/1.1 200 OK\r\nx: "));
}

pub fn a_dripping_body_ends_with_the_deadline(transport: &Subject) {
    drips(transport, || Reply::raw("HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n"));
    drips(transport, || Reply::raw("HTTP/1.1 200 OK\r\n\r\n"));
}

fn drips(transport: &Subject, head: fn() -> Reply) {
    let pause = Duration::from_millis(20);
    let server = Server::start(move |_| head().then_drip([b'x'; 1000], pause));
    ends_in_time(transport, secret_post(&server), Sent::Maybe);
}

pub fn a_server_that_never_answers_ends_with_the_deadline(transport: &Subject) {
    let server = Server::start(|_| Reply::hang());
    ends_in_time(transport, secret_post(&server), Sent::Maybe);
    let server = Server::start(|_| Reply::raw("HTTP/1.1 200 OK\r\n").then_hang());
    ends_in_time(transport, secret_post(&server), Sent::Maybe);
}

pub fn a_deadline_may_be_zero_or_endless(transport: &Subject) {
    let server = Server::start(|_| Reply::ok("{}"));
    let response = transport.send(secret_post(&server), Duration::MAX);
    assert_eq!(response.expect("an endless deadline is one").status(), 200);

    let server = Server::start(|_| Reply::hang());
    let began = Instant::now();
    error(transport, secret_post(&server), Duration::ZERO);
    assert!(began.elapsed() < SLACK, "it took {:?}", began.elapsed());
}

pub fn nobody_listening_is_not_sent(transport: &Subject) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a port");
    let address = listener.local_addr().expect("it has an address");
    drop(listener);
    for scheme in ["http", "https"] {
        let request = secret_post_to(&format!("{scheme}://{address}/PLANTED"));
        let error = error(transport, request, PLENTY);
        assert_eq!(error.sent(), Sent::No);
        assert!(!error.is_config(), "it may listen later");
    }
}

pub fn an_unknown_name_is_not_sent(transport: &Subject) {
    // RFC 6761 section 6.4: no such name ever resolves.
    let request = secret_post_to("https://does-not-exist.invalid/PLANTED");
    let error = error(transport, request, PLENTY);
    assert_eq!(error.sent(), Sent::No);
    assert!(!error.is_config(), "it may resolve later");
}

pub fn a_reset_after_the_request_may_have_been_sent(transport: &Subject) {
    for reply in [
        Reply::reset(),
        Reply::raw("HTTP/1.1 200 OK\r\n").then_reset(),
        Reply::raw("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n{").then_reset(),
    ] {
        let server = Server::start(move |_| reply.clone());
        assert_eq!(error(transport, secret_post(&server), PLENTY).sent(), Sent::Maybe);
        assert_eq!(server.requests().len(), 1);
    }
}

pub fn a_closed_connection_may_have_been_sent(transport: &Subject) {
    let server = Server::start(|_| Reply::close());
    assert_eq!(error(transport, secret_post(&server), PLENTY).sent(), Sent::Maybe);
    let get = Request::get(server.url("/PLANTED")).body(SecretBytes::default());
    let get = get.expect("a valid request");
    assert_eq!(error(transport, get, PLENTY).sent(), Sent::Maybe);
}

pub fn half_a_response_may_have_been_sent(transport: &Subject) {
    for half in [
        "HTTP/1.1 200",
        "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n{\"PLANTED",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nab",
    ] {
        let server = Server::start(move |_| Reply::raw(half));
        assert_eq!(error(transport, secret_post(&server), PLENTY).sent(), Sent::Maybe, "{half:?}");
    }
}

pub fn a_response_that_is_no_http_may_have_been_sent(transport: &Subject) {
    for garbage in [
        "PLANTED\r\n\r\n",
        "SSH-2.0-PLANTED\r\n",
        "HTTP/1.1 abc PLANTED\r\n\r\n",
        "HTTP/1.1 200 OK\r\nPLANTED\u{1} header: x\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: PLANTED\r\n\r\n{}",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nPLANTED\r\n",
    ] {
        let server = Server::start(move |_| Reply::raw(garbage));
        // Some clients read past the one or the other.
        if let Err(error) = transport.send(secret_post(&server), PLENTY) {
            assert_eq!(error.sent(), Sent::Maybe, "{garbage:?}");
            assert_keeps_secrets(&error);
        }
    }
}

pub fn plain_http_leaves_the_machine_only_by_a_dangerous_call(transport: &Subject) {
    // The first is an address for documentation (RFC 5737), which nobody has.
    for url in [
        "http://192.0.2.1/PLANTED",
        "http://does-not-exist.invalid/PLANTED",
        "http://localhost.does-not-exist.invalid/PLANTED",
        "http://127.0.0.1.does-not-exist.invalid/PLANTED",
        "http://[2001:db8::1]/PLANTED",
        "http://0.0.0.0/PLANTED",
    ] {
        let began = Instant::now();
        let error = error(transport, secret_post_to(url), PLENTY);
        assert_eq!(error.sent(), Sent::No, "{url}");
        assert!(error.is_config(), "{url} was tried: {error:?}");
        assert!(began.elapsed() < SLACK, "{url} was tried");
    }
}

pub fn plain_http_reaches_every_name_of_this_machine(transport: &Subject) {
    let server = Server::start(|_| Reply::ok("{}"));
    for host in ["127.0.0.1", "localhost", "LOCALHOST"] {
        let url = format!("http://{host}:{}/", server.address().port());
        let response = transport.send(secret_post_to(&url), PLENTY);
        assert_eq!(response.expect("loopback needs no TLS").status(), 200, "{host}");
    }
    // Not every machine has the other loopback.
    if let Ok(server) = Server::start_at(Ipv6Addr::LOCALHOST.into(), |_| Reply::ok("{}")) {
        let response = transport.send(secret_post(&server), PLENTY);
        assert_eq!(response.expect("loopback needs no TLS").status(), 200);
    }
}

pub fn a_strange_address_is_refused(transport: &Subject) {
    let server = Server::start(|_| Reply::ok("{}"));
    let at = server.address();
    for url in [
        format!("ftp://{at}/PLANTED"),
        format!("http://PLANTED:PLANTED@{at}/"),
        format!("https://PLANTED@{at}/"),
        "/PLANTED".to_owned(),
        at.to_string(),
    ] {
        let error = error(transport, secret_post_to(&url), PLENTY);
        assert_eq!(error.sent(), Sent::No, "{url}");
        assert!(error.is_config(), "{url}");
    }
    assert_eq!(server.connections(), 0);
}

pub fn the_transport_prints_nothing_it_carried(transport: &Subject) {
    let server = Server::start(|_| Reply::status(200, &[("x-a", "PLANTED")], "PLANTED"));
    let response = transport.send(secret_post(&server), PLENTY).expect("an answer");
    let printed = format!("{transport:?} {transport:#?} {:?}", response.body());
    assert!(!printed.contains("PLANTED"), "{printed}");
}

/// A request with a secret in every part of it.
fn secret_post(server: &Server) -> Request<SecretBytes> {
    secret_post_to(&server.url("/PLANTED-PATH?q=PLANTED-QUERY"))
}

fn secret_post_to(url: &str) -> Request<SecretBytes> {
    Request::post(url)
        .header("API_KEY_ID", "PLANTED-KEY")
        .header("authorization", sensitive("Bearer PLANTED-TOKEN"))
        .header("content-type", "application/json")
        .body(SecretBytes::from(br#"{"refresh_token":"PLANTED-BODY"}"#.as_slice()))
        .expect("a valid request")
}

fn sensitive(value: &'static str) -> HeaderValue {
    let mut value = HeaderValue::from_static(value);
    value.set_sensitive(true);
    value
}

/// The error of a request that must fail, searched for secrets.
#[track_caller]
fn error(transport: &Subject, request: Request<SecretBytes>, timeout: Duration) -> TransportError {
    match transport.send(request, timeout) {
        Err(error) => {
            assert_keeps_secrets(&error);
            error
        }
        Ok(response) => panic!("an error was due, not {:?}", Response::status(&response)),
    }
}

#[track_caller]
fn ends_in_time(transport: &Subject, request: Request<SecretBytes>, sent: Sent) {
    let began = Instant::now();
    let error = error(transport, request, BRIEF);
    let elapsed = began.elapsed();
    assert!(elapsed < LATEST, "it ended after {elapsed:?}, not {BRIEF:?}");
    // A little is for clocks that count differently.
    assert!(elapsed > BRIEF / 2, "it ended after {elapsed:?}, not {BRIEF:?}: {error:?}");
    assert_eq!(error.sent(), sent, "{error:?}");
}

/// No secret, no URL, one line, in no link of the chain.
#[track_caller]
fn assert_keeps_secrets(error: &TransportError) {
    let mut link: Option<&dyn Error> = Some(error);
    while let Some(this) = link {
        for printed in [this.to_string(), format!("{this:?}"), format!("{this:#?}")] {
            assert!(!printed.to_ascii_uppercase().contains("PLANTED"), "a secret: {printed}");
            assert!(!printed.contains("://"), "a URL: {printed}");
        }
        link = this.source();
    }
    assert!(!error.to_string().contains('\n'), "{error}");
}
