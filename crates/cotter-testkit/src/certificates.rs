//! Certificates for TLS servers on loopback.
//!
//! Their keys are public, so trust them nowhere but in tests. They hold from 2020 to 2120.

/// The authority that signed [`SERVER`], in PEM. Its key was thrown away.
pub const AUTHORITY: &str = include_str!("certificates/authority.pem");

/// A server's certificate for `auth.example` and `127.0.0.1`, in PEM.
pub const SERVER: &str = include_str!("certificates/server.pem");

/// The key of [`SERVER`], in PEM (PKCS #8).
pub const SERVER_KEY: &str = include_str!("certificates/server.key.pem");
