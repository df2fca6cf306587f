//! The store contract, on keyrings with and without a limit.
#![allow(clippy::unwrap_used, reason = "it is a test")]

mod common;

use common::{Fake, store};

cotter_testkit::store_contract!(blocking unlimited, || store(&Fake::default()));
cotter_testkit::store_contract!(blocking windows, || store(&Fake::limited(2560)));
