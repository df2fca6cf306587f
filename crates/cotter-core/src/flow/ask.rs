//! One call of Cotter's API: sent once, never retried.

use http::Response;

use super::{Context, done};
use crate::error::Error;
use crate::secret::SecretBytes;
use crate::step::{Ask, Send, Step};
use crate::time::Now;
use crate::transport::{Sent, TransportError};
use crate::wire::api::{self, Call};
use crate::wire::json::Object;

/// Sends `call` within the budget of one exchange, and gives `read` the object it is answered with.
pub(super) fn ask<T: 'static>(
    cx: &Context,
    call: Call,
    now: Now,
    read: impl FnOnce(Now, Result<Object<'_>, Error>) -> Result<T, Error> + core::marker::Send + 'static,
) -> Step<Result<T, Error>> {
    let Call { request, what, spends, nullable, secrets } = call;
    let not_after = now.boot.saturating_add(cx.policy.send_budget);
    let send = Send { request, not_after };
    let then = move |now, reply: Result<Response<SecretBytes>, TransportError>| {
        done(match reply {
            Ok(response) => read(now, api::read(&response, what, spends, nullable, &secrets)),
            Err(error) => read(now, Err(lost(error, what, spends))),
        })
    };
    Step::Send(Ask::new(send, then))
}

fn lost(error: TransportError, what: &str, spends: bool) -> Error {
    let failure = if error.is_config() {
        Error::config("the request was not sent")
    } else if error.sent() == Sent::No {
        Error::unavailable("the server cannot be reached", None, false)
    } else {
        let message =
            alloc::format!("the answer of the server was lost; what became of {what} is not known");
        Error::unavailable(message, None, spends)
    };
    failure.with_transport(error)
}
