//! Names to addresses, within a time, and without a panic where no thread can be had.

use std::io;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;

use http::Uri;
use ureq::Error;
use ureq::config::Config;
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;
use ureq::unversioned::transport::time::Duration;

/// What ureq's own resolver finds. That one starts its thread itself, and panics where the system
/// has none to give: a process at its limit would leave a pending rotation for a request that was
/// never made.
#[derive(Debug)]
pub(crate) struct Names;

impl Resolver for Names {
    fn resolve(
        &self,
        uri: &Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, Error> {
        let without_end = NextTimeout { after: Duration::NotHappening, ..timeout };
        let resolver = DefaultResolver::default();
        if timeout.after.is_not_happening() {
            return resolver.resolve(uri, config, timeout);
        }
        let (sender, receiver) = mpsc::sync_channel(1);
        let (uri, config) = (uri.clone(), config.clone());
        let look = move || sender.send(resolver.resolve(&uri, &config, without_end)).ok();
        thread::Builder::new().spawn(look).map_err(Error::Io)?;
        match receiver.recv_timeout(*timeout.after) {
            Ok(found) => found,
            Err(RecvTimeoutError::Timeout) => Err(Error::Timeout(timeout.reason)),
            Err(RecvTimeoutError::Disconnected) => {
                Err(Error::Io(io::Error::other("the look-up of the name broke off")))
            }
        }
    }
}
