//! What core needs of a store: opaque secret bytes under a key, compared and swapped by revision.

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use async_trait::async_trait;

use crate::key::StoreKey;
use crate::revision::Revision;
use crate::secret::SecretBytes;
use crate::time::Timestamp;

/// What a store holds under a key.
///
/// The revision is known even where the record cannot be opened, so that a sign-in can replace a
/// damaged record and a sign-out can remove it.
#[derive(Debug)]
#[expect(clippy::exhaustive_structs, reason = "stores build it; there is nothing else to load")]
pub struct Loaded {
    /// The revision under which the record was saved.
    pub revision: Revision,
    /// The record, or why it cannot be read.
    pub record: Result<SecretBytes, StoreError>,
}

/// What must stand in the store for a save to happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "compare-and-swap has these two cases")]
pub enum Expected {
    /// Nothing.
    Absent,
    /// A record with exactly this revision.
    Revision(Revision),
}

/// Whether a save or a removal happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "compare-and-swap has these two results")]
pub enum Swap {
    /// It did, and is as durable as the store's [`Capabilities`] say.
    Done,
    /// It did not: something else stands there.
    Conflict {
        /// The revision found, if any.
        found: Option<Revision>,
    },
}

/// The right to be the only one who exchanges a session's refresh token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LeaseOwner([u8; 16]);

impl LeaseOwner {
    /// An owner from bytes that the store never gave to anybody else.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

/// A lease that was granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "stores build it")]
pub struct Lease {
    /// To be shown when the lease is given back.
    pub owner: LeaseOwner,
    /// When it ends by itself; `None` for a kernel lock, which ends with its process only.
    pub ends_in: Option<Duration>,
    /// Whether it was taken over from a holder who let it lapse and may still be at work.
    pub lapsed: bool,
    /// How long the store itself was waited for before this first lease, where others were kept out
    /// by its being open; else zero.
    pub waited: Duration,
}

impl Lease {
    /// One that lasts until it is given back or its process ends, granted to `owner` at once.
    ///
    /// ```
    /// use cotter_core::{Lease, LeaseOwner};
    ///
    /// let lease = Lease::until_given_back(LeaseOwner::from_bytes([7; 16]));
    /// assert!(lease.ends_in.is_none() && !lease.lapsed && lease.waited.is_zero());
    /// ```
    #[must_use]
    pub const fn until_given_back(owner: LeaseOwner) -> Self {
        Self { owner, ends_in: None, lapsed: false, waited: Duration::ZERO }
    }
}

/// Who holds a lease, as far as the store knows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Holder {
    /// The process that holds it.
    pub pid: Option<u32>,
    /// Since when.
    pub since: Option<Timestamp>,
}

impl Holder {
    /// A holder of whom nothing is known.
    #[must_use]
    pub const fn unknown() -> Self {
        Self { pid: None, since: None }
    }

    /// The process that has held it since then.
    #[must_use]
    pub const fn process(pid: u32, since: Option<Timestamp>) -> Self {
        Self { pid: Some(pid), since }
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.pid {
            Some(pid) => write!(f, "process {pid}")?,
            None => f.write_str("somebody else")?,
        }
        match self.since {
            Some(since) => {
                f.write_str(" since ")?;
                write_utc(f, since)
            }
            None => Ok(()),
        }
    }
}

/// The time as RFC 3339 section 5.6 has it, in UTC, to the second: people read this.
///
/// The date of a day is that of the proleptic Gregorian calendar (Howard Hinnant,
/// "chrono-compatible low-level date algorithms").
fn write_utc(f: &mut fmt::Formatter<'_>, time: Timestamp) -> fmt::Result {
    let seconds = time.as_unix_seconds();
    let (days, second) = (seconds.div_euclid(86_400) + 719_468, seconds.rem_euclid(86_400));
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// The answer to a request for a lease; it never waits.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "core must handle every answer")]
pub enum LeaseAnswer {
    /// It is yours.
    Granted(Lease),
    /// Somebody else has it.
    Held(Holder),
    /// This store has no leases; only one session may use it.
    Unsupported,
}

/// What a store can do; the session and the contract suite go by it.
///
/// ```
/// use cotter_core::Capabilities;
///
/// let plain = Capabilities::new().with_compare_and_set().with_listing();
/// assert!(plain.compare_and_set && !plain.shared);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Capabilities {
    /// Other processes may change it.
    pub shared: bool,
    /// It grants leases.
    pub lease: bool,
    /// It compares revisions before it writes, atomically.
    pub compare_and_set: bool,
    /// What it has acknowledged survives a power cut.
    pub durable: bool,
    /// The longest record it takes, in bytes; `None` for no limit of its own.
    pub max_record: Option<usize>,
    /// It can list its keys.
    pub listing: bool,
}

impl Capabilities {
    /// A store that can do nothing but load, save and remove.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            shared: false,
            lease: false,
            compare_and_set: false,
            durable: false,
            max_record: None,
            listing: false,
        }
    }

    /// Other processes may change it.
    #[must_use]
    pub const fn with_shared(mut self) -> Self {
        self.shared = true;
        self
    }

    /// It grants leases.
    #[must_use]
    pub const fn with_lease(mut self) -> Self {
        self.lease = true;
        self
    }

    /// It compares revisions before it writes.
    #[must_use]
    pub const fn with_compare_and_set(mut self) -> Self {
        self.compare_and_set = true;
        self
    }

    /// What it has acknowledged survives a power cut.
    #[must_use]
    pub const fn with_durable(mut self) -> Self {
        self.durable = true;
        self
    }

    /// It takes records up to this many bytes.
    #[must_use]
    pub const fn with_max_record(mut self, bytes: usize) -> Self {
        self.max_record = Some(bytes);
        self
    }

    /// It can list its keys.
    #[must_use]
    pub const fn with_listing(mut self) -> Self {
        self.listing = true;
        self
    }
}

/// Keeps records, asynchronously.
///
/// The contract (checked by the suite `store_contract!` of cotter-testkit): what was saved comes
/// back byte for byte; a save or removal whose expectation does not hold changes nothing and
/// answers [`Swap::Conflict`]; [`try_lease`](Self::try_lease) never waits; a lease excludes every
/// other holder, sessions of the same process included, until it is released by its owner or ends;
/// every call ends within a bound of the store's own.
#[diagnostic::on_unimplemented(
    note = "stores that block (file, sled, keyring) go to `.blocking_store(..)` of the async builders, \
            or into an `Offload`"
)]
#[async_trait]
pub trait TokenStore: Send + Sync + fmt::Debug {
    /// What this store can do; constant for its life.
    fn capabilities(&self) -> Capabilities;

    /// The record under `key`, or `None` where there is none.
    async fn load(&self, key: &StoreKey) -> Result<Option<Loaded>, StoreError>;

    /// Puts `record` under `key` with revision `new`, if what stands there is as `expected`.
    async fn save(
        &self,
        key: &StoreKey,
        record: &SecretBytes,
        expected: Expected,
        new: Revision,
    ) -> Result<Swap, StoreError>;

    /// Removes the record under `key`, if it has the revision `expected`.
    async fn remove(&self, key: &StoreKey, expected: Revision) -> Result<Swap, StoreError>;

    /// Asks for the lease on `key`; a store whose leases lapse keeps it for `ttl`.
    async fn try_lease(&self, key: &StoreKey, ttl: Duration) -> Result<LeaseAnswer, StoreError>;

    /// Gives the lease back, if `owner` still has it.
    async fn release(&self, key: &StoreKey, owner: LeaseOwner) -> Result<(), StoreError>;

    /// The keys of all records, in no order.
    async fn list(&self) -> Result<Vec<StoreKey>, StoreError>;
}

/// Keeps records, blocking the thread; the contract of [`TokenStore`].
///
/// Sessions of both faces call it on one thread of its own, one call after the other, so that nothing
/// overtakes a call that hangs. Who waits is told [`StoreErrorKind::Timeout`] after
/// [`Policy::store_deadline`](crate::Policy::store_deadline), time in the queue included; nobody can call the
/// call itself back. What may hang (a daemon, another process's lock) is therefore better bounded by the store
/// itself: it answers `Timeout` where a write may have happened, [`StoreErrorKind::Locked`] where it has not.
pub trait BlockingTokenStore: Send + Sync + fmt::Debug {
    /// What this store can do; constant for its life.
    fn capabilities(&self) -> Capabilities;

    /// The record under `key`, or `None` where there is none.
    ///
    /// # Errors
    /// If the store cannot say.
    fn load(&self, key: &StoreKey) -> Result<Option<Loaded>, StoreError>;

    /// Puts `record` under `key` with revision `new`, if what stands there is as `expected`.
    ///
    /// # Errors
    /// If the store could not write; [`StoreErrorKind::Timeout`] if it may have.
    fn save(
        &self,
        key: &StoreKey,
        record: &SecretBytes,
        expected: Expected,
        new: Revision,
    ) -> Result<Swap, StoreError>;

    /// Removes the record under `key`, if it has the revision `expected`.
    ///
    /// # Errors
    /// If the store could not remove it; [`StoreErrorKind::Timeout`] if it may have.
    fn remove(&self, key: &StoreKey, expected: Revision) -> Result<Swap, StoreError>;

    /// Asks for the lease on `key`; a store whose leases lapse keeps it for `ttl`.
    ///
    /// # Errors
    /// If the store cannot say.
    fn try_lease(&self, key: &StoreKey, ttl: Duration) -> Result<LeaseAnswer, StoreError>;

    /// Gives the lease back, if `owner` still has it.
    ///
    /// # Errors
    /// If the store cannot say.
    fn release(&self, key: &StoreKey, owner: LeaseOwner) -> Result<(), StoreError>;

    /// The keys of all records, in no order.
    ///
    /// # Errors
    /// [`StoreErrorKind::Unsupported`] where the store cannot list.
    fn list(&self) -> Result<Vec<StoreKey>, StoreError>;
}

#[async_trait]
impl<S: TokenStore + ?Sized> TokenStore for Arc<S> {
    fn capabilities(&self) -> Capabilities {
        S::capabilities(self)
    }
    async fn load(&self, key: &StoreKey) -> Result<Option<Loaded>, StoreError> {
        S::load(self, key).await
    }
    async fn save(
        &self,
        key: &StoreKey,
        record: &SecretBytes,
        expected: Expected,
        new: Revision,
    ) -> Result<Swap, StoreError> {
        S::save(self, key, record, expected, new).await
    }
    async fn remove(&self, key: &StoreKey, expected: Revision) -> Result<Swap, StoreError> {
        S::remove(self, key, expected).await
    }
    async fn try_lease(&self, key: &StoreKey, ttl: Duration) -> Result<LeaseAnswer, StoreError> {
        S::try_lease(self, key, ttl).await
    }
    async fn release(&self, key: &StoreKey, owner: LeaseOwner) -> Result<(), StoreError> {
        S::release(self, key, owner).await
    }
    async fn list(&self) -> Result<Vec<StoreKey>, StoreError> {
        S::list(self).await
    }
}

impl<S: BlockingTokenStore + ?Sized> BlockingTokenStore for Arc<S> {
    fn capabilities(&self) -> Capabilities {
        S::capabilities(self)
    }
    fn load(&self, key: &StoreKey) -> Result<Option<Loaded>, StoreError> {
        S::load(self, key)
    }
    fn save(
        &self,
        key: &StoreKey,
        record: &SecretBytes,
        expected: Expected,
        new: Revision,
    ) -> Result<Swap, StoreError> {
        S::save(self, key, record, expected, new)
    }
    fn remove(&self, key: &StoreKey, expected: Revision) -> Result<Swap, StoreError> {
        S::remove(self, key, expected)
    }
    fn try_lease(&self, key: &StoreKey, ttl: Duration) -> Result<LeaseAnswer, StoreError> {
        S::try_lease(self, key, ttl)
    }
    fn release(&self, key: &StoreKey, owner: LeaseOwner) -> Result<(), StoreError> {
        S::release(self, key, owner)
    }
    fn list(&self) -> Result<Vec<StoreKey>, StoreError> {
        S::list(self)
    }
}

/// What is wrong with a store, said as what its owner can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StoreErrorKind {
    /// The stored bytes are not what was written: sign in again, or restore them.
    Damaged,
    /// Permissions, ownership or a symbolic link forbid the use of the place.
    Forbidden,
    /// No space left.
    Full,
    /// The sealing key that the records need is not there.
    KeyMissing,
    /// The sealing key is not the one that the records were sealed with.
    KeyWrong,
    /// Another process, or a locked keyring, has it; try later.
    Locked,
    /// Anything else; the source says what.
    Other,
    /// The place can be read but not written.
    ReadOnly,
    /// The call did not end in time; a write may have happened.
    Timeout,
    /// A newer cotter wrote it: update; nothing was touched.
    TooNew,
    /// The record is longer than the store takes.
    TooLarge,
    /// The back end is not there: no keyring daemon, no folder.
    Unavailable,
    /// This store cannot do that.
    Unsupported,
}

/// A store failed.
///
/// Its text is one line without secrets; what to do follows from the kind.
#[derive(Debug)]
pub struct StoreError {
    kind: StoreErrorKind,
    message: Cow<'static, str>,
    hint: Option<Cow<'static, str>>,
    source: Option<Box<dyn core::error::Error + Send + Sync>>,
}

impl StoreError {
    /// An error of this kind; `message` must hold no secret.
    #[must_use]
    pub fn new(kind: StoreErrorKind, message: impl Into<Cow<'static, str>>) -> Self {
        Self { kind, message: message.into(), hint: None, source: None }
    }

    /// The same error, with a line that says what to do.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<Cow<'static, str>>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same error, with the back end's own beneath it.
    #[must_use]
    pub fn with_source(mut self, source: impl core::error::Error + Send + Sync + 'static) -> Self {
        self.source = Some(Box::new(source));
        self
    }

    /// What is wrong.
    #[must_use]
    pub const fn kind(&self) -> StoreErrorKind {
        self.kind
    }

    /// What to do, where the store knows.
    #[must_use]
    pub fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// Whether the failed write may have happened all the same.
    #[must_use]
    pub fn is_uncertain(&self) -> bool {
        self.kind == StoreErrorKind::Timeout
    }

    /// The message as owned text.
    #[must_use]
    pub fn message(&self) -> String {
        self.message.clone().into_owned()
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl core::error::Error for StoreError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString as _;

    use super::*;

    #[test]
    fn a_holder_is_named_with_the_date_since_when() {
        let said =
            |seconds| Holder::process(7, Some(Timestamp::from_unix_seconds(seconds))).to_string();
        for (seconds, date) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_795_880_364, "2026-11-28T15:39:24Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
            (-1, "1969-12-31T23:59:59Z"),
        ] {
            assert_eq!(said(seconds), alloc::format!("process 7 since {date}"));
        }
        // No time makes it panic.
        for seconds in [i64::MAX, i64::MIN] {
            assert!(said(seconds).ends_with('Z'));
        }
        assert_eq!(Holder::unknown().to_string(), "somebody else");
        assert_eq!(Holder::process(7, None).to_string(), "process 7");
    }
}
