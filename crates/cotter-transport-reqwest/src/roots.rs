//! Whom to trust: certificates that are named, or the system's.

use std::{env, fs};

use cotter_core::Error;
use reqwest::Certificate;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

/// The roots of trust, from these PEM texts, else from the environment; none means the system's.
pub(crate) fn roots(given: &[Vec<u8>]) -> Result<Vec<Certificate>, Error> {
    let chosen = chosen(given)?.unwrap_or_default();
    let unusable = |_| Error::config("a certificate is unusable");
    chosen.iter().map(|it| Certificate::from_der(it).map_err(unusable)).collect()
}

/// Certificates in place of the system's; `None` where the system's verifier finds its own.
fn chosen(given: &[Vec<u8>]) -> Result<Option<Vec<CertificateDer<'static>>>, Error> {
    if !given.is_empty() {
        let unusable = || Error::config("the PEM text is broken, or has no usable certificate");
        let mut all = Vec::new();
        for pem in given {
            let (usable, other) = certificates(pem);
            if usable.is_empty() || other > 0 {
                return Err(unusable());
            }
            all.extend(usable);
        }
        return Ok(Some(all));
    }
    let Some(path) = env::var_os("SSL_CERT_FILE") else { return Ok(None) };
    if path.is_empty() {
        return Ok(by_hand());
    }
    let pem = fs::read(path).map_err(|error| {
        Error::config("the file that SSL_CERT_FILE names cannot be read").with_source(error)
    })?;
    // A file for every program on a machine may have one that this program cannot use.
    let (usable, _) = certificates(&pem);
    if usable.is_empty() {
        return Err(Error::config("the file that SSL_CERT_FILE names has no usable certificate"));
    }
    Ok(Some(usable))
}

/// The certificates that can be trusted, and the number of those that can't.
fn certificates(pem: &[u8]) -> (Vec<CertificateDer<'static>>, usize) {
    let mut store = RootCertStore::empty();
    let (mut usable, mut other) = (Vec::new(), 0);
    for certificate in CertificateDer::pem_slice_iter(pem) {
        match certificate {
            Ok(certificate) if store.add(certificate.clone()).is_ok() => usable.push(certificate),
            _ => other += 1,
        }
    }
    (usable, other)
}

/// The system's certificates where the variable is empty, which counts as unset: a verifier that
/// goes by the variable itself would look for a file without a name.
fn by_hand() -> Option<Vec<CertificateDer<'static>>> {
    #[cfg(all(unix, not(target_vendor = "apple"), not(target_os = "android")))]
    if env::var_os("SSL_CERT_DIR").is_none_or(|folder| folder.is_empty()) {
        let (usable, _) = certificates(&fs::read(openssl_probe::probe().cert_file?).ok()?);
        return Some(usable).filter(|usable| !usable.is_empty());
    }
    None
}
