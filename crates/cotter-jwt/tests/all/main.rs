//! What the crate promises, seen from outside.

#![cfg(feature = "aws_lc_rs")]

mod attacks;
mod cached;
mod remote;
mod signed;
mod support;
mod vectors;
mod wycheproof;
