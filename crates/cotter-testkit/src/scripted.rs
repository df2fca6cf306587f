//! A transport that answers from a script.

use core::fmt;
use core::time::Duration;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

#[cfg(feature = "async")]
use async_trait::async_trait;
#[cfg(feature = "async")]
use cotter_core::Transport;
use cotter_core::{BlockingTransport, SecretBytes, TransportError};
use http::{HeaderMap, Method, Request, Response, Uri};

use crate::gate::Gate;

type Answer = Result<Response<SecretBytes>, TransportError>;
type Answerer = Box<dyn FnMut(&Recorded) -> Answer + Send>;

/// A request that the transport was asked to send.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Recorded {
    /// The method.
    pub method: Method,
    /// The address.
    pub uri: Uri,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, in the clear: this is for tests.
    pub body: Vec<u8>,
    /// How long the request was given.
    pub timeout: Duration,
}

impl Recorded {
    /// The body as text, where it is some.
    #[must_use]
    pub fn text(&self) -> &str {
        core::str::from_utf8(&self.body).unwrap_or("(not UTF-8)")
    }
}

/// A transport in both worlds that sends nothing and answers from a script; a clone is another
/// handle to the same script.
///
/// A request for which the script has no answer gets a `Config` error.
///
/// ```
/// use core::time::Duration;
/// use cotter_core::{BlockingTransport, SecretBytes, Sent};
/// use cotter_testkit::ScriptedTransport;
/// use http::Request;
///
/// let transport = ScriptedTransport::new();
/// transport.lost();
/// transport.reply(200, r#"{"access_token":"a"}"#);
///
/// let send = || {
///     let request = Request::post("https://auth.example/token");
///     let request = request.body(SecretBytes::from(b"grant".as_slice())).unwrap();
///     BlockingTransport::send(&transport, request, Duration::from_secs(10))
/// };
/// assert_eq!(send().unwrap_err().sent(), Sent::Maybe);
/// assert_eq!(send().unwrap().status(), 200);
/// assert_eq!(transport.requests()[1].text(), "grant");
/// ```
#[derive(Clone, Default)]
pub struct ScriptedTransport(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    script: VecDeque<Entry>,
    before_next: Option<Gate>,
    otherwise: Option<Arc<Mutex<Answerer>>>,
    requests: Vec<Recorded>,
}

struct Entry {
    gate: Option<Gate>,
    answer: Answerer,
}

impl ScriptedTransport {
    /// A transport with an empty script.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Then: an answer with this status and JSON body.
    ///
    /// # Panics
    /// If `status` is no HTTP status.
    pub fn reply(&self, status: u16, body: impl AsRef<[u8]>) {
        let response = Response::builder()
            .status(status)
            .header("content-type", "application/json")
            .body(SecretBytes::from(body.as_ref()))
            .expect("the status is valid");
        self.reply_with(response);
    }

    /// Then: this answer.
    pub fn reply_with(&self, response: Response<SecretBytes>) {
        let mut response = Some(response);
        // Called once: an entry leaves the script with its request.
        self.answer(move |_| Ok(response.take().expect("an answer is given once")));
    }

    /// Then: the connection is refused.
    pub fn not_sent(&self) {
        self.answer(|_| Err(TransportError::not_sent("the connection was refused, as planned")));
    }

    /// Then: the request is sent and its answer lost.
    pub fn lost(&self) {
        self.answer(|_| Err(TransportError::maybe_sent("the connection was reset, as planned")));
    }

    /// Then: what `answer` says to the request.
    pub fn answer(&self, answer: impl FnMut(&Recorded) -> Answer + Send + 'static) {
        let mut state = self.state();
        let gate = state.before_next.take();
        state.script.push_back(Entry { gate, answer: Box::new(answer) });
    }

    /// The reply that is scripted next is given when `gate` opens, whatever time the request has.
    pub fn hang_until(&self, gate: &Gate) {
        self.state().before_next = Some(gate.clone());
    }

    /// Whenever the script is empty: what `answer` says to the request.
    pub fn otherwise(&self, answer: impl FnMut(&Recorded) -> Answer + Send + 'static) {
        self.state().otherwise = Some(Arc::new(Mutex::new(Box::new(answer))));
    }

    /// All requests so far, in order.
    #[must_use]
    pub fn requests(&self) -> Vec<Recorded> {
        self.state().requests.clone()
    }

    /// How many requests there were so far.
    #[must_use]
    pub fn count(&self) -> usize {
        self.state().requests.len()
    }

    /// How many scripted answers nobody has asked for.
    #[must_use]
    pub fn remaining(&self) -> usize {
        self.state().script.len()
    }

    fn begin(&self, request: Request<SecretBytes>, timeout: Duration) -> (Recorded, Option<Entry>) {
        let (parts, body) = request.into_parts();
        let recorded = Recorded {
            method: parts.method,
            uri: parts.uri,
            headers: parts.headers,
            body: body.expose().to_vec(),
            timeout,
        };
        let mut state = self.state();
        state.requests.push(recorded.clone());
        (recorded, state.script.pop_front())
    }

    fn finish(&self, recorded: &Recorded, entry: Option<Entry>) -> Answer {
        if let Some(mut entry) = entry {
            return (entry.answer)(recorded);
        }
        // A lock of its own, so that the answerer may look at this transport.
        let Some(otherwise) = self.state().otherwise.clone() else {
            return Err(TransportError::config("the script has no answer to this request"));
        };
        let mut otherwise = otherwise.lock().unwrap_or_else(PoisonError::into_inner);
        otherwise(recorded)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for ScriptedTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScriptedTransport")
            .field("requests", &self.count())
            .field("remaining", &self.remaining())
            .finish()
    }
}

impl BlockingTransport for ScriptedTransport {
    fn send(&self, request: Request<SecretBytes>, timeout: Duration) -> Answer {
        let (recorded, entry) = self.begin(request, timeout);
        if let Some(gate) = entry.as_ref().and_then(|entry| entry.gate.as_ref()) {
            gate.pass();
        }
        self.finish(&recorded, entry)
    }
}

#[cfg(feature = "async")]
#[async_trait]
impl Transport for ScriptedTransport {
    async fn send(&self, request: Request<SecretBytes>, timeout: Duration) -> Answer {
        let (recorded, entry) = self.begin(request, timeout);
        // Cloned, because the answerer is not `Sync` and must not be borrowed across the wait.
        if let Some(gate) = entry.as_ref().and_then(|entry| entry.gate.clone()) {
            gate.pass_async().await;
        }
        self.finish(&recorded, entry)
    }
}
