//! The agent as a value: how it is set up, and one visit after another.

use core::fmt;
use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;
use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use cotter_core::login::{Landing, PendingLogin};
use cotter_core::{Error, ErrorKind};

use crate::connection::Connection;
use crate::desk::{Door, Outcome};
use crate::ports::Ports;

/// How long a person may take unless told otherwise.
const DEADLINE: Duration = Duration::from_secs(300);

/// How often the sockets are looked at.
pub(crate) const TICK: Duration = Duration::from_millis(15);

/// How many connections are kept at once; the slowest one makes room.
const MOST: usize = 64;

/// After the login has come back: how long other tabs are answered, and the longest goodbye.
const LINGER: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(2));

type Tell = Arc<dyn Fn(&Notice<'_>) + Send + Sync>;
type Open = Arc<dyn Fn(&str) -> io::Result<()> + Send + Sync>;

/// What a person should be told.
#[derive(Debug)]
#[non_exhaustive]
pub enum Notice<'a> {
    /// The link to open. It belongs to this login alone.
    Link(&'a str),
    /// No browser could be opened; the link has to be opened by hand.
    NoBrowser(&'a io::Error),
    /// What was pasted is no address of this login.
    NotThisLogin,
}

impl fmt::Display for Notice<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Link(link) => write!(f, "open this link to sign in: {link}"),
            Self::NoBrowser(why) => write!(
                f,
                "no browser could be opened ({why}); open the link by hand, on another machine if \
                 need be, and paste the address that it ends at"
            ),
            Self::NotThisLogin => f.write_str(
                "that is not where this login ends; paste the whole address of the last page",
            ),
        }
    }
}

/// A listener on this machine that a login page sends the browser back to.
///
/// Bound once, it can serve one login after another, one at a time. It is a
/// [`BlockingUserAgent`](cotter_core::login::BlockingUserAgent), and on tokio (feature `async`) a
/// [`UserAgent`](cotter_core::login::UserAgent).
pub struct Loopback {
    pub(crate) redirect_url: String,
    ports: Ports,
    door: Door,
    deadline: Duration,
    tell: Option<Tell>,
    open: Option<Open>,
    pasted: Mutex<VecDeque<String>>,
    cancelled: Arc<AtomicBool>,
    busy: AtomicBool,
}

impl fmt::Debug for Loopback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Loopback").field("redirect_url", &self.redirect_url).finish_non_exhaustive()
    }
}

/// Puts a [`Loopback`] together.
#[must_use]
pub struct Builder {
    port: Option<u16>,
    localhost: bool,
    path: String,
    deadline: Duration,
    tell: Option<Tell>,
    open: Option<Open>,
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder").field("port", &self.port).finish_non_exhaustive()
    }
}

impl Builder {
    /// This port, for a project with a list of allowed redirect URLs; the system chooses without.
    pub const fn port(mut self, port: u16) -> Self {
        self.port = Some(port);
        self
    }

    /// Comes back to `localhost` instead of `127.0.0.1`: some lists of allowed URLs want that.
    pub const fn localhost(mut self) -> Self {
        self.localhost = true;
        self
    }

    /// The path to come back to; `/` without.
    pub fn path(mut self, path: &str) -> Self {
        path.clone_into(&mut self.path);
        self
    }

    /// How long the person may take; five minutes without.
    pub const fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Who tells the person what to do; the link above all.
    pub fn tell(mut self, tell: impl Fn(&Notice<'_>) + Send + Sync + 'static) -> Self {
        self.tell = Some(Arc::new(tell));
        self
    }

    /// Opens links by another means than the system's browser. It is called on a thread of its own.
    pub fn opener(mut self, open: impl Fn(&str) -> io::Result<()> + Send + Sync + 'static) -> Self {
        self.open = Some(Arc::new(open));
        self
    }

    /// Opens nothing: the person gets the [link](Notice::Link).
    pub fn no_browser(mut self) -> Self {
        self.open = None;
        self
    }

    /// Listens from now on.
    ///
    /// # Errors
    /// `Config` if the port is taken or the path is none.
    pub fn bind(self) -> Result<Loopback, Error> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte);
        if !self.path.starts_with('/') || !self.path.bytes().all(plain) {
            return Err(Error::config("the path to come back to is no plain path"));
        }
        let ports = Ports::bind(self.port).map_err(|error| {
            let message = match self.port {
                Some(port) => format!("port {port} of this machine cannot be listened on"),
                None => "no port of this machine can be listened on".to_owned(),
            };
            Error::config(message).with_source(error)
        })?;
        let host = if self.localhost { "localhost" } else { "127.0.0.1" };
        Ok(Loopback {
            redirect_url: format!("http://{host}:{}{}", ports.port, self.path),
            door: Door { path: self.path, port: ports.port },
            ports,
            deadline: self.deadline,
            tell: self.tell,
            open: self.open,
            pasted: Mutex::default(),
            cancelled: Arc::default(),
            busy: AtomicBool::new(false),
        })
    }
}

impl Loopback {
    /// Begins to put one together.
    pub fn builder() -> Builder {
        Builder {
            port: None,
            localhost: false,
            path: "/".to_owned(),
            deadline: DEADLINE,
            tell: None,
            #[cfg(feature = "browser")]
            open: Some(Arc::new(crate::agent::open_browser)),
            #[cfg(not(feature = "browser"))]
            open: None,
        }
    }

    /// The port it listens on.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.ports.port
    }

    /// Whether it listens on ::1 as well as on 127.0.0.1; some machines have no IPv6.
    #[must_use]
    pub const fn listens_on_ipv6(&self) -> bool {
        self.ports.has_v6
    }

    /// Takes the address that a browser on another machine ended at, as its person pasted it.
    pub fn paste(&self, address: &str) {
        let mut pasted = self.pasted.lock().unwrap_or_else(PoisonError::into_inner);
        if pasted.len() < MOST {
            pasted.push_back(address.trim().to_owned());
        }
    }

    /// Gives the visit under way up, from anywhere.
    #[must_use]
    pub fn canceller(&self) -> Canceller {
        Canceller(Arc::clone(&self.cancelled))
    }

    /// Begins a visit: the link is told, and opened where there is a browser.
    pub(crate) fn begin<'a>(&'a self, login: &'a PendingLogin) -> Result<Visit<'a>, Error> {
        if self.busy.swap(true, Ordering::AcqRel) {
            return Err(Error::config("this listener has a login under way already"));
        }
        let now = Instant::now();
        let visit = Visit {
            agent: self,
            login,
            connections: Vec::new(),
            outcome: None,
            until: now + self.deadline,
            landed: None,
        };
        if let Some(tell) = &self.tell {
            tell(&Notice::Link(login.url()));
        }
        if let Some(open) = &self.open {
            let (open, tell, url) = (Arc::clone(open), self.tell.clone(), login.url().to_owned());
            // Without a thread there is no browser, and the person has the link.
            let _ = std::thread::Builder::new().spawn(move || {
                if let (Err(error), Some(tell)) = (open(&url), tell) {
                    tell(&Notice::NoBrowser(&error));
                }
            });
        }
        Ok(visit)
    }
}

/// Gives a visit up; for a button, a signal, another thread.
#[derive(Clone, Debug)]
pub struct Canceller(Arc<AtomicBool>);

impl Canceller {
    /// The visit under way ends with `Denied`, and so does every later one of this listener.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Release);
    }
}

/// One login on its way: whoever drives it calls [`turn`](Self::turn) until it has ended.
pub(crate) struct Visit<'a> {
    agent: &'a Loopback,
    login: &'a PendingLogin,
    connections: Vec<Connection>,
    outcome: Option<Outcome>,
    until: Instant,
    landed: Option<Instant>,
}

impl Drop for Visit<'_> {
    fn drop(&mut self) {
        self.agent.busy.store(false, Ordering::Release);
    }
}

impl Visit<'_> {
    /// Looks at everything once; gives the outcome when the browser has its page.
    pub(crate) fn turn(&mut self) -> Option<Outcome> {
        let now = Instant::now();
        self.take_pasted(now);
        for stream in self.agent.ports.accept() {
            self.make_room();
            self.connections.push(Connection::new(stream, now));
        }
        let Self { agent, login, connections, outcome, landed, .. } = self;
        for connection in connections.iter_mut() {
            connection.turn(now, |request| {
                let (page, found) = agent.door.judge(login, request);
                if outcome.is_none() && found.is_some() {
                    *outcome = found;
                    *landed = Some(now);
                }
                let head = matches!(
                    request,
                    crate::request::Read::Request { method: crate::request::Method::Head, .. }
                );
                page.answer(!head)
            });
        }
        self.connections.retain(|connection| !connection.is_over());
        match self.landed {
            Some(landed) => self.farewell(now.duration_since(landed)),
            None if self.agent.cancelled.load(Ordering::Acquire) => {
                Some(Err(Error::new(ErrorKind::Denied, "the login was given up")))
            }
            None if now >= self.until => Some(Err(Error::unavailable(
                "nobody came back from the login page in time",
                None,
                false,
            ))),
            None => None,
        }
    }

    /// The outcome, once those who are here have been answered and other tabs had their chance.
    fn farewell(&mut self, since: Duration) -> Option<Outcome> {
        let told = self.connections.iter().all(Connection::is_told);
        let over = (told && since >= LINGER.0) || since >= LINGER.1;
        if over { self.outcome.take() } else { None }
    }

    fn take_pasted(&mut self, now: Instant) {
        let pasted = self.agent.pasted.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        let Some(address) = pasted.filter(|_| self.outcome.is_none()) else { return };
        match self.login.take(&address) {
            Landing::Code(code) => self.outcome = Some(Ok(code)),
            Landing::Failed(error) => self.outcome = Some(Err(error)),
            Landing::Foreign => {
                if let Some(tell) = &self.agent.tell {
                    tell(&Notice::NotThisLogin);
                }
                return;
            }
        }
        self.landed = Some(now);
    }

    /// The one that has said nothing whole for longest goes.
    fn make_room(&mut self) {
        if self.connections.len() >= MOST {
            let oldest = self.connections.iter().position(Connection::is_waiting).unwrap_or(0);
            self.connections.remove(oldest);
        }
    }
}
