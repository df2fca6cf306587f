//! What the crate promises, seen from outside.

#![cfg(any(feature = "aws_lc_rs", feature = "rust_crypto"))]
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests too")]

mod attacks;
mod cached;
mod keyless;
mod keys;
mod remote;
mod signed;
mod support;
mod vectors;
mod wycheproof;
