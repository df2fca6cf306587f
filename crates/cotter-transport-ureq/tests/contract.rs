//! The transport contract, with ureq's cookies on.
#![allow(clippy::unwrap_used, reason = "these are tests")]

use cotter_transport_ureq::Ureq;

cotter_testkit::transport_contract!(blocking rule_08_at_most_one_request_on_the_wire, || Ureq::builder().no_proxy().build().unwrap());
