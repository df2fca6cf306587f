//! The transport contract, as tests.

pub mod clauses;

use core::fmt;
use core::time::Duration;
use std::sync::Arc;

#[cfg(feature = "async")]
use cotter_core::Transport;
use cotter_core::{BlockingTransport, SecretBytes, TransportError};
use http::{Request, Response};

/// Makes a module of tests, one for each clause of the transport contract.
///
/// The word before the name says which world is tested, the expression makes the transport: a
/// closure for both worlds (`async` runs it and the sending on tokio). It must be made without a
/// proxy and without any call named `danger`. The tests need loopback and nothing else.
///
/// With the feature `tls` there is one clause more, to be called by hand, since its server brings rustls
/// into the tests' tree: `clauses::an_untrusted_certificate_gets_nothing`.
///
/// ```
/// # struct Ureq; impl Ureq { fn new() -> Ureq { Ureq } }
/// # macro_rules! transport_contract { ($($t:tt)*) => {} }
/// transport_contract!(blocking ureq, Ureq::new);
/// ```
#[macro_export]
macro_rules! transport_contract {
    (blocking $name:ident, $make:expr) => {
        $crate::transport_contract!(@module $name, blocking, $make);
    };
    (async $name:ident, $make:expr) => {
        $crate::transport_contract!(@module $name, asynchronous, $make);
    };
    (@module $name:ident, $world:ident, $make:expr) => {
        mod $name {
            #[allow(unused_imports, reason = "the maker may need nothing from here")]
            use super::*;

            $crate::transport_contract!(@clauses $world, $make;
                a_request_arrives_as_it_was_given
                a_request_without_a_body_has_none
                an_empty_post_is_sent
                a_response_comes_back_as_it_was_sent
                a_chunked_response_comes_back_whole
                every_status_is_an_answer
                interim_responses_are_passed_over
                redirects_are_not_followed
                cookies_are_not_kept
                nothing_is_sent_twice_after_an_answer_that_invites_it
                nothing_is_sent_twice_after_a_broken_connection
                a_kept_alive_connection_that_closes_causes_no_second_request
                concurrent_requests_get_their_own_answers
                a_compressed_response_is_not_opened
                a_response_of_64_kib_is_read
                a_longer_response_is_refused_after_it_was_sent
                a_head_of_32_kib_is_read
                a_longer_head_is_refused_after_it_was_sent
                an_endless_response_is_not_read_on
                a_dripping_head_ends_with_the_deadline
                a_dripping_body_ends_with_the_deadline
                a_server_that_never_answers_ends_with_the_deadline
                a_deadline_may_be_zero_or_endless
                nobody_listening_is_not_sent
                an_unknown_name_is_not_sent
                a_failed_tls_handshake_is_not_sent
                a_stuck_tls_handshake_ends_with_the_deadline_and_is_not_sent
                a_reset_after_the_request_may_have_been_sent
                a_closed_connection_may_have_been_sent
                half_a_response_may_have_been_sent
                a_response_that_is_no_http_may_have_been_sent
                plain_http_leaves_the_machine_only_by_a_dangerous_call
                plain_http_reaches_every_name_of_this_machine
                a_strange_address_is_refused
                the_transport_prints_nothing_it_carried
            );
        }
    };
    (@clauses $world:ident, $make:expr; $($clause:ident)*) => {
        $(
            #[test]
            fn $clause() {
                $crate::transport::clauses::$clause(
                    &$crate::transport::Subject::$world($make),
                );
            }
        )*
    };
}

/// The transport under test, asked from a thread in either world.
pub struct Subject(World);

enum World {
    Blocking(Arc<dyn BlockingTransport>),
    #[cfg(feature = "async")]
    Async(Arc<dyn Transport>, tokio::runtime::Runtime),
}

impl Subject {
    /// A blocking transport.
    pub fn blocking<T: BlockingTransport + 'static>(make: impl FnOnce() -> T) -> Self {
        Self(World::Blocking(Arc::new(make())))
    }

    /// An async transport, made and asked on a tokio runtime of its own.
    ///
    /// # Panics
    /// If no runtime can be made.
    #[cfg(feature = "async")]
    pub fn asynchronous<T: Transport + 'static>(make: impl FnOnce() -> T) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.expect("a runtime can be made");
        let transport = runtime.block_on(async { make() });
        Self(World::Async(Arc::new(transport), runtime))
    }

    fn send(
        &self,
        request: Request<SecretBytes>,
        timeout: Duration,
    ) -> Result<Response<SecretBytes>, TransportError> {
        match &self.0 {
            World::Blocking(transport) => transport.send(request, timeout),
            #[cfg(feature = "async")]
            World::Async(transport, runtime) => runtime.block_on(transport.send(request, timeout)),
        }
    }
}

impl fmt::Debug for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            World::Blocking(transport) => transport.fmt(f),
            #[cfg(feature = "async")]
            World::Async(transport, _) => transport.fmt(f),
        }
    }
}
