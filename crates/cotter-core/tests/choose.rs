//! The choice among stores, as transcripts: what is asked of each candidate, and what is said of it.

#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

use core::time::Duration;
use std::collections::BTreeMap;

use cotter_core::flow::choose::{
    self, Choosing, NoStore, Outcome, Probing, Protection, Report, Terms, Try,
};
use cotter_core::{
    BootId, BootTime, Capabilities, Error, ErrorKind, Expected, Loaded, Now, Revision, SecretBytes,
    Step, StoreError, StoreErrorKind, StoreKey, Swap, Timestamp,
};

type Records = BTreeMap<StoreKey, (Revision, Vec<u8>)>;

/// A candidate as a test wants it: what it holds, what is asked of it, and what goes wrong at which
/// of the questions.
#[derive(Default)]
struct Shelf {
    records: Records,
    asked: Vec<&'static str>,
    at: BTreeMap<usize, Wrong>,
    /// Whether a second handle finds nothing.
    forgets: bool,
    can: Option<Capabilities>,
}

#[derive(Clone, Copy)]
enum Wrong {
    Fails(StoreErrorKind),
    /// It does what it is asked, and says that it failed.
    DoneButFails,
    /// It says that it did, and did not.
    Lies,
    /// It gives back something else.
    Alters,
    /// It cannot open its own record.
    Unreadable,
    /// Something else is in the way.
    Conflicts,
    /// It is done after this many milliseconds.
    Takes(u64),
}

/// The order that the questions come in.
const OPEN: usize = 0;
const SAVE: usize = 1;
const READ: usize = 2;
const REOPEN: usize = 3;
const READ_AGAIN: usize = 4;
const REMOVE: usize = 5;
const SEE: usize = 6;

const ALL: &[&str] = &["open", "save", "load", "open", "load", "remove", "load"];

fn at(wrong: impl IntoIterator<Item = (usize, Wrong)>) -> Shelf {
    Shelf { at: wrong.into_iter().collect(), ..Shelf::default() }
}

fn durable() -> Capabilities {
    Capabilities::new().with_compare_and_set().with_durable()
}

fn failure(kind: StoreErrorKind) -> StoreError {
    StoreError::new(kind, "it failed").with_hint("mend it")
}

/// A driver of one thread and a clock of its own.
struct Driver {
    millis: u64,
}

impl Driver {
    fn now(&self) -> Now {
        Now {
            wall: Timestamp::from_unix_seconds(1_800_000_000),
            boot: BootTime::from_millis(self.millis),
            boot_id: BootId::from_bytes([1; 16]),
        }
    }

    /// Notes the question, and says what goes wrong with it.
    fn ask(&mut self, shelf: &mut Shelf, what: &'static str) -> Option<Wrong> {
        let wrong = shelf.at.get(&shelf.asked.len()).copied();
        shelf.asked.push(what);
        if let Some(Wrong::Takes(millis)) = wrong {
            self.millis += millis;
        }
        wrong
    }

    fn probe(&mut self, shelf: &mut Shelf, candidate: &Try) -> Outcome {
        let mut probing = candidate.probe(self.now(), &[9; 32]);
        loop {
            let opening = match probing {
                Probing::Open(opening) => opening,
                Probing::Done(outcome) => return outcome,
            };
            if shelf.forgets {
                shelf.records.clear();
            }
            probing = match self.ask(shelf, "open") {
                Some(Wrong::Fails(kind)) => opening.failed(failure(kind)),
                _ => {
                    let can = shelf.can.unwrap_or_else(durable);
                    self.drive(shelf, opening.opened(self.now(), can))
                }
            };
        }
    }

    fn drive(&mut self, shelf: &mut Shelf, mut step: Step<Probing>) -> Probing {
        loop {
            step = match step {
                Step::Load(ask) => {
                    let (key, then) = ask.split();
                    let wrong = self.ask(shelf, "load");
                    let answer = load(shelf, &key, wrong);
                    then.answer(self.now(), answer)
                }
                Step::Save(ask) => {
                    let (save, then) = ask.split();
                    assert_eq!(save.expected, Expected::Absent);
                    let wrong = self.ask(shelf, "save");
                    let answer = change(wrong, || {
                        let record = save.record.expose().to_vec();
                        shelf.records.insert(save.key, (save.new, record));
                    });
                    then.answer(self.now(), answer)
                }
                Step::Remove(ask) => {
                    let (remove, then) = ask.split();
                    let wrong = self.ask(shelf, "remove");
                    let found = shelf.records.get(&remove.key).map(|(revision, _)| *revision);
                    let answer = if found == Some(remove.expected) {
                        change(wrong, || drop(shelf.records.remove(&remove.key)))
                    } else {
                        Ok(Swap::Conflict { found })
                    };
                    then.answer(self.now(), answer)
                }
                Step::Done(probing) => return probing,
                other => panic!("{other:?} is no question for a candidate"),
            };
        }
    }
}

fn load(shelf: &Shelf, key: &StoreKey, wrong: Option<Wrong>) -> Result<Option<Loaded>, StoreError> {
    let Some((revision, bytes)) = shelf.records.get(key) else {
        return match wrong {
            Some(Wrong::Fails(kind)) => Err(failure(kind)),
            _ => Ok(None),
        };
    };
    let mut bytes = bytes.clone();
    let record = match wrong {
        Some(Wrong::Fails(kind)) => return Err(failure(kind)),
        Some(Wrong::Lies) => return Ok(None),
        Some(Wrong::Unreadable) => Err(failure(StoreErrorKind::Damaged)),
        Some(Wrong::Alters) => {
            bytes[100] ^= 1;
            Ok(SecretBytes::from(bytes))
        }
        _ => Ok(SecretBytes::from(bytes)),
    };
    Ok(Some(Loaded { revision: *revision, record }))
}

fn change(wrong: Option<Wrong>, act: impl FnOnce()) -> Result<Swap, StoreError> {
    match wrong {
        Some(Wrong::Fails(kind)) => Err(failure(kind)),
        Some(Wrong::Lies) => Ok(Swap::Done),
        Some(Wrong::Conflicts) => Ok(Swap::Conflict { found: None }),
        Some(Wrong::DoneButFails) => {
            act();
            Err(failure(StoreErrorKind::Timeout))
        }
        _ => {
            act();
            Ok(Swap::Done)
        }
    }
}

fn sealed(name: &'static str) -> Terms {
    Terms::new(name, Protection::Sealed)
}

/// Makes the whole choice among these.
fn choice(shelves: &mut [Shelf], terms: Vec<Terms>) -> Report {
    let mut driver = Driver { millis: 1_000 };
    let mut choosing = choose::begin(terms);
    loop {
        choosing = match choosing {
            Choosing::Try(candidate) => {
                let outcome = driver.probe(&mut shelves[candidate.index()], &candidate);
                candidate.tried(outcome)
            }
            Choosing::Done(report) => return report,
        };
    }
}

/// The outcome of one candidate alone, and the candidate.
fn alone(mut shelf: Shelf) -> (String, Shelf) {
    let report = choice(core::slice::from_mut(&mut shelf), vec![sealed("one")]);
    (report.tried()[0].outcome.to_string(), shelf)
}

#[test]
fn a_store_that_keeps_what_it_is_given_is_chosen_and_nothing_is_left_in_it() {
    let (said, shelf) = alone(Shelf::default());
    assert_eq!(said, "chosen");
    assert_eq!(shelf.asked, ALL);
    assert!(shelf.records.is_empty());
}

#[test]
fn the_first_that_will_do_is_chosen_and_those_after_it_are_not_touched() {
    let mut shelves = [
        at([(OPEN, Wrong::Fails(StoreErrorKind::Unavailable))]),
        Shelf::default(),
        Shelf::default(),
    ];
    let report = choice(&mut shelves, vec![sealed("a"), sealed("b"), sealed("c")]);
    assert_eq!(report.chosen(), Some(1));
    assert_eq!(report.to_string(), "a: it failed\nb: chosen\nc: not needed");
    assert_eq!(shelves[0].asked, ["open"]);
    assert_eq!(shelves[1].asked, ALL);
    assert!(shelves[2].asked.is_empty());
}

#[test]
fn every_lie_is_found_out_and_said_in_words() {
    for (nth, wrong, expected) in [
        (SAVE, Wrong::Lies, "it said that a record was stored, and has none"),
        (SAVE, Wrong::Conflicts, "it finds a record where none was ever stored"),
        (READ, Wrong::Alters, "what it gives back is not what was stored"),
        (READ, Wrong::Unreadable, "it failed"),
        (READ_AGAIN, Wrong::Alters, "what it gives back is not what was stored"),
        (REMOVE, Wrong::Conflicts, "it cannot remove what it has just read"),
        (REMOVE, Wrong::Lies, "it still has what it said was removed"),
        (SEE, Wrong::Fails(StoreErrorKind::Other), "it failed"),
    ] {
        let (said, shelf) = alone(at([(nth, wrong)]));
        assert_eq!(said, expected);
        let stuck = nth == REMOVE && matches!(wrong, Wrong::Conflicts);
        assert_eq!(shelf.records.is_empty(), !stuck, "{expected}");
    }
}

#[test]
fn whatever_fails_after_the_save_is_cleaned_up() {
    let fails = Wrong::Fails(StoreErrorKind::Other);
    for (nth, wrong, asked) in [
        (OPEN, fails, &["open"] as &[&str]),
        (SAVE, fails, &["open", "save", "remove"]),
        (SAVE, Wrong::DoneButFails, &["open", "save", "remove"]),
        (READ, fails, &["open", "save", "load", "remove"]),
        (READ_AGAIN, fails, &["open", "save", "load", "open", "load", "remove"]),
        (REMOVE, fails, &["open", "save", "load", "open", "load", "remove", "remove"]),
        (
            REMOVE,
            Wrong::DoneButFails,
            &["open", "save", "load", "open", "load", "remove", "remove"],
        ),
    ] {
        let (said, shelf) = alone(at([(nth, wrong)]));
        assert_eq!(said, "it failed");
        assert_eq!(shelf.asked, asked);
        assert!(shelf.records.is_empty(), "{asked:?}");
    }
    // What cannot be opened again cannot be cleaned up either.
    let (said, shelf) = alone(at([(REOPEN, fails)]));
    assert_eq!((said.as_str(), shelf.asked.len()), ("it failed", 4));
}

#[test]
fn what_does_not_last_is_not_chosen() {
    // It says so itself: nothing is put into it.
    let can = Some(Capabilities::new().with_compare_and_set());
    let (said, shelf) = alone(Shelf { can, ..Shelf::default() });
    assert_eq!(said, "does not keep what is stored");
    assert_eq!(shelf.asked, ["open"]);
    // It says otherwise, and a second handle finds nothing.
    let (said, shelf) = alone(Shelf { forgets: true, ..Shelf::default() });
    assert_eq!(said, "does not keep what is stored");
    assert_eq!(shelf.asked, ["open", "save", "load", "open", "load"]);
}

#[test]
fn a_store_for_small_things_only_is_not_chosen() {
    let can = Some(durable().with_max_record(2560));
    let (said, shelf) = alone(Shelf { can, ..Shelf::default() });
    assert_eq!(said, "it takes no records as long as those of a session");
    assert_eq!(shelf.asked, ["open"]);
    let can = Some(durable().with_max_record(4096));
    assert_eq!(alone(Shelf { can, ..Shelf::default() }).0, "chosen");
}

#[test]
fn what_is_late_is_given_up_wherever_it_was_late_and_cleaned_up() {
    for nth in OPEN..=SEE {
        let (said, shelf) = alone(at([(nth, Wrong::Takes(5_001))]));
        assert_eq!(said, "not done within 5s", "{nth}");
        assert!(shelf.records.is_empty(), "{nth}: {:?}", shelf.asked);
        let wrote = shelf.asked.contains(&"save");
        assert_eq!(shelf.asked.contains(&"remove"), wrote, "{nth}");
        // Just in time is in time.
        assert_eq!(alone(at([(nth, Wrong::Takes(5_000))])).0, "chosen", "{nth}");
    }
}

#[test]
fn the_time_is_for_all_steps_of_a_candidate_together_and_each_has_its_own() {
    let slow = || at((OPEN..=SEE).map(|nth| (nth, Wrong::Takes(1_000))));
    let mut shelves = [slow(), slow()];
    let patient = sealed("b").with_patience(Duration::from_secs(7));
    let report = choice(&mut shelves, vec![sealed("a"), patient]);
    assert_eq!(report.to_string(), "a: not done within 5s\nb: chosen");
    assert!(shelves.iter().all(|shelf| shelf.records.is_empty()));
}

#[test]
fn nothing_lies_in_clear_unless_the_caller_said_so_of_that_very_candidate() {
    let clear = |name| Terms::new(name, Protection::Nothing);
    let mut shelves = [Shelf::default(), Shelf::default(), Shelf::default()];
    let terms = vec![clear("a"), clear("b").danger_allow_in_clear(), sealed("c")];
    let report = choice(&mut shelves, terms);
    assert_eq!(
        report.to_string(),
        "a: not tried: tokens would lie there in clear\nb: chosen\nc: not needed"
    );
    assert!(shelves[0].asked.is_empty());
    let mut keyring = [Shelf::default()];
    let report = choice(&mut keyring, vec![Terms::new("k", Protection::OperatingSystem)]);
    assert_eq!(report.chosen(), Some(0));
}

#[test]
fn where_none_will_do_the_error_says_all_and_is_of_the_first_that_failed() {
    let mut shelves = [
        at([(OPEN, Wrong::Takes(6_000))]),
        at([(OPEN, Wrong::Fails(StoreErrorKind::Locked))]),
        at([(SAVE, Wrong::Fails(StoreErrorKind::Full))]),
    ];
    let report = choice(&mut shelves, vec![sealed("a"), sealed("b"), sealed("c")]);
    assert_eq!(report.chosen(), None);
    assert!(matches!(report.tried()[0].outcome, Outcome::TimedOut(_)));
    let none = NoStore(report);
    assert_eq!(
        none.to_string(),
        "no store can be used (a: not done within 5s; b: it failed; c: it failed)"
    );
    let error = Error::from(none.clone());
    assert_eq!(error.kind(), ErrorKind::Store);
    let stored = error.store_error().unwrap();
    assert_eq!(stored.kind(), StoreErrorKind::Locked);
    assert_eq!(stored.hint(), Some("mend it"));
    assert_eq!(stored.to_string(), none.to_string());
}

#[test]
fn without_candidates_there_is_no_store() {
    let error = Error::from(NoStore(choice(&mut [], Vec::new())));
    let stored = error.store_error().unwrap();
    assert_eq!(stored.kind(), StoreErrorKind::Unavailable);
    assert_eq!(stored.to_string(), "no store can be used, since none was named");
}

#[test]
fn what_lies_beneath_a_failure_is_said_on_the_same_line() {
    let beneath = StoreError::new(StoreErrorKind::Other, "permission\ndenied");
    let error = failure(StoreErrorKind::Forbidden).with_source(beneath);
    assert_eq!(Outcome::failed(error).to_string(), "it failed: permission denied");
    let plain = Outcome::Failed(Error::config("there is no randomness"));
    assert_eq!(plain.to_string(), "there is no randomness");
}

#[test]
fn the_test_record_is_nobodys_and_another_each_time() {
    let Choosing::Try(candidate) = choose::begin(vec![sealed("a")]) else { panic!() };
    let driver = Driver { millis: 0 };
    let mut keys = Vec::new();
    for random in [[1; 32], [2; 32]] {
        let Probing::Open(opening) = candidate.probe(driver.now(), &random) else { panic!() };
        let Step::Save(ask) = opening.opened(driver.now(), durable()) else { panic!() };
        let (save, _) = ask.split();
        assert!(save.key.provider().ends_with(".invalid"));
        assert_eq!(save.record.len(), 4096);
        keys.push((save.key, save.new));
    }
    assert_ne!(keys[0].0, keys[1].0);
    assert_ne!(keys[0].1, keys[1].1);
}
