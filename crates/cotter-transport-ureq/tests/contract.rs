//! The transport contract, with ureq's cookies on.

use cotter_transport_ureq::Ureq;

cotter_testkit::transport_contract!(blocking plain, || Ureq::builder().no_proxy().build().unwrap());
