//! What can go wrong, by name.

use core::time::Duration;

use serde::{Deserialize, Serialize};

/// Fault names with what each does; every one may be queued for any of the paths.
pub const FAULTS: &[(&str, &str)] = &[
    ("delay", "wait `ms` before processing (after_commit: before answering)"),
    ("drop", "close the connection without an answer (after_commit: a lost rotation)"),
    ("half", "send half of the body, then close"),
    ("drip", "send the body in small pieces, one every `ms` (100)"),
    ("status", "answer `status` (500), with `retry_after`, `location`, `msg`, `body`"),
    ("500", "status 500"),
    ("503", "status 503"),
    ("429", "status 429 with Retry-After: 1 (or `retry_after`)"),
    ("408", "status 408"),
    ("redirect", "status 302 to `location` (a page of this server)"),
    ("reject", "the rejection of a refresh token; `status` (400, 401, 403), `body`"),
    ("html", "200 with a page, as of a captive portal"),
    ("empty", "200 with an empty body"),
    ("null", "200 with JSON null"),
    ("array", "200 with a JSON array"),
    ("no-access-token", "the set lacks access_token"),
    ("no-id-token", "the set lacks id_token"),
    ("no-refresh-token", "the set lacks refresh_token"),
    ("null-refresh-token", "refresh_token is null"),
    ("empty-refresh-token", "refresh_token is an empty string"),
    ("string-expires-in", "expires_in is a string"),
    ("huge-expires-in", "expires_in is the largest 64-bit number"),
    ("negative-expires-in", "expires_in is -1"),
    ("expires-in-mismatch", "expires_in is twice exp - iat, and one more"),
    ("no-expires-in", "the set lacks expires_in"),
    ("extra-members", "the set has members nobody knows"),
    ("numeric-auth-time", "auth_time is a number"),
    ("array-aud", "aud is an array with the API key id"),
    ("wrong-aud", "aud is another project's"),
    ("wrong-iss", "iss is another server's"),
    ("extra-claims", "claims nobody knows, of every JSON type"),
    ("no-exp", "exp is missing"),
    ("expired", "exp has passed already"),
    ("not-a-jwt", "the access token is no JWT"),
    ("alg-none", "alg is none and the signature is empty"),
    ("bad-signature", "a signature by no key of the JWKS"),
    ("unknown-kid", "kid is in no JWKS"),
    ("other-sub", "sub is another user's"),
    ("user-prefix-sub", "sub begins with USER:"),
    ("oversized", "`bytes` (70000: over 64 KiB) of padding in the body"),
    ("oversized-1m", "over 1 MiB of padding in the body"),
    ("gzip-lie", "Content-Encoding: gzip over plain text"),
    ("set-cookie", "a Set-Cookie header"),
];

/// Paths a fault may be limited to.
pub(crate) const PATHS: &[&str] = &[
    "refresh",
    "delete",
    "jwks",
    "verify",
    "user",
    "methods",
    "login",
    "get_identity",
    "event",
    "any",
];

/// Most bytes of padding that a fault may ask for: 64 MiB.
const MAX_PADDING: usize = 64 << 20;

/// One thing to go wrong, for the next `count` requests of a path.
///
/// Several may be queued: a request meets the first in the queue that is for its path.
///
/// Without [`after_commit`](Self::after_commit) the server's state stays as it was. Where the
/// answer to a refresh still is a token set, its `refresh_token` is the one that was presented, or,
/// within a grace, the one of the kept answer; without rotation there is none. Other answers show
/// what would have been, with ids and tokens that the server doesn't know. `delay` is the
/// exception: it only takes time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    #[serde(default)]
    pub(crate) name: String,
    #[serde(default = "one")]
    pub(crate) count: u64,
    #[serde(default)]
    pub(crate) after_commit: bool,
    #[serde(default = "refresh")]
    pub(crate) path: String,
    #[serde(default)]
    pub(crate) ms: Option<u64>,
    #[serde(default)]
    pub(crate) status: Option<u16>,
    #[serde(default)]
    pub(crate) retry_after: Option<u64>,
    #[serde(default)]
    pub(crate) location: Option<String>,
    #[serde(default)]
    pub(crate) msg: Option<String>,
    #[serde(default)]
    pub(crate) body: Option<String>,
    #[serde(default)]
    pub(crate) bytes: Option<usize>,
}

const fn one() -> u64 {
    1
}

fn refresh() -> String {
    "refresh".into()
}

impl Fault {
    /// A fault of that name (see [`FAULTS`]), for one refresh.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            count: 1,
            after_commit: false,
            path: refresh(),
            ms: None,
            status: None,
            retry_after: None,
            location: None,
            msg: None,
            body: None,
            bytes: None,
        }
    }

    /// An answer of that status, 200 to 599.
    #[must_use]
    pub fn status(status: u16) -> Self {
        Self { status: Some(status), ..Self::new("status") }
    }

    /// A wait before processing, or, [`after_commit`](Self::after_commit), before answering.
    #[must_use]
    pub fn delay(wait: Duration) -> Self {
        Self::new("delay").ms(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX))
    }

    /// A refresh that rotates and whose answer is lost.
    #[must_use]
    pub fn lost_rotation() -> Self {
        Self::new("drop").after_commit()
    }

    /// A rejection of that status; `body` as [`body`](Self::body) has it.
    #[must_use]
    pub fn reject(status: u16) -> Self {
        Self { status: Some(status), ..Self::new("reject") }
    }

    /// How many requests meet it; 0 takes queued faults of this name away.
    #[must_use]
    pub const fn count(mut self, count: u64) -> Self {
        self.count = count;
        self
    }

    /// The request is processed first: it rotates, then things go wrong.
    #[must_use]
    pub const fn after_commit(mut self) -> Self {
        self.after_commit = true;
        self
    }

    /// Which requests: `refresh` (unless told), `delete`, `jwks`, `verify`, `user`, `methods`,
    /// `login`, `get_identity`, `event` or `any`.
    #[must_use]
    pub fn path(mut self, path: impl Into<String>) -> Self {
        self.path = path.into();
        self
    }

    /// Milliseconds, where the fault is about time.
    #[must_use]
    pub const fn ms(mut self, ms: u64) -> Self {
        self.ms = Some(ms);
        self
    }

    /// The `Retry-After` header, in seconds.
    #[must_use]
    pub const fn retry_after(mut self, seconds: u64) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    /// The `Location` header.
    #[must_use]
    pub fn location(mut self, url: impl Into<String>) -> Self {
        self.location = Some(url.into());
        self
    }

    /// `msg` of the error body.
    #[must_use]
    pub fn msg(mut self, msg: impl Into<String>) -> Self {
        self.msg = Some(msg.into());
        self
    }

    /// The body: `json` (unless told), `empty`, `html`, `null`, `array`, or any other text as is.
    #[must_use]
    pub fn body(mut self, body: impl Into<String>) -> Self {
        self.body = Some(body.into());
        self
    }

    /// How many bytes of padding, at most 64 MiB.
    #[must_use]
    pub const fn bytes(mut self, bytes: usize) -> Self {
        self.bytes = Some(bytes);
        self
    }

    /// The fault with its names as the tables have them, or what is wrong with it.
    pub(crate) fn checked(mut self) -> Result<Self, String> {
        self.name = self.name.to_ascii_lowercase().replace('_', "-");
        self.path = self.path.replace('-', "_");
        if !PATHS.contains(&self.path.as_str()) {
            return Err(format!("no path {:?}; there are: {}", self.path, PATHS.join(", ")));
        }
        if self.bytes.is_some_and(|bytes| bytes > MAX_PADDING) {
            return Err(format!("bytes must be at most {MAX_PADDING}"));
        }
        if self.status.is_some_and(|status| !(200..600).contains(&status)) {
            return Err("status must be 200 to 599".into());
        }
        let clears_all = self.count == 0 && matches!(self.name.as_str(), "" | "all");
        if clears_all || FAULTS.iter().any(|(name, _)| *name == self.name) {
            return Ok(self);
        }
        let names: Vec<&str> = FAULTS.iter().map(|(name, _)| *name).collect();
        Err(format!("no fault {:?}; there are: {}", self.name, names.join(", ")))
    }
}

/// The faults to come.
#[derive(Debug, Default)]
pub(crate) struct Queue(Vec<Fault>);

impl Queue {
    /// Queues a checked fault, or takes away what it names if its count is 0.
    pub(crate) fn push(&mut self, fault: Fault) {
        if fault.count > 0 {
            self.0.push(fault);
        } else {
            let all = matches!(fault.name.as_str(), "" | "all");
            self.0.retain(|queued| !all && queued.name != fault.name);
        }
    }

    /// The fault that a request of `path` meets.
    pub(crate) fn take(&mut self, path: &str) -> Option<Fault> {
        let at = self.0.iter().position(|fault| fault.path == path || fault.path == "any")?;
        self.0[at].count -= 1;
        if self.0[at].count == 0 { Some(self.0.remove(at)) } else { Some(self.0[at].clone()) }
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    pub(crate) fn list(&self) -> &[Fault] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::{Fault, Queue};

    #[test]
    fn queue_serves_in_order_and_by_path() {
        let mut queue = Queue::default();
        queue.push(Fault::new("drop").count(2));
        queue.push(Fault::new("html").path("jwks"));
        queue.push(Fault::new("half"));
        let mut next = |path| queue.take(path).map(|fault| fault.name);
        assert_eq!(next("jwks").as_deref(), Some("html"));
        assert_eq!(next("refresh").as_deref(), Some("drop"));
        assert_eq!(next("refresh").as_deref(), Some("drop"));
        assert_eq!(next("refresh").as_deref(), Some("half"));
        assert_eq!(next("refresh"), None);
    }

    #[test]
    fn none_takes_away() {
        let mut queue = Queue::default();
        queue.push(Fault::new("drop").count(9));
        queue.push(Fault::new("half"));
        queue.push(Fault::new("drop").count(0));
        assert_eq!(queue.list().len(), 1);
        queue.push(Fault::new("all").count(0));
        assert!(queue.list().is_empty());
    }

    #[test]
    fn unknown_names_are_told() {
        assert!(Fault::new("no_such").checked().unwrap_err().contains("drop"));
        assert!(Fault::new("drop").path("moon").checked().unwrap_err().contains("jwks"));
        assert_eq!(Fault::new("No_Exp").checked().expect("known").name, "no-exp");
    }

    #[test]
    fn what_no_answer_can_carry_is_refused() {
        for fault in [
            Fault::status(101),
            Fault::status(199),
            Fault::reject(600),
            Fault::new("oversized").bytes((64 << 20) + 1),
            Fault::new("oversized").bytes(usize::MAX),
        ] {
            assert!(fault.clone().checked().is_err(), "{fault:?}");
        }
        for fault in
            [Fault::status(200), Fault::status(599), Fault::new("oversized").bytes(64 << 20)]
        {
            assert!(fault.clone().checked().is_ok(), "{fault:?}");
        }
    }
}
