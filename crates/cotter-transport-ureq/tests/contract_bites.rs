//! Each clause of the transport contract fails on a transport that breaks it.
#![allow(clippy::unwrap_used, reason = "these are tests")]

use core::panic::AssertUnwindSafe;
use core::time::Duration;
use std::io::Read as _;
use std::panic::catch_unwind;
use std::sync::Mutex;

use cotter_core::{BlockingTransport, SecretBytes, Sent, TransportError};
use cotter_testkit::certificates;
use cotter_testkit::transport::{Subject, clauses};
use cotter_transport_ureq::Ureq;
use http::header::{HeaderMap, HeaderValue};
use http::{Request, Response, StatusCode, Uri};

type Clause = fn(&Subject);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bug {
    AllowsPlainHttp,
    AsksForCompression,
    ChangesBody,
    ClaimsMaybe,
    ClaimsNotSent,
    DropsHeaders,
    FollowsRedirects,
    IgnoresDeadline,
    KeepsCookies,
    LateDeadline,
    LosesLastByte,
    NoCap,
    NothingWorks,
    OneForAll,
    Panics,
    PrintsBody,
    PrintsUrl,
    RefusesLongBodies,
    RetriesErrors,
    RetriesStatuses,
    SendsNoLength,
    StatusIsError,
    TakesUserNames,
    TrustsAnybody,
}

/// A transport around a sound one.
struct Broken {
    sound: Ureq,
    bug: Bug,
    cookie: Mutex<Option<HeaderValue>>,
    printed: Mutex<String>,
    shared: Mutex<Option<Vec<u8>>>,
}

impl core::fmt::Debug for Broken {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(&self.printed.lock().unwrap())
    }
}

struct Parts {
    method: http::Method,
    uri: Uri,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Parts {
    fn request(&self) -> Request<SecretBytes> {
        let mut request = Request::new(SecretBytes::from(self.body.as_slice()));
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.uri.clone();
        *request.headers_mut() = self.headers.clone();
        request
    }
}

impl Broken {
    fn before(&self, parts: &mut Parts) {
        match self.bug {
            Bug::AsksForCompression => {
                parts.headers.insert("accept-encoding", HeaderValue::from_static("gzip"));
            }
            Bug::ChangesBody => parts.body.make_ascii_lowercase(),
            Bug::DropsHeaders => {
                parts.headers.remove("api_key_id");
            }
            Bug::KeepsCookies => {
                if let Some(cookie) = self.cookie.lock().unwrap().clone() {
                    parts.headers.insert("cookie", cookie);
                }
            }
            Bug::SendsNoLength if parts.body.is_empty() => {
                parts.method = http::Method::GET;
            }
            Bug::TakesUserNames => {
                let host = parts
                    .uri
                    .authority()
                    .map(|it| it.as_str().rsplit('@').next().unwrap().to_owned());
                if let Some(host) = host {
                    let path = parts.uri.path_and_query().map_or("/", |it| it.as_str());
                    let scheme = parts.uri.scheme_str().unwrap_or("http");
                    if let Ok(uri) = format!("{scheme}://{host}{path}").parse() {
                        parts.uri = uri;
                    }
                }
            }
            _ => {}
        }
    }

    fn after(&self, response: &mut Response<SecretBytes>) {
        match self.bug {
            Bug::LosesLastByte => {
                let body = response.body().expose();
                let body = SecretBytes::from(&body[..body.len().saturating_sub(1)]);
                *response.body_mut() = body;
            }
            Bug::KeepsCookies => {
                *self.cookie.lock().unwrap() = response.headers().get("set-cookie").cloned();
            }
            Bug::PrintsBody => {
                let body = String::from_utf8_lossy(response.body().expose()).into_owned();
                *self.printed.lock().unwrap() = body;
            }
            Bug::OneForAll => {
                let mut shared = self.shared.lock().unwrap();
                let body = shared.get_or_insert_with(|| response.body().expose().to_vec());
                *response.body_mut() = SecretBytes::from(body.as_slice());
            }
            _ => {}
        }
    }

    fn fail(&self, parts: &Parts, error: TransportError) -> TransportError {
        match self.bug {
            Bug::ClaimsMaybe => TransportError::maybe_sent("failed"),
            Bug::ClaimsNotSent => TransportError::not_sent("failed"),
            Bug::PrintsUrl => match error.sent() {
                Sent::No => TransportError::not_sent(parts.uri.to_string()),
                Sent::Maybe => TransportError::maybe_sent(parts.uri.to_string()),
            },
            _ => error,
        }
    }
}

impl BlockingTransport for Broken {
    fn send(
        &self,
        request: Request<SecretBytes>,
        timeout: Duration,
    ) -> Result<Response<SecretBytes>, TransportError> {
        let (head, body) = request.into_parts();
        let body = body.expose().to_vec();
        let mut parts = Parts { method: head.method, uri: head.uri, headers: head.headers, body };
        self.before(&mut parts);
        let timeout = match self.bug {
            Bug::IgnoresDeadline => Duration::from_secs(5),
            Bug::LateDeadline => timeout.saturating_mul(2),
            Bug::NoCap => return uncapped(parts, timeout),
            Bug::NothingWorks => return Err(TransportError::config("nothing works")),
            Bug::Panics if timeout.is_zero() || timeout == Duration::MAX => panic!("overflow"),
            _ => timeout,
        };
        let mut answer = self.sound.send(parts.request(), timeout);
        let again = match &answer {
            Err(_) => self.bug == Bug::RetriesErrors,
            Ok(answer) => {
                self.bug == Bug::RetriesStatuses
                    && (answer.status().is_server_error() || answer.status() == 429)
            }
        };
        if again {
            answer = self.sound.send(parts.request(), timeout);
        }
        let mut response = answer.map_err(|error| self.fail(&parts, error))?;
        if let (Bug::FollowsRedirects, true, Some(location)) =
            (self.bug, response.status().is_redirection(), response.headers().get("location"))
        {
            parts.uri = location.to_str().unwrap().parse().unwrap();
            response = self.sound.send(parts.request(), timeout)?;
        }
        if self.bug == Bug::StatusIsError && response.status() != StatusCode::OK {
            return Err(TransportError::maybe_sent("no success"));
        }
        if self.bug == Bug::RefusesLongBodies && response.body().len() > 60_000 {
            return Err(TransportError::maybe_sent("too long"));
        }
        self.after(&mut response);
        Ok(response)
    }
}

/// What the client makes of it by itself, whatever its length (but for the memory of this test).
fn uncapped(parts: Parts, timeout: Duration) -> Result<Response<SecretBytes>, TransportError> {
    let config = ureq::Agent::config_builder()
        .proxy(None)
        .timeout_global(Some(timeout))
        .max_response_header_size(usize::MAX)
        .build();
    let failed = |error: ureq::Error| TransportError::maybe_sent("failed").with_source(error);
    let request = parts.request().map(|body| body.expose().to_vec());
    let response = config.new_agent().run(request).map_err(failed)?;
    let (head, mut body) = response.into_parts();
    let mut bytes = Vec::new();
    let read = body.as_reader().take(8 << 20).read_to_end(&mut bytes);
    read.map_err(|error| TransportError::maybe_sent("broke off").with_source(error))?;
    Ok(Response::from_parts(head, SecretBytes::from(bytes)))
}

fn subject(bug: Bug) -> Subject {
    let builder = Ureq::builder().no_proxy().connect_timeout(Duration::from_secs(1));
    let builder = match bug {
        Bug::AllowsPlainHttp => builder.danger_allow_plain_http(),
        Bug::TrustsAnybody => builder.root_certificate_pem(certificates::AUTHORITY),
        _ => builder,
    };
    Subject::blocking(|| Broken {
        sound: builder.build().unwrap(),
        bug,
        cookie: Mutex::default(),
        printed: Mutex::default(),
        shared: Mutex::default(),
    })
}

const TABLE: &[(Bug, &[(&str, Clause)])] = &[
    (
        Bug::AllowsPlainHttp,
        &[("plain http", clauses::plain_http_leaves_the_machine_only_by_a_dangerous_call)],
    ),
    (Bug::AsksForCompression, &[("as given", clauses::a_request_arrives_as_it_was_given)]),
    (Bug::ChangesBody, &[("as given", clauses::a_request_arrives_as_it_was_given)]),
    (
        Bug::ClaimsMaybe,
        &[
            ("nobody", clauses::nobody_listening_is_not_sent),
            ("unknown name", clauses::an_unknown_name_is_not_sent),
            ("handshake", clauses::a_failed_tls_handshake_is_not_sent),
            (
                "stuck handshake",
                clauses::a_stuck_tls_handshake_ends_with_the_deadline_and_is_not_sent,
            ),
        ],
    ),
    (
        Bug::ClaimsNotSent,
        &[
            ("reset", clauses::a_reset_after_the_request_may_have_been_sent),
            ("closed", clauses::a_closed_connection_may_have_been_sent),
            ("half", clauses::half_a_response_may_have_been_sent),
            ("no http", clauses::a_response_that_is_no_http_may_have_been_sent),
            ("longer", clauses::a_longer_response_is_refused_after_it_was_sent),
            ("endless", clauses::an_endless_response_is_not_read_on),
            ("no answer", clauses::a_server_that_never_answers_ends_with_the_deadline),
            ("kept alive", clauses::a_kept_alive_connection_that_closes_causes_no_second_request),
        ],
    ),
    (Bug::DropsHeaders, &[("as given", clauses::a_request_arrives_as_it_was_given)]),
    (Bug::FollowsRedirects, &[("redirects", clauses::redirects_are_not_followed)]),
    (
        Bug::IgnoresDeadline,
        &[
            ("head", clauses::a_dripping_head_ends_with_the_deadline),
            ("body", clauses::a_dripping_body_ends_with_the_deadline),
            ("no answer", clauses::a_server_that_never_answers_ends_with_the_deadline),
            ("zero", clauses::a_deadline_may_be_zero_or_endless),
        ],
    ),
    (Bug::KeepsCookies, &[("cookies", clauses::cookies_are_not_kept)]),
    (
        Bug::LateDeadline,
        &[
            ("head", clauses::a_dripping_head_ends_with_the_deadline),
            ("body", clauses::a_dripping_body_ends_with_the_deadline),
            ("no answer", clauses::a_server_that_never_answers_ends_with_the_deadline),
        ],
    ),
    (
        Bug::LosesLastByte,
        &[
            ("comes back", clauses::a_response_comes_back_as_it_was_sent),
            ("chunked", clauses::a_chunked_response_comes_back_whole),
            ("compressed", clauses::a_compressed_response_is_not_opened),
            ("64 KiB", clauses::a_response_of_64_kib_is_read),
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
    (
        Bug::NothingWorks,
        &[
            ("no body", clauses::a_request_without_a_body_has_none),
            ("names", clauses::plain_http_reaches_every_name_of_this_machine),
            ("interim", clauses::interim_responses_are_passed_over),
        ],
    ),
    (Bug::OneForAll, &[("concurrent", clauses::concurrent_requests_get_their_own_answers)]),
    (Bug::Panics, &[("zero", clauses::a_deadline_may_be_zero_or_endless)]),
    (Bug::PrintsBody, &[("prints", clauses::the_transport_prints_nothing_it_carried)]),
    (
        Bug::PrintsUrl,
        &[
            ("nobody", clauses::nobody_listening_is_not_sent),
            ("closed", clauses::a_closed_connection_may_have_been_sent),
        ],
    ),
    (Bug::RefusesLongBodies, &[("64 KiB", clauses::a_response_of_64_kib_is_read)]),
    (
        Bug::RetriesErrors,
        &[
            ("broken", clauses::nothing_is_sent_twice_after_a_broken_connection),
            ("kept alive", clauses::a_kept_alive_connection_that_closes_causes_no_second_request),
            ("reset", clauses::a_reset_after_the_request_may_have_been_sent),
        ],
    ),
    (
        Bug::RetriesStatuses,
        &[("invited", clauses::nothing_is_sent_twice_after_an_answer_that_invites_it)],
    ),
    (Bug::SendsNoLength, &[("empty post", clauses::an_empty_post_is_sent)]),
    (Bug::StatusIsError, &[("status", clauses::every_status_is_an_answer)]),
    (Bug::TakesUserNames, &[("strange", clauses::a_strange_address_is_refused)]),
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

/// What this transport switches off does happen in the client that it is built on.
#[test]
fn rule_08_the_clients_own_defaults_break_the_contract() {
    let agent = ureq::Agent::config_builder().proxy(None).build().new_agent();
    let finished = Subject::blocking(|| Ureq::danger_from_agent(agent));
    let cookies = catch_unwind(AssertUnwindSafe(|| clauses::cookies_are_not_kept(&finished)));
    assert!(cookies.is_err(), "the cookies feature is not on, or does nothing");

    // What a finished agent cannot take away.
    clauses::redirects_are_not_followed(&finished);
    clauses::every_status_is_an_answer(&finished);
    clauses::a_kept_alive_connection_that_closes_causes_no_second_request(&finished);
    clauses::a_longer_response_is_refused_after_it_was_sent(&finished);
    clauses::a_dripping_body_ends_with_the_deadline(&finished);
    clauses::plain_http_leaves_the_machine_only_by_a_dangerous_call(&finished);
    clauses::nobody_listening_is_not_sent(&finished);
}
