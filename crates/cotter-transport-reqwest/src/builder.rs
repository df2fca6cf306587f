//! The settings of a transport.

use core::fmt;
use core::time::Duration;
use std::env;

use cotter_core::{Error, PlainHttp};
use reqwest::redirect::Policy;
use reqwest::{Client, ClientBuilder, NoProxy, Proxy};

use crate::Reqwest;
use crate::roots::roots;

/// Builds a [`Reqwest`].
///
/// ```
/// use core::time::Duration;
/// use cotter_transport_reqwest::Reqwest;
///
/// let transport = Reqwest::builder()
///     .connect_timeout(Duration::from_secs(2))
///     .user_agent("tea/1.0")
///     .no_proxy()
///     .build()?;
/// # Ok::<(), cotter_core::Error>(())
/// ```
#[must_use]
pub struct Builder {
    connect_timeout: Duration,
    user_agent: String,
    proxy: ProxyChoice,
    roots: Vec<Vec<u8>>,
    plain_http: PlainHttp,
}

enum ProxyChoice {
    Environment,
    Given(String),
    None,
}

impl Builder {
    pub(crate) fn new() -> Self {
        Self {
            connect_timeout: Duration::from_secs(5),
            user_agent: concat!("cotter/", env!("CARGO_PKG_VERSION")).to_owned(),
            proxy: ProxyChoice::Environment,
            roots: Vec::new(),
            plain_http: PlainHttp::Loopback,
        }
    }

    /// How long resolving the name, connecting and the TLS handshake may take, 5 seconds if not
    /// said; the deadline of the whole request holds beside it.
    pub const fn connect_timeout(mut self, span: Duration) -> Self {
        self.connect_timeout = span;
        self
    }

    /// What requests without a `user-agent` of their own carry, `cotter/` and a version by default.
    pub fn user_agent(mut self, name: impl Into<String>) -> Self {
        self.user_agent = name.into();
        self
    }

    /// Sends https through this proxy, `http://name:port`; requests to this machine itself go
    /// straight.
    pub fn proxy(mut self, url: impl Into<String>) -> Self {
        self.proxy = ProxyChoice::Given(url.into());
        self
    }

    /// Sends https through the proxy that `HTTPS_PROXY` or `ALL_PROXY` names, but for what
    /// `NO_PROXY` excepts; this is the default.
    pub fn proxy_from_env(mut self) -> Self {
        self.proxy = ProxyChoice::Environment;
        self
    }

    /// Uses no proxy.
    pub fn no_proxy(mut self) -> Self {
        self.proxy = ProxyChoice::None;
        self
    }

    /// Trusts the certificates in this PEM text and, where this is called again, in those; the
    /// system's no more.
    pub fn root_certificate_pem(mut self, pem: impl AsRef<[u8]>) -> Self {
        self.roots.push(pem.as_ref().to_vec());
        self
    }

    /// Lets requests go without TLS to any host.
    ///
    /// # Danger
    /// Everybody on the way reads the tokens. For tests inside a closed network.
    pub const fn danger_allow_plain_http(mut self) -> Self {
        self.plain_http = PlainHttp::Anywhere;
        self
    }

    /// Builds the transport.
    ///
    /// # Errors
    /// `Config` if a setting, or what the environment says, is unusable.
    pub fn build(self) -> Result<Reqwest, Error> {
        let mut client = one_request_only(Client::builder())
            .tls_backend_rustls()
            .connect_timeout(self.connect_timeout)
            .user_agent(self.user_agent);
        if let Some(proxy) = self.proxy.resolve()? {
            client = client.proxy(proxy);
        }
        let roots = roots(&self.roots)?;
        if !roots.is_empty() {
            client = client.tls_certs_only(roots);
        }
        let client = client.build().map_err(|error| {
            Error::config("the HTTP client could not be built").with_source(error.without_url())
        })?;
        Ok(Reqwest { client, plain_http: self.plain_http })
    }
}

/// Switches off whatever could send, keep or open more than one request asks for.
///
/// What is behind a feature of reqwest is off unless it is switched on by name (cookies), or has a
/// switch that is always there (decompression): the features that others choose change nothing.
fn one_request_only(client: ClientBuilder) -> ClientBuilder {
    client
        .redirect(Policy::none())
        .retry(reqwest::retry::never())
        .referer(false)
        .no_gzip()
        .no_brotli()
        .no_zstd()
        .no_deflate()
        .no_proxy()
        // One connection for one request: none can turn out closed when the request is written.
        .pool_max_idle_per_host(0)
        .http1_only()
}

impl ProxyChoice {
    fn resolve(self) -> Result<Option<Proxy>, Error> {
        let (url, except) = match self {
            Self::None => return Ok(None),
            Self::Given(url) => (url, None),
            Self::Environment => {
                let names = ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];
                let Some(url) = names.into_iter().find_map(variable) else { return Ok(None) };
                (url, variable("NO_PROXY").or_else(|| variable("no_proxy")))
            }
        };
        let bad = || Error::config("the proxy's address is not http://name:port");
        if url.contains("://") && !url.starts_with("http://") && !url.starts_with("https://") {
            return Err(bad());
        }
        // The source would print the address, and with it a password.
        let proxy = Proxy::https(url).map_err(|_| bad())?;
        Ok(Some(proxy.no_proxy(NoProxy::from_string(&excepted(&except.unwrap_or_default())))))
    }
}

/// What `NO_PROXY` excepts, and this machine: `*` is all, an address or a network of addresses
/// (192.0.2.0/24) is that, any other entry is a host or a domain with all that is beneath it.
fn excepted(list: &str) -> String {
    let all = list.split(',').any(|entry| entry.trim() == "*");
    // reqwest takes the star for names alone.
    let addresses = if all { "0.0.0.0/0,::/0," } else { "" };
    format!("localhost,127.0.0.0/8,::1,{addresses}{list}")
}

/// An empty variable counts as unset.
fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not the proxy: its address may hold a password.
        f.debug_struct("Builder")
            .field("connect_timeout", &self.connect_timeout)
            .field("user_agent", &self.user_agent)
            .field("plain_http", &self.plain_http)
            .finish_non_exhaustive()
    }
}
