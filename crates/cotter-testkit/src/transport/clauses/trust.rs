//! The clause about whom to trust; its server needs rustls, which is why it has a feature of its own.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::{Arc, Mutex, PoisonError};

use cotter_core::{SecretBytes, Sent};
use http::Request;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::{PLENTY, error, secret_post_to};
use crate::certificates;
use crate::transport::Subject;
use crate::wire::Server;

pub fn an_untrusted_certificate_gets_nothing(transport: &Subject) {
    let seen = Arc::<Mutex<Vec<u8>>>::default();
    let server = Server::start_raw({
        let seen = Arc::clone(&seen);
        move |stream| speak_tls(stream, &seen)
    });
    let url = format!("https://{}/PLANTED", server.address());
    let get = Request::get(&url).body(SecretBytes::default()).expect("a valid request");
    for request in [secret_post_to(&url), get] {
        assert_eq!(error(transport, request, PLENTY).sent(), Sent::No);
    }
    let seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
    assert!(seen.is_empty(), "it was told {} bytes", seen.len());
}

/// Speaks TLS under a certificate that nobody trusts, notes what it is told, and answers.
fn speak_tls(stream: &mut TcpStream, seen: &Mutex<Vec<u8>>) -> io::Result<()> {
    let certificate = CertificateDer::from_pem_slice(certificates::SERVER.as_bytes());
    let key = PrivateKeyDer::from_pem_slice(certificates::SERVER_KEY.as_bytes());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.map_err(io::Error::other)?],
            key.map_err(io::Error::other)?,
        )
        .map_err(io::Error::other)?;
    let connection = ServerConnection::new(Arc::new(config)).map_err(io::Error::other)?;
    let mut tls = StreamOwned::new(connection, stream.try_clone()?);
    let mut chunk = [0; 1024];
    let length = tls.read(&mut chunk)?;
    seen.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(&chunk[..length]);
    tls.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}")?;
    tls.flush()
}
