//! The clauses about TLS that need no TLS on the server's side.

use std::io::{Read as _, Write as _};

use cotter_core::Sent;

use super::{PLENTY, ends_in_time, error, secret_post_to};
use crate::transport::Subject;
use crate::wire::Server;

pub fn a_failed_tls_handshake_is_not_sent(transport: &Subject) {
    let garbage = Server::start_raw(|stream| {
        stream.read_exact(&mut [0; 16])?;
        stream.write_all(b"HTTP/1.1 400 This is no TLS\r\n\r\n")
    });
    let hello = Server::start_raw(|stream| {
        // A fatal alert, handshake_failure (RFC 8446 section 6).
        stream.read_exact(&mut [0; 5])?;
        stream.write_all(&[21, 3, 3, 0, 2, 2, 40])
    });
    let gone = Server::start_raw(|_| Ok(()));
    for server in [garbage, hello, gone] {
        let request = secret_post_to(&format!("https://{}/PLANTED", server.address()));
        assert_eq!(error(transport, request, PLENTY).sent(), Sent::No);
        assert_eq!(server.connections(), 1);
    }
}

pub fn a_stuck_tls_handshake_ends_with_the_deadline_and_is_not_sent(transport: &Subject) {
    let server = Server::start_raw(|stream| {
        while stream.read(&mut [0; 1024])? > 0 {}
        Ok(())
    });
    let request = secret_post_to(&format!("https://{}/PLANTED", server.address()));
    ends_in_time(transport, request, Sent::No);
}
