//! The clauses about responses that are long, or have no end.

use std::time::Instant;

use cotter_core::{MAX_RESPONSE, Sent};

use super::{PLENTY, error, secret_post};
use crate::transport::Subject;
use crate::wire::{Reply, Server};

pub fn a_response_of_64_kib_is_read(transport: &Subject) {
    let full = vec![b'x'; MAX_RESPONSE];
    let chunked = format!(
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{MAX_RESPONSE:x}\r\n{}\r\n0\r\n\r\n",
        "x".repeat(MAX_RESPONSE)
    );
    let until_close = format!("HTTP/1.1 200 OK\r\n\r\n{}", "x".repeat(MAX_RESPONSE));
    for reply in [Reply::ok(&full), Reply::raw(chunked), Reply::raw(until_close)] {
        let server = Server::start(move |_| reply.clone());
        let response = transport.send(secret_post(&server), PLENTY).expect("it just fits");
        assert_eq!(response.body().len(), MAX_RESPONSE);
    }
}

pub fn a_longer_response_is_refused_after_it_was_sent(transport: &Subject) {
    let length = MAX_RESPONSE + 1;
    let body = "PLANTED".repeat(length / 7 + 1)[..length].to_owned();
    let chunked = format!(
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{length:x}\r\n{body}\r\n0\r\n\r\n"
    );
    let until_close = format!("HTTP/1.1 200 OK\r\n\r\n{body}");
    for reply in [Reply::ok(&body), Reply::raw(chunked), Reply::raw(until_close)] {
        let server = Server::start(move |_| reply.clone());
        assert_eq!(error(transport, secret_post(&server), PLENTY).sent(), Sent::Maybe);
    }
}

pub fn a_head_of_32_kib_is_read(transport: &Subject) {
    let value = "x".repeat(4096);
    let names = ["x-1", "x-2", "x-3", "x-4", "x-5", "x-6", "x-7", "x-8"];
    let headers = names.map(|name| (name, value.clone()));
    let server = Server::start(move |_| {
        let headers = headers.each_ref().map(|(name, value)| (*name, value.as_str()));
        Reply::status(200, &headers, "{}")
    });
    let response = transport.send(secret_post(&server), PLENTY).expect("it fits");
    assert_eq!(response.headers()["x-8"].len(), 4096);
}

pub fn a_longer_head_is_refused_after_it_was_sent(transport: &Subject) {
    let line = |n: usize, length: usize| format!("x-{n}: {}\r\n", "x".repeat(length));
    let one = line(0, 70 * 1024);
    let many: String = (0..70).map(|n| line(n, 1024)).collect();
    let full = line(0, 65_000) + &many;
    for lines in [one, many, full] {
        let head = format!("HTTP/1.1 200 OK\r\n{lines}content-length: 2\r\n\r\n{{}}");
        let server = Server::start(move |_| Reply::raw(head.clone()));
        assert_eq!(error(transport, secret_post(&server), PLENTY).sent(), Sent::Maybe);
    }
}

pub fn an_endless_response_is_not_read_on(transport: &Subject) {
    let x = "x".repeat(4096);
    let line = format!("x-t: {x}\r\n");
    let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
    for (begin, again) in [
        ("HTTP/1.1 200 OK\r\n\r\n".to_owned(), x.clone()),
        ("HTTP/1.1 200 OK\r\ncontent-length: 1000000000000\r\n\r\n".to_owned(), x.clone()),
        ("HTTP/1.1 200 OK\r\nx-endless: ".to_owned(), x.clone()),
        ("HTTP/1.1 200 OK\r\n".to_owned(), line.clone()),
        (chunked.to_owned(), format!("1000\r\n{x}\r\n")),
        (format!("{chunked}1;"), x.clone()),
        (format!("{chunked}2\r\n{{}}\r\n0\r\n"), line),
        (format!("{chunked}2\r\n{{}}\r\n0\r\nx-t: "), x),
    ] {
        is_not_read_on(transport, &begin, &again);
    }
}

/// What stands between heads and bodies, without end. Not every client lets a transport see it, so
/// this clause is no part of [`transport_contract!`](crate::transport_contract): a transport that
/// counts all that comes over its connection runs it as a test of its own.
pub fn endless_framing_is_not_read_on(transport: &Subject) {
    let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
    let hint = format!("HTTP/1.1 103 Early Hints\r\nlink: {}\r\n\r\n", "x".repeat(4000));
    let go_on = "HTTP/1.1 100 Continue\r\n\r\n".repeat(100);
    for (begin, again) in [("", hint), ("", go_on), (chunked, "0".repeat(4096))] {
        is_not_read_on(transport, begin, &again);
    }
}

fn is_not_read_on(transport: &Subject, begin: &str, again: &str) {
    let reply = Reply::raw(begin).then_endless(again);
    let server = Server::start(move |_| reply.clone());
    let began = Instant::now();
    assert_eq!(error(transport, secret_post(&server), PLENTY).sent(), Sent::Maybe, "{begin:?}");
    assert!(began.elapsed() < PLENTY / 2, "it read until the deadline: {begin:?}");
    // What was not read fills the buffers of two sockets.
    let written = server.written();
    assert!(written < 64 * 1024 * 1024, "it read {written} bytes: {begin:?}");
}
