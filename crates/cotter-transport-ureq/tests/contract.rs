//! The transport contract, with ureq's cookies on.
#![allow(clippy::unwrap_used, reason = "these are tests")]

use cotter_transport_ureq::Ureq;

cotter_testkit::transport_contract!(blocking rule_08_at_most_one_request_on_the_wire, || Ureq::builder().no_proxy().build().unwrap());

#[test]
fn what_stands_between_head_and_body_has_an_end_too() {
    let transport = Ureq::builder().no_proxy().build().unwrap();
    let subject = cotter_testkit::transport::Subject::blocking(|| transport);
    cotter_testkit::transport::clauses::endless_framing_is_not_read_on(&subject);
}

#[test]
fn rule_08_an_untrusted_certificate_gets_nothing() {
    let transport = Ureq::builder().no_proxy().build().unwrap();
    let subject = cotter_testkit::transport::Subject::blocking(|| transport);
    cotter_testkit::transport::clauses::an_untrusted_certificate_gets_nothing(&subject);
}
