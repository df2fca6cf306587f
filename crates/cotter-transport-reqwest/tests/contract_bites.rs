//! The clauses about time, trust and length fail on a transport that breaks them. (That the others
//! do is shown beside the blocking transport.)
#![allow(clippy::unwrap_used, reason = "these are tests")]

use core::panic::AssertUnwindSafe;
use core::time::Duration;
use std::panic::catch_unwind;

use async_trait::async_trait;
use cotter_core::{SecretBytes, Transport, TransportError};
use cotter_testkit::certificates;
use cotter_testkit::transport::{Subject, clauses};
use cotter_transport_reqwest::Reqwest;
use http::{Request, Response};

type Clause = fn(&Subject);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bug {
    LateDeadline,
    NoCap,
    TrustsAnybody,
}

/// A transport around a sound one.
#[derive(Debug)]
struct Broken {
    sound: Reqwest,
    bug: Bug,
}

#[async_trait]
impl Transport for Broken {
    async fn send(
        &self,
        request: Request<SecretBytes>,
        timeout: Duration,
    ) -> Result<Response<SecretBytes>, TransportError> {
        match self.bug {
            Bug::LateDeadline => self.sound.send(request, timeout.saturating_mul(2)).await,
            Bug::NoCap => uncapped(request, timeout).await.map_err(|error| {
                TransportError::maybe_sent("failed").with_source(error.without_url())
            }),
            Bug::TrustsAnybody => self.sound.send(request, timeout).await,
        }
    }
}

/// What the client makes of it by itself, whatever its length (but for the memory of this test).
async fn uncapped(
    request: Request<SecretBytes>,
    timeout: Duration,
) -> Result<Response<SecretBytes>, reqwest::Error> {
    let client = reqwest::Client::builder().no_proxy().timeout(timeout).build()?;
    let request = request.map(|body| body.expose().to_vec()).try_into()?;
    let mut response = client.execute(request).await?;
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        bytes.extend_from_slice(&chunk);
        if bytes.len() > 8 << 20 {
            break;
        }
    }
    let mut answer = Response::new(SecretBytes::from(bytes));
    *answer.status_mut() = response.status();
    Ok(answer)
}

fn subject(bug: Bug) -> Subject {
    let builder = Reqwest::builder().no_proxy();
    let builder = match bug {
        Bug::TrustsAnybody => builder.root_certificate_pem(certificates::AUTHORITY),
        _ => builder,
    };
    Subject::asynchronous(|| Broken { sound: builder.build().unwrap(), bug })
}

const TABLE: &[(Bug, &[(&str, Clause)])] = &[
    (
        Bug::LateDeadline,
        &[
            ("head", clauses::a_dripping_head_ends_with_the_deadline),
            ("body", clauses::a_dripping_body_ends_with_the_deadline),
            ("no answer", clauses::a_server_that_never_answers_ends_with_the_deadline),
        ],
    ),
    (
        Bug::NoCap,
        &[
            ("longer", clauses::a_longer_response_is_refused_after_it_was_sent),
            ("head", clauses::a_longer_head_is_refused_after_it_was_sent),
            ("endless", clauses::an_endless_response_is_not_read_on),
        ],
    ),
    (Bug::TrustsAnybody, &[("untrusted", clauses::an_untrusted_certificate_gets_nothing)]),
];

#[test]
fn every_broken_transport_is_caught() {
    // At once, since many wait for a deadline.
    std::thread::scope(|scope| {
        for (bug, caught_by) in TABLE {
            for (name, clause) in *caught_by {
                scope.spawn(move || {
                    let broken = catch_unwind(AssertUnwindSafe(|| clause(&subject(*bug))));
                    assert!(broken.is_err(), "{name} does not see {bug:?}");
                });
            }
        }
    });
}
