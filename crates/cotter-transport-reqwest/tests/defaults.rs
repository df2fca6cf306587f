//! What this transport switches off does happen in the client that it is built on.
#![allow(clippy::unwrap_used, reason = "these are tests")]

use core::panic::AssertUnwindSafe;
use std::panic::catch_unwind;

use cotter_testkit::transport::{Subject, clauses};
use cotter_transport_reqwest::Reqwest;

#[test]
fn rule_08_the_clients_own_defaults_break_the_contract() {
    let finished = |client: reqwest::ClientBuilder| {
        let client = client.no_proxy().build().unwrap();
        Subject::asynchronous(|| Reqwest::danger_from_client(client))
    };
    let defaults = finished(reqwest::Client::builder().cookie_store(true));
    for (name, clause) in [
        ("redirects", clauses::redirects_are_not_followed as fn(&Subject)),
        ("cookies", clauses::cookies_are_not_kept),
        ("compression", clauses::a_compressed_response_is_not_opened),
    ] {
        let caught = catch_unwind(AssertUnwindSafe(|| clause(&defaults)));
        assert!(caught.is_err(), "{name}: the feature is not on, or the clause sees nothing");
    }

    // What a finished client cannot take away. (A kept connection that the server closes can take
    // any answer, which is why none is kept.)
    let defaults = finished(reqwest::Client::builder().pool_max_idle_per_host(0));
    clauses::every_status_is_an_answer(&defaults);
    clauses::a_longer_response_is_refused_after_it_was_sent(&defaults);
    clauses::a_dripping_body_ends_with_the_deadline(&defaults);
    clauses::plain_http_leaves_the_machine_only_by_a_dangerous_call(&defaults);
    clauses::nobody_listening_is_not_sent(&defaults);
}
