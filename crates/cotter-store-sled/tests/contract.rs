//! The store contract, on a new folder for every clause.
#![allow(clippy::unwrap_used, reason = "it is a test")]

mod common;

use common::open_in_new_folder;

cotter_testkit::store_contract!(blocking sled, open_in_new_folder);
