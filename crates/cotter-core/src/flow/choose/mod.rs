//! Which of several stores to use: the first one that keeps what it is given.
//!
//! ```text
//! begin    the next candidate -> probe -> chosen: Done
//!                                      -> not, or no answer in time: the next
//! probe    open
//!          Save a test record
//!          Load    -> the same
//!          open again               a second handle, so that nothing is answered from memory
//!          Load    -> the same
//!          Remove
//!          Load    -> gone: Done    (where anything else comes of it: Remove, Done)
//! ```
//!
//! A [`Choosing`] says which candidate is next, a [`Probing`] when it is to be opened; what lies between
//! are [`Step`]s for the store that was opened last. A driver runs each probe where a call that hangs
//! holds nobody up, and goes on without it after the candidate's patience.

mod report;

use alloc::borrow::Cow;
use alloc::vec::Vec;
use core::time::Duration;

pub use self::report::{NoStore, Outcome, Report, Tried};
use super::done;
use crate::key::StoreKey;
use crate::revision::{Lineage, Revision};
use crate::secret::SecretBytes;
use crate::step::{Ask, Remove, Save, Step};
use crate::store::{Capabilities, Expected, Loaded, StoreError, StoreErrorKind, Swap};
use crate::time::{BootTime, Now};

/// How long a candidate may take, unless its terms say otherwise.
const PATIENCE: Duration = Duration::from_secs(5);

/// As long as the record of a session with large tokens.
const LENGTH: usize = 4096;

/// An address that nobody has (RFC 6761, section 6.4): no session is ever kept under it.
const NOBODY: &str = "https://probe.invalid";

/// What keeps other people from reading what a store holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Protection {
    /// Records are sealed with a key that lies elsewhere.
    Sealed,
    /// The operating system seals them, as a keyring does.
    OperatingSystem,
    /// Nothing: who can read its files has the tokens.
    Nothing,
}

/// What a candidate says of itself, and what its caller says of it.
#[derive(Clone, Debug)]
pub struct Terms {
    name: Cow<'static, str>,
    protection: Protection,
    in_clear: bool,
    patience: Duration,
}

impl Terms {
    /// A candidate of this name, which the report gives and which must hold no secret.
    #[must_use]
    pub fn new(name: impl Into<Cow<'static, str>>, protection: Protection) -> Self {
        Self { name: name.into(), protection, in_clear: false, patience: PATIENCE }
    }

    /// It may be chosen although nothing protects it: tokens may lie there **in clear**.
    #[must_use]
    pub const fn danger_allow_in_clear(mut self) -> Self {
        self.in_clear = true;
        self
    }

    /// It may take this long to be opened and to show that it keeps things; 5 s otherwise.
    #[must_use]
    pub const fn with_patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    const fn allowed(&self) -> bool {
        self.in_clear || !matches!(self.protection, Protection::Nothing)
    }
}

/// Begins a choice among these candidates, the best first.
pub fn begin(candidates: Vec<Terms>) -> Choosing {
    next(Try { candidates, report: Report::default() })
}

/// Where a choice stands.
#[derive(Debug)]
#[must_use = "a choice goes on only when its candidate was tried"]
#[expect(clippy::exhaustive_enums, reason = "a driver that misses an arm must not compile")]
pub enum Choosing {
    /// This candidate is next.
    Try(Try),
    /// One was chosen, or none will do.
    Done(Report),
}

/// The candidate that is next.
#[derive(Debug)]
pub struct Try {
    candidates: Vec<Terms>,
    report: Report,
}

/// Goes to the next candidate that may be chosen.
fn next(mut this: Try) -> Choosing {
    let over = this.report.chosen().is_some();
    while let Some(terms) = this.candidates.get(this.report.tried().len()) {
        let outcome = match (over, terms.allowed()) {
            (true, _) => Outcome::NotNeeded,
            (false, false) => Outcome::InClear,
            (false, true) => return Choosing::Try(this),
        };
        this.report.add(terms.name.clone(), outcome);
    }
    Choosing::Done(this.report)
}

impl Try {
    /// Its place in the list that the choice began with.
    #[must_use]
    pub fn index(&self) -> usize {
        self.report.tried().len()
    }

    /// How long to wait for it.
    #[must_use]
    pub fn patience(&self) -> Duration {
        self.candidates.get(self.index()).map_or(PATIENCE, |terms| terms.patience)
    }

    /// Begins its probe; `random` names and fills a record that nobody else has.
    pub fn probe(&self, now: Now, random: &[u8; 32]) -> Probing {
        let (name, lineage) = random.split_at(16);
        let mut id = [0; 16];
        id.copy_from_slice(lineage);
        let key = match StoreKey::new(NOBODY, "probe", &hex(name)) {
            Ok(key) => key,
            Err(error) => return Probing::Done(Outcome::Failed(error)),
        };
        let probe = Probe {
            key,
            record: SecretBytes::from(random.repeat(LENGTH / random.len())),
            revision: Revision::first(Lineage::from_bytes(id)),
            patience: self.patience(),
            end: now.boot.saturating_add(self.patience()),
        };
        Probing::Open(Opening { probe, again: false })
    }

    /// Goes on, knowing what came of it.
    pub fn tried(mut self, outcome: Outcome) -> Choosing {
        let name = self.candidates.get(self.index()).map(|terms| terms.name.clone());
        self.report.add(name.unwrap_or_default(), outcome);
        next(self)
    }
}

fn hex(bytes: &[u8]) -> alloc::string::String {
    bytes.iter().map(|byte| alloc::format!("{byte:02x}")).collect()
}

/// Where the probe of one candidate stands.
#[derive(Debug)]
#[must_use = "a probe goes on only when its candidate was opened"]
#[expect(clippy::exhaustive_enums, reason = "a driver that misses an arm must not compile")]
pub enum Probing {
    /// Close the candidate if it is open, and open it.
    Open(Opening),
    /// What came of it.
    Done(Outcome),
}

/// A candidate that is to be opened.
#[derive(Debug)]
pub struct Opening {
    probe: Probe,
    again: bool,
}

#[derive(Debug)]
struct Probe {
    key: StoreKey,
    record: SecretBytes,
    revision: Revision,
    patience: Duration,
    end: BootTime,
}

impl Opening {
    /// It is open and can do this; the steps are for the store that was opened just now.
    pub fn opened(self, now: Now, can: Capabilities) -> Step<Probing> {
        match self {
            Self { probe, again: true } => probe.read_again(now),
            Self { probe, .. } if probe.is_late(now) => probe.late(),
            Self { probe, .. } => probe.write(can),
        }
    }

    /// It could not be opened.
    pub fn failed(self, error: StoreError) -> Probing {
        Probing::Done(Outcome::failed(error))
    }
}

impl Probe {
    fn is_late(&self, now: Now) -> bool {
        now.boot > self.end
    }

    fn write(self, can: Capabilities) -> Step<Probing> {
        if !can.durable {
            return end(Outcome::NotPersistent);
        }
        if can.max_record.is_some_and(|most| most < LENGTH) {
            let what = "it takes no records as long as those of a session";
            return end(Outcome::failed(StoreError::new(StoreErrorKind::TooLarge, what)));
        }
        let save = Save {
            key: self.key.clone(),
            record: self.record.duplicate(),
            expected: Expected::Absent,
            new: self.revision,
        };
        Step::Save(Ask::new(save, move |now, answer| match answer {
            _ if self.is_late(now) => self.clean_up_late(),
            Ok(Swap::Done) => self.read_back(),
            Ok(Swap::Conflict { .. }) => end(lie("it finds a record where none was ever stored")),
            // Whatever the error says: something may lie there all the same.
            Err(error) => self.clean_up(Outcome::failed(error)),
        }))
    }

    fn read_back(self) -> Step<Probing> {
        self.look(|probe, found| match found {
            Found::Same => done(Probing::Open(Opening { probe, again: true })),
            Found::Nothing => end(lie("it said that a record was stored, and has none")),
            Found::Other(outcome) => probe.clean_up(outcome),
        })
    }

    fn read_again(self, now: Now) -> Step<Probing> {
        if self.is_late(now) {
            return self.clean_up_late();
        }
        self.look(|probe, found| match found {
            Found::Same => probe.remove(),
            Found::Nothing => end(Outcome::NotPersistent),
            Found::Other(outcome) => probe.clean_up(outcome),
        })
    }

    fn remove(self) -> Step<Probing> {
        Step::Remove(Ask::new(self.removal(), move |now, answer| match answer {
            _ if self.is_late(now) => self.late(),
            Ok(Swap::Done) => self.see_it_gone(),
            Ok(Swap::Conflict { .. }) => end(lie("it cannot remove what it has just read")),
            Err(error) => self.clean_up(Outcome::failed(error)),
        }))
    }

    fn see_it_gone(self) -> Step<Probing> {
        self.look(|probe, found| match found {
            Found::Nothing => end(Outcome::Chosen),
            Found::Same => probe.clean_up(lie("it still has what it said was removed")),
            Found::Other(outcome) => probe.clean_up(outcome),
        })
    }

    /// What the store has now.
    fn look(
        self,
        then: impl FnOnce(Self, Found) -> Step<Probing> + Send + 'static,
    ) -> Step<Probing> {
        Step::Load(Ask::new(self.key.clone(), move |now, answer| {
            if self.is_late(now) {
                return self.clean_up_late();
            }
            let found = self.judge(answer);
            then(self, found)
        }))
    }

    fn judge(&self, answer: Result<Option<Loaded>, StoreError>) -> Found {
        let loaded = match answer {
            Ok(Some(loaded)) => loaded,
            Ok(None) => return Found::Nothing,
            Err(error) => return Found::Other(Outcome::failed(error)),
        };
        match loaded.record {
            Ok(record) if record == self.record && loaded.revision == self.revision => Found::Same,
            Ok(_) => Found::Other(lie("what it gives back is not what was stored")),
            Err(error) => Found::Other(Outcome::failed(error)),
        }
    }

    /// Removes what may lie there. Whether that works changes nothing any more.
    fn clean_up(self, outcome: Outcome) -> Step<Probing> {
        Step::Remove(Ask::new(self.removal(), move |_, _| end(outcome)))
    }

    fn clean_up_late(self) -> Step<Probing> {
        let outcome = Outcome::TimedOut(self.patience);
        self.clean_up(outcome)
    }

    fn late(&self) -> Step<Probing> {
        end(Outcome::TimedOut(self.patience))
    }

    fn removal(&self) -> Remove {
        Remove { key: self.key.clone(), expected: self.revision }
    }
}

enum Found {
    Same,
    Nothing,
    Other(Outcome),
}

fn end(outcome: Outcome) -> Step<Probing> {
    done(Probing::Done(outcome))
}

/// The store says one thing and does another.
fn lie(what: &'static str) -> Outcome {
    Outcome::failed(StoreError::new(StoreErrorKind::Other, what))
}
