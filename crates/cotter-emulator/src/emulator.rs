//! The handle of a running server.

use core::time::Duration;
use std::io;

use crate::config::{Config, Rotation};
use crate::counters::Counters;
use crate::fault::Fault;
use crate::options::TokenSetOptions;
use crate::server::Server;
use crate::tokens::Mode;

/// A running server, on a thread and a runtime of its own: it may be used from async and from
/// blocking code. Dropping it stops it and closes every connection.
#[derive(Debug)]
pub struct Emulator {
    server: Server,
    base_url: String,
    control_url: String,
    api_key_id: String,
    identity_key: String,
}

impl Emulator {
    /// Starts a server; it listens when this returns.
    pub fn start(config: Config) -> io::Result<Self> {
        let api_key_id = config.api_key_id.clone();
        let server = Server::start(config)?;
        let origin = server.app.origin().to_owned();
        let identity_key = server.app.core().identity.public();
        Ok(Self {
            base_url: format!("{origin}/api/v0"),
            control_url: format!("{origin}/_control"),
            identity_key,
            api_key_id,
            server,
        })
    }

    /// Base of the API.
    #[must_use]
    pub fn base_url(&self) -> &str {
        &self.base_url
    }

    /// Base of the hosted login: its page is `/app`.
    #[must_use]
    pub fn login_url(&self) -> &str {
        self.server.app.origin()
    }

    /// Base of the verify worker: it is at `/verify`.
    #[must_use]
    pub fn worker_url(&self) -> &str {
        self.server.app.origin()
    }

    /// Base of the control interface.
    #[must_use]
    pub fn control_url(&self) -> &str {
        &self.control_url
    }

    /// The project's public id.
    #[must_use]
    pub fn api_key_id(&self) -> &str {
        &self.api_key_id
    }

    /// Public key of identities and events: base64 of 32 bytes.
    #[must_use]
    pub fn identity_key(&self) -> &str {
        &self.identity_key
    }

    /// Signs a user in and gives the oauth_token object as JSON; the user is made if need be.
    #[must_use]
    pub fn token_set(&self, identifier: &str) -> String {
        self.token_set_with(TokenSetOptions::new(identifier))
    }

    /// [`token_set`](Self::token_set) with a life, claims or method of its own.
    #[must_use]
    #[expect(clippy::needless_pass_by_value, reason = "reads well with a literal")]
    pub fn token_set_with(&self, options: TokenSetOptions) -> String {
        self.server.app.core().sign_in(&options, Mode::NORMAL).to_string()
    }

    /// What the server has seen since the start or the last [`reset`](Self::reset).
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.server.app.core().counters
    }

    /// Queues a fault.
    ///
    /// # Panics
    ///
    /// If there is no fault or path of that name, or its status or size is out of bounds.
    pub fn fault(&self, fault: Fault) {
        match fault.checked() {
            Ok(fault) => self.server.app.core().faults.push(fault),
            Err(why) => panic!("{why}"),
        }
    }

    /// Takes every queued fault away.
    pub fn clear_faults(&self) {
        self.server.app.core().faults.clear();
    }

    /// Moves the server's clock: `iat`, `exp`, every lifetime and the `Date` header.
    pub fn set_clock_offset(&self, seconds: i64) {
        self.server.app.core().clock.set_offset(seconds);
    }

    /// Signs with a new key from now on; the old one stays in the JWKS.
    pub fn rotate_keys(&self) {
        self.server.app.core().keys.rotate(false);
    }

    /// Signs with a new key from now on; the old one leaves the JWKS.
    pub fn replace_keys(&self) {
        self.server.app.core().keys.rotate(true);
    }

    /// Forgets users, sessions, counters, faults, clock offset and changed switches; keys stay.
    pub fn reset(&self) {
        self.server.app.reset();
    }

    /// Changes what refreshes do with refresh tokens.
    pub fn set_rotation(&self, rotation: Rotation) {
        self.configure(|config| config.rotation = rotation);
    }

    /// Changes the life of tokens issued from now on.
    pub fn set_access_ttl(&self, ttl: Duration) {
        self.configure(|config| config.access_ttl = ttl);
    }

    /// Changes any switch. `listen`, `api_key_id`, `kid` and `log` are settled at the start.
    pub fn configure(&self, change: impl FnOnce(&mut Config)) {
        let mut core = self.server.app.core();
        let settled = (core.config.api_key_id.clone(), core.config.kid.clone());
        change(&mut core.config);
        (core.config.api_key_id, core.config.kid) = settled;
    }

    /// The refresh token issued last in the newest session of that user.
    #[must_use]
    pub fn current_refresh_token(&self, identifier: &str) -> Option<String> {
        let core = self.server.app.core();
        let user = core.users.by_identifier(identifier)?;
        core.families.newest_token(&user.id).map(str::to_owned)
    }

    /// Whether the newest session of that user may still refresh.
    #[must_use]
    pub fn is_family_alive(&self, identifier: &str) -> bool {
        let core = self.server.app.core();
        let user = core.users.by_identifier(identifier);
        user.is_some_and(|user| core.families.is_alive(&user.id, core.clock.now_ms()))
    }

    /// Forgets a user, as if deleted on the server; whether there was one.
    pub fn delete_user(&self, identifier: &str) -> bool {
        self.server.app.core().users.delete(identifier)
    }

    /// Holds refresh requests after their arrival, before they touch any state.
    pub fn pause(&self) {
        self.server.app.pause(true);
    }

    /// Lets held refresh requests go.
    pub fn resume(&self) {
        self.server.app.pause(false);
    }

    /// Blocks until `n` refresh requests have arrived since the start or the last reset; false if
    /// they have not within that time. In async code use [`requests`](Self::requests).
    #[must_use]
    pub fn wait_for_requests(&self, n: u64, within: Duration) -> bool {
        self.server.app.wait_for(n, within)
    }

    /// [`wait_for_requests`](Self::wait_for_requests) without blocking, under any executor.
    pub async fn requests(&self, n: u64, within: Duration) -> bool {
        let app = std::sync::Arc::clone(&self.server.app);
        // On the server's own runtime, which has a timer whatever the caller's has.
        let wait = async move { tokio::time::timeout(within, app.arrivals(n)).await.is_ok() };
        self.server.runtime.spawn(wait).await.unwrap_or(false)
    }
}
