//! A server on loopback that answers byte by byte, and badly where the test wants that.

use core::fmt;
use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use core::time::Duration;
use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

/// No connection of a test lives longer without a byte.
const IDLE: Duration = Duration::from_secs(60);

/// One request as it came over the wire.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct WireRequest {
    /// Which connection it came on, counted from 0.
    pub connection: usize,
    /// The method.
    pub method: String,
    /// What stands between method and version: path and query.
    pub target: String,
    /// The headers in their order, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl WireRequest {
    /// The value of the header that has this lower-case name; `None` where it is not there.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(there, _)| there == name).map(|(_, value)| value.as_str())
    }
}

/// What the server does when a request has come in whole.
#[derive(Clone, Debug)]
pub struct Reply(Vec<Act>);

#[derive(Clone, Debug)]
enum Act {
    Drip(Vec<u8>, Duration),
    Endless(Vec<u8>),
    Hang,
    KeepAlive,
    Reset,
    Write(Vec<u8>),
}

impl Reply {
    /// Answers 200 with this body, and closes.
    #[must_use]
    pub fn ok(body: impl AsRef<[u8]>) -> Self {
        Self::status(200, &[], body)
    }

    /// Answers with this status, these headers beside `content-length`, and this body, and closes.
    #[must_use]
    pub fn status(status: u16, headers: &[(&str, &str)], body: impl AsRef<[u8]>) -> Self {
        let body = body.as_ref();
        let mut bytes = format!("HTTP/1.1 {status} Planned\r\n").into_bytes();
        for (name, value) in headers {
            bytes.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
        }
        if status != 204 && status != 304 {
            bytes.extend_from_slice(format!("content-length: {}\r\n", body.len()).as_bytes());
        }
        bytes.extend_from_slice(b"\r\n");
        bytes.extend_from_slice(body);
        Self::raw(bytes)
    }

    /// Writes these bytes, and closes.
    #[must_use]
    pub fn raw(bytes: impl Into<Vec<u8>>) -> Self {
        Self(vec![Act::Write(bytes.into())])
    }

    /// Closes without a word.
    #[must_use]
    pub const fn close() -> Self {
        Self(Vec::new())
    }

    /// Resets the connection; only requests with a body can be answered so.
    #[must_use]
    pub fn reset() -> Self {
        Self(vec![Act::Reset])
    }

    /// Says nothing until the client goes.
    #[must_use]
    pub fn hang() -> Self {
        Self(vec![Act::Hang])
    }

    /// Then writes one byte of `bytes` every `pause`.
    #[must_use]
    pub fn then_drip(mut self, bytes: impl Into<Vec<u8>>, pause: Duration) -> Self {
        self.0.push(Act::Drip(bytes.into(), pause));
        self
    }

    /// Then writes `chunk` again and again until the client goes.
    #[must_use]
    pub fn then_endless(mut self, chunk: impl Into<Vec<u8>>) -> Self {
        self.0.push(Act::Endless(chunk.into()));
        self
    }

    /// Then says nothing more until the client goes.
    #[must_use]
    pub fn then_hang(mut self) -> Self {
        self.0.push(Act::Hang);
        self
    }

    /// Then awaits another request on the same connection.
    #[must_use]
    pub fn then_keep_alive(mut self) -> Self {
        self.0.push(Act::KeepAlive);
        self
    }

    /// Then resets the connection; only requests with a body can be answered so.
    #[must_use]
    pub fn then_reset(mut self) -> Self {
        self.0.push(Act::Reset);
        self
    }
}

/// A server that answers as told, counts what arrives, and ends when it is dropped.
///
/// It speaks just enough HTTP/1.1 to read a request with a `content-length` or none.
///
/// ```
/// use std::io::{Read, Write};
/// use cotter_testkit::wire::{Reply, Server};
///
/// let server = Server::start(|request| Reply::ok(format!("you asked for {}", request.target)));
/// let mut client = std::net::TcpStream::connect(server.address())?;
/// client.write_all(b"GET /tea HTTP/1.1\r\nhost: here\r\n\r\n")?;
///
/// let mut answer = String::new();
/// client.read_to_string(&mut answer)?;
/// assert!(answer.ends_with("you asked for /tea"));
/// assert_eq!((server.connections(), server.requests().len()), (1, 1));
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct Server {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    over: AtomicBool,
    connections: AtomicUsize,
    written: AtomicUsize,
    requests: Mutex<Vec<WireRequest>>,
    open: Mutex<HashMap<usize, TcpStream>>,
}

type Talk = dyn Fn(&Shared, &mut TcpStream, usize) -> io::Result<()> + Send + Sync;

impl Server {
    /// A server at 127.0.0.1 that answers each request as `answer` says.
    ///
    /// # Panics
    /// If loopback has no port to give.
    pub fn start(answer: impl Fn(&WireRequest) -> Reply + Send + Sync + 'static) -> Self {
        Self::start_at(Ipv4Addr::LOCALHOST.into(), answer).expect("loopback has a port")
    }

    /// [`start`](Self::start) at another address of this machine.
    ///
    /// # Errors
    /// If this machine has no such address.
    pub fn start_at(
        address: IpAddr,
        answer: impl Fn(&WireRequest) -> Reply + Send + Sync + 'static,
    ) -> io::Result<Self> {
        Self::listen(address, Arc::new(move |shared, stream, n| serve(shared, stream, n, &answer)))
    }

    /// A server at 127.0.0.1 that speaks no HTTP: `talk` has each connection to itself.
    ///
    /// # Panics
    /// If loopback has no port to give.
    pub fn start_raw(
        talk: impl Fn(&mut TcpStream) -> io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        Self::listen(Ipv4Addr::LOCALHOST.into(), Arc::new(move |_, stream, _| talk(stream)))
            .expect("loopback has a port")
    }

    fn listen(address: IpAddr, talk: Arc<Talk>) -> io::Result<Self> {
        let listener = TcpListener::bind((address, 0))?;
        let address = listener.local_addr()?;
        let shared = Arc::<Shared>::default();
        let accepting = std::thread::spawn({
            let shared = Arc::clone(&shared);
            move || accept(&listener, &shared, &talk)
        });
        Ok(Self { address, shared, accepting: Some(accepting) })
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its address as a plain-http URL, with this path and query.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// How many connections came so far.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// How many bytes were written so far.
    #[must_use]
    pub fn written(&self) -> usize {
        self.shared.written.load(Ordering::SeqCst)
    }

    /// The requests that came in whole so far.
    #[must_use]
    pub fn requests(&self) -> Vec<WireRequest> {
        lock(&self.shared.requests).clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::SeqCst);
        for stream in lock(&self.shared.open).values() {
            let _ = stream.shutdown(Shutdown::Both);
        }
        // One last connection, for the listener to see that it is over.
        let _ = TcpStream::connect(self.address);
        if let Some(accepting) = self.accepting.take() {
            let _ = accepting.join();
        }
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("address", &self.address).finish_non_exhaustive()
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>, talk: &Arc<Talk>) {
    while let Ok((mut stream, _)) = listener.accept() {
        if shared.over.load(Ordering::SeqCst) {
            return;
        }
        let n = shared.connections.fetch_add(1, Ordering::SeqCst);
        let (shared, talk) = (Arc::clone(shared), Arc::clone(talk));
        std::thread::spawn(move || {
            let _ = stream.set_nodelay(true);
            let _ = stream.set_read_timeout(Some(IDLE));
            if let Ok(other) = stream.try_clone() {
                lock(&shared.open).insert(n, other);
            }
            let _ = talk(&shared, &mut stream, n);
            // The last handle, so that dropping the stream closes it.
            lock(&shared.open).remove(&n);
        });
    }
}

fn serve(
    shared: &Shared,
    stream: &mut TcpStream,
    connection: usize,
    answer: &dyn Fn(&WireRequest) -> Reply,
) -> io::Result<()> {
    'requests: while let Some(request) = read_request(stream, connection)? {
        lock(&shared.requests).push(request.clone());
        let reply = answer(&request);
        if let Some(Act::Reset) = reply.0.first() {
            // Closing while bytes are unread resets; the last one of the body still is.
            return Ok(());
        }
        let reset = matches!(reply.0.last(), Some(Act::Reset));
        if !request.body.is_empty() && !reset {
            stream.read_exact(&mut [0])?;
        }
        for act in reply.0 {
            match act {
                Act::Write(bytes) => write(shared, stream, &bytes)?,
                Act::Drip(bytes, pause) => {
                    for byte in bytes {
                        std::thread::sleep(pause);
                        write(shared, stream, &[byte])?;
                    }
                }
                Act::Endless(chunk) => loop {
                    write(shared, stream, &chunk)?;
                },
                Act::Hang => while stream.read(&mut [0; 1024])? > 0 {},
                Act::KeepAlive => continue 'requests,
                Act::Reset => {}
            }
        }
        return Ok(());
    }
    Ok(())
}

fn write(shared: &Shared, stream: &mut TcpStream, bytes: &[u8]) -> io::Result<()> {
    stream.write_all(bytes)?;
    shared.written.fetch_add(bytes.len(), Ordering::SeqCst);
    Ok(())
}

/// Reads one request, but for the last byte of its body, which is looked at and left.
fn read_request(stream: &mut TcpStream, connection: usize) -> io::Result<Option<WireRequest>> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        if stream.read(&mut byte)? == 0 {
            return Ok(None);
        }
        head.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&head);
    let mut lines = head.trim_end().lines();
    let mut first = lines.next().unwrap_or_default().split(' ').map(str::to_owned);
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let mut request = WireRequest {
        connection,
        method: first.next().unwrap_or_default(),
        target: first.next().unwrap_or_default(),
        headers,
        body: Vec::new(),
    };
    let length = request.header("content-length").and_then(|value| value.parse().ok());
    if let Some(length @ 1..) = length {
        request.body = vec![0; length];
        stream.read_exact(&mut request.body[..length - 1])?;
        if stream.peek(&mut request.body[length - 1..])? == 0 {
            return Ok(None);
        }
    }
    Ok(Some(request))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
