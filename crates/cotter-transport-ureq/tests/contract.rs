//! The transport contract, with ureq's cookies on.
#![allow(clippy::unwrap_used, reason = "these are tests")]

use cotter_transport_ureq::Ureq;

cotter_testkit::transport_contract!(blocking plain, || Ureq::builder().no_proxy().build().unwrap());
