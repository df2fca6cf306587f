//! The settings of a transport.

use core::fmt;
use core::time::Duration;
use std::env;
use std::sync::Arc;
use std::time::Instant;

use cotter_core::{Error, PlainHttp};
use http::Uri;
use ureq::config::AutoHeaderValue;
use ureq::tls::{TlsConfig, TlsProvider};
use ureq::{Agent, Proxy, ProxyProtocol};

use crate::except::Except;
use crate::limit::{Begun, Limit};
use crate::names::Names;
use crate::roots::roots;
use crate::{Agents, Ureq};

pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Builds a [`Ureq`].
///
/// ```
/// use core::time::Duration;
/// use cotter_transport_ureq::Ureq;
///
/// let transport = Ureq::builder()
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

/// What each agent is made from.
pub(crate) struct Settings {
    pub(crate) connect_timeout: Duration,
    user_agent: String,
    proxy: Option<(Proxy, Except)>,
    tls: TlsConfig,
}

impl Builder {
    pub(crate) fn new() -> Self {
        Self {
            connect_timeout: CONNECT_TIMEOUT,
            user_agent: concat!("cotter/", env!("CARGO_PKG_VERSION")).to_owned(),
            proxy: ProxyChoice::Environment,
            roots: Vec::new(),
            plain_http: PlainHttp::Loopback,
        }
    }

    /// How long resolving the name may take, and then connecting with the TLS handshake, 5 seconds
    /// each by default; the deadline of the whole request holds beside it. Through a proxy, all that
    /// comes before the request may take so long together.
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
    pub fn build(self) -> Result<Ureq, Error> {
        if http::HeaderValue::from_str(&self.user_agent).is_err() {
            return Err(Error::config("the user agent cannot stand in a header"));
        }
        let settings = Settings {
            connect_timeout: self.connect_timeout,
            user_agent: self.user_agent,
            proxy: self.proxy.resolve()?,
            tls: TlsConfig::builder()
                .provider(TlsProvider::Rustls)
                .root_certs(roots(&self.roots)?)
                .build(),
        };
        let agents = Agents::Settings(Arc::new(settings));
        Ok(Ureq { agents, plain_http: self.plain_http })
    }
}

impl Settings {
    /// An agent that has sent nothing yet, for one request to `uri`; `begun` tells when it has.
    ///
    /// Where a proxy is used, the connection through it has so much time from now on.
    pub(crate) fn agent(
        &self,
        uri: &Uri,
        loopback: bool,
        connect_timeout: Duration,
        begun: Begun,
    ) -> Agent {
        let proxied = uri.scheme_str() == Some("https") && !loopback;
        let proxy = self.proxy.as_ref().filter(|(_, except)| proxied && !except.matches(uri));
        let config = Agent::config_builder()
            .proxy(proxy.map(|(proxy, _)| proxy.clone()))
            .tls_config(self.tls.clone())
            .user_agent(self.user_agent.as_str())
            .accept_encoding(AutoHeaderValue::None)
            .max_idle_connections(0)
            .max_idle_connections_per_host(0)
            .build();
        let proxied_until = proxy.map(|_| Instant::now() + connect_timeout);
        Agent::with_parts(config, Limit::new(proxied_until, begun), Names)
    }
}

impl ProxyChoice {
    fn resolve(self) -> Result<Option<(Proxy, Except)>, Error> {
        let (url, except) = match self {
            Self::None => return Ok(None),
            Self::Given(url) => (url, None),
            Self::Environment => {
                let names = ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];
                let Some(url) = names.into_iter().find_map(variable) else { return Ok(None) };
                (url, variable("NO_PROXY").or_else(|| variable("no_proxy")))
            }
        };
        Proxy::new(&url)
            .ok()
            .filter(|proxy| matches!(proxy.protocol(), ProxyProtocol::Http | ProxyProtocol::Https))
            .map(|proxy| Some((proxy, Except::parse(&except.unwrap_or_default()))))
            // No source: it would print the address, and with it a password.
            .ok_or_else(|| Error::config("the proxy's address is not http://name:port"))
    }
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
