//! The transport contract, with every feature of reqwest on that could break it.

use cotter_transport_reqwest::Reqwest;

cotter_testkit::transport_contract!(async plain, || Reqwest::builder().no_proxy().build().unwrap());
