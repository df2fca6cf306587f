//! What a choice among stores came to, for people to read.

use alloc::borrow::Cow;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use crate::error::Error;
use crate::store::{StoreError, StoreErrorKind};

/// What came of one candidate.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Outcome {
    /// It keeps what it is given, and is the one.
    Chosen,
    /// What is stored in it does not outlast the process, or the machine's next start.
    NotPersistent,
    /// It could not be opened, or did not do what it said.
    Failed(Error),
    /// It was not done within this time.
    TimedOut(Duration),
    /// Not tried: tokens would lie there in clear, which nobody has allowed.
    InClear,
    /// Not tried: one before it was chosen.
    NotNeeded,
}

impl Outcome {
    /// A store that failed with this.
    #[must_use]
    pub fn failed(error: StoreError) -> Self {
        Self::Failed(error.into())
    }
}

/// One line, without secrets.
impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Chosen => f.write_str("chosen"),
            Self::NotPersistent => f.write_str("does not keep what is stored"),
            Self::Failed(error) => f.write_str(&said(error)),
            Self::TimedOut(patience) => write!(f, "not done within {patience:?}"),
            Self::InClear => f.write_str("not tried: tokens would lie there in clear"),
            Self::NotNeeded => f.write_str("not needed"),
        }
    }
}

/// An error and what lies beneath it, on one line.
fn said(error: &Error) -> String {
    let mut at: &dyn core::error::Error = match error.store_error() {
        Some(error) => error,
        None => error,
    };
    let mut text = at.to_string();
    while let Some(source) = at.source() {
        let said = source.to_string();
        if !text.contains(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
        at = source;
    }
    text.replace(char::is_control, " ")
}

/// A candidate, and what came of it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Tried {
    /// The candidate's name.
    pub candidate: Cow<'static, str>,
    /// What came of it.
    pub outcome: Outcome,
}

/// `NAME: OUTCOME`
impl fmt::Display for Tried {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.candidate, self.outcome)
    }
}

/// Which candidate was chosen, and why the others were not; it prints as one line for each.
#[derive(Clone, Debug, Default)]
pub struct Report {
    tried: Vec<Tried>,
}

impl Report {
    /// All candidates, in their order.
    #[must_use]
    pub fn tried(&self) -> &[Tried] {
        &self.tried
    }

    /// The place of the one that was chosen.
    #[must_use]
    pub fn chosen(&self) -> Option<usize> {
        self.tried.iter().position(|tried| matches!(tried.outcome, Outcome::Chosen))
    }

    pub(crate) fn add(&mut self, candidate: Cow<'static, str>, outcome: Outcome) {
        self.tried.push(Tried { candidate, outcome });
    }

    fn join(&self, between: &str) -> String {
        let lines: Vec<String> = self.tried.iter().map(ToString::to_string).collect();
        lines.join(between)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.join("\n"))
    }
}

/// None of the candidates will do; the report says why.
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_structs, reason = "the report is all there is to say")]
pub struct NoStore(pub Report);

impl fmt::Display for NoStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.tried.is_empty() {
            return f.write_str("no store can be used, since none was named");
        }
        write!(f, "no store can be used ({})", self.0.join("; "))
    }
}

impl core::error::Error for NoStore {}

/// `Store`, of the kind and with the advice of the first that failed, which was wanted the most.
impl From<NoStore> for Error {
    fn from(none: NoStore) -> Self {
        let failed = |tried: &Tried| match &tried.outcome {
            Outcome::Failed(error) => Some(error.clone()),
            _ => None,
        };
        let first = none.0.tried.iter().find_map(failed);
        let stored = first.as_ref().and_then(Self::store_error);
        let kind = stored.map_or(StoreErrorKind::Unavailable, StoreError::kind);
        let error = StoreError::new(kind, none.to_string());
        match stored.and_then(StoreError::hint) {
            Some(hint) => error.with_hint(hint.to_string()).into(),
            None => error.into(),
        }
    }
}
