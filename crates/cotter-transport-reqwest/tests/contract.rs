//! The transport contract, with every feature of reqwest on that could break it.
#![allow(clippy::unwrap_used, reason = "these are tests")]

use cotter_transport_reqwest::Reqwest;

cotter_testkit::transport_contract!(async rule_08_at_most_one_request_on_the_wire, || Reqwest::builder().no_proxy().build().unwrap());

#[test]
fn rule_08_an_untrusted_certificate_gets_nothing() {
    let make = || Reqwest::builder().no_proxy().build().unwrap();
    let subject = cotter_testkit::transport::Subject::asynchronous(make);
    cotter_testkit::transport::clauses::an_untrusted_certificate_gets_nothing(&subject);
}
