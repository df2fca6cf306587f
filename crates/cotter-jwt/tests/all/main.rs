//! What the crate promises, seen from outside.

#![cfg(feature = "aws_lc_rs")]
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests too")]

mod attacks;
mod cached;
mod remote;
mod signed;
mod support;
mod vectors;
mod wycheproof;
