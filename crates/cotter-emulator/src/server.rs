//! The listener, its thread and the connections.

use core::fmt;
use core::future::Future;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use core::pin::pin;
use std::io;
use std::net::{TcpListener as StdListener, ToSocketAddrs as _};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::Instant;

use core::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::header::{DATE, HeaderValue};
use axum::http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::oneshot;

use crate::config::Config;
use crate::endpoints;
use crate::log::{Log, Writer};
use crate::reply::{Abort, in_shape};
use crate::state::App;

/// A server on a thread of its own; it ends when this goes.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) app: Arc<App>,
    pub(crate) runtime: tokio::runtime::Handle,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
    _writer: Option<Writer>,
}

impl Server {
    pub(crate) fn start(config: Config) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel();
        let (ready, started) = mpsc::channel();
        let (log, writer) = config.log.then(Log::start).transpose()?.unzip();
        let thread =
            std::thread::Builder::new().name("cotter-emulator".into()).spawn(move || {
                runtime.block_on(async move {
                    let bound = bind(&config.listen).and_then(|l| Ok((l.local_addr()?, l)));
                    let (address, listener) = match bound {
                        Ok(bound) => bound,
                        Err(error) => return drop(ready.send(Err(error))),
                    };
                    let app = Arc::new(App::new(config, origin(address)));
                    let router = endpoints::router(Arc::clone(&app));
                    if ready.send(Ok(Arc::clone(&app))).is_ok() {
                        accept(listener, &app, &router, log.as_ref(), stopped).await;
                    }
                });
            })?;
        let app = started.recv().map_err(io::Error::other)??;
        Ok(Self { app, runtime: handle, stop: Some(stop), thread: Some(thread), _writer: writer })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic of the server has been printed already.
            let _ = thread.join();
        }
    }
}

fn bind(listen: &str) -> io::Result<TcpListener> {
    let address: SocketAddr = listen
        .to_socket_addrs()?
        .next()
        .ok_or_else(|| io::Error::other(format!("{listen} is no address")))?;
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    if address.port() != 0 {
        socket.set_reuseaddr(true)?;
    }
    socket.bind(address)?;
    // Thousands may knock at once.
    let listener: StdListener = socket.listen(16_384)?.into_std()?;
    TcpListener::from_std(listener)
}

/// Where to reach it: who listens everywhere is reached on loopback, too.
fn origin(mut address: SocketAddr) -> String {
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    format!("http://{address}")
}

async fn accept(
    listener: TcpListener,
    app: &Arc<App>,
    router: &Router,
    log: Option<&Log>,
    stopped: oneshot::Receiver<()>,
) {
    let mut stopped = pin!(stopped);
    loop {
        let next = core::future::poll_fn(|cx| {
            use core::task::Poll;
            if stopped.as_mut().poll(cx).is_ready() {
                return Poll::Ready(None);
            }
            listener.poll_accept(cx).map(Some)
        });
        match next.await {
            None => return,
            Some(Ok((stream, _))) => {
                app.core().counters.connections += 1;
                tokio::spawn(serve(stream, Arc::clone(app), router.clone(), log.cloned()));
            }
            // Out of descriptors, most likely: some may come free.
            Some(Err(_)) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    }
}

async fn serve(stream: TcpStream, app: Arc<App>, router: Router, log: Option<Log>) {
    // Without it the server still works, only slower.
    let _ = stream.set_nodelay(true);
    let routes = TowerToHyperService::new(router);
    let service = service_fn(move |request: Request<Incoming>| {
        let (routes, app, log) = (routes.clone(), Arc::clone(&app), log.clone());
        async move {
            let begun = Instant::now();
            // The query may name a person: it is not logged.
            let line =
                log.map(|log| (log, format!("{} {}", request.method(), request.uri().path())));
            let Ok(response) = routes.call(request).await;
            let response = finish(response, &app);
            if let Some((log, line)) = line {
                let status = response.as_ref().map_or(0, |r| r.status().as_u16());
                let ms = begun.elapsed().as_secs_f64() * 1000.0;
                log.line(&format!("{line} {status} {ms:.1}ms"));
            }
            response
        }
    });
    let mut connection = http1::Builder::new();
    connection.timer(TokioTimer::new()).half_close(false);
    // A connection that breaks, on either side, is nothing to report.
    let _ = connection.serve_connection(TokioIo::new(stream), service).await;
}

fn finish(response: Response<Body>, app: &App) -> Result<Response<Body>, Aborted> {
    let mut response = in_shape(response);
    if response.extensions().get::<Abort>().is_some() {
        return Err(Aborted);
    }
    if let Ok(date) = HeaderValue::from_str(&app.core().clock.http_date()) {
        response.headers_mut().insert(DATE, date);
    }
    Ok(response)
}

/// A response that a fault keeps back: the connection closes instead.
#[derive(Clone, Copy, Debug)]
struct Aborted;

impl fmt::Display for Aborted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a fault closed the connection")
    }
}

impl core::error::Error for Aborted {}
