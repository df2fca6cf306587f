//! What the crate promises, against a transport that a test controls.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests too")]

mod outage;
mod remote;
mod support;
