//! Each clause of the store contract fails on a store that breaks it, and passes on one that keeps
//! it.
#![allow(clippy::unwrap_used, reason = "these are tests")]

use core::panic::AssertUnwindSafe;
use core::sync::atomic::{AtomicU8, Ordering};
use core::time::Duration;
use std::collections::HashMap;
use std::panic::catch_unwind;
use std::sync::Mutex;

use cotter_core::{
    BlockingTokenStore, Capabilities, Expected, LeaseAnswer, LeaseOwner, Loaded, Revision,
    SecretBytes, StoreError, StoreErrorKind, StoreKey, Swap,
};
use cotter_store_memory::Memory;
use cotter_testkit::store::{Subject, clauses};

type Clause = fn(&Subject);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bug {
    AbsentIsEmpty,
    AllLeasesAreOne,
    CannotOverwrite,
    ConflictsSaveAllTheSame,
    DropsTrailingZeros,
    ErrorNamesSession,
    FoldsCase,
    GrantsTwice,
    HeldMeansReadOnly,
    LeaseEndsEarly,
    LeaseIsUnsupported,
    LeaseNeverEnds,
    LimitIgnored,
    LimitTruncates,
    ListsRemoved,
    NeverLapsed,
    OwnersComeAgain,
    ReleasedByAnybody,
    ReleaseIgnored,
    RemovalIgnoresRevision,
    RemovalIsNotAtomic,
    RemovalOfNothingIsDone,
    RemovesNothing,
    SwapIsNotAtomic,
    TakesAtMostHalfAMebibyte,
    UnframedKeys,
}

#[derive(Debug)]
struct Broken {
    store: Memory,
    bug: Option<Bug>,
    removed: Mutex<Vec<StoreKey>>,
    stolen: AtomicU8,
    owners: Mutex<HashMap<StoreKey, LeaseOwner>>,
}

impl Broken {
    fn has(&self, bug: Bug) -> bool {
        self.bug == Some(bug)
    }

    fn key(&self, key: &StoreKey) -> StoreKey {
        let (provider, client, session) = (key.provider(), key.client(), key.session());
        match self.bug {
            Some(Bug::FoldsCase) => {
                StoreKey::new(provider, client, &session.to_lowercase()).unwrap()
            }
            Some(Bug::UnframedKeys) => {
                StoreKey::new(provider, "", &format!("{client}{session}")).unwrap()
            }
            _ => key.clone(),
        }
    }

    fn lease_key(&self, key: &StoreKey) -> StoreKey {
        match self.bug {
            Some(Bug::AllLeasesAreOne) => key.with_session("").unwrap(),
            _ => key.clone(),
        }
    }
}

impl BlockingTokenStore for Broken {
    fn capabilities(&self) -> Capabilities {
        let capabilities = BlockingTokenStore::capabilities(&self.store);
        match self.bug {
            Some(Bug::LimitIgnored | Bug::LimitTruncates) => capabilities.with_max_record(1000),
            _ => capabilities,
        }
    }

    fn load(&self, key: &StoreKey) -> Result<Option<Loaded>, StoreError> {
        let loaded = BlockingTokenStore::load(&self.store, &self.key(key))?;
        if loaded.is_none() && self.has(Bug::AbsentIsEmpty) {
            let revision = Revision::first(cotter_core::Lineage::from_bytes([0; 16]));
            return Ok(Some(Loaded { revision, record: Ok(SecretBytes::default()) }));
        }
        Ok(loaded)
    }

    fn save(
        &self,
        key: &StoreKey,
        record: &SecretBytes,
        expected: Expected,
        new: Revision,
    ) -> Result<Swap, StoreError> {
        let key = &self.key(key);
        let mut bytes = record.expose().to_vec();
        match self.bug {
            Some(Bug::CannotOverwrite) if expected != Expected::Absent => {
                return Ok(Swap::Conflict { found: None });
            }
            Some(Bug::DropsTrailingZeros) => {
                while bytes.last() == Some(&0) {
                    bytes.pop();
                }
            }
            Some(Bug::HeldMeansReadOnly) if self.is_leased(key) => {
                return Err(StoreError::new(StoreErrorKind::Locked, "somebody has the lease"));
            }
            Some(Bug::LimitTruncates) => bytes.truncate(1000),
            Some(Bug::TakesAtMostHalfAMebibyte) => bytes.truncate(512 * 1024),
            Some(Bug::ConflictsSaveAllTheSame) => {
                let found = BlockingTokenStore::load(&self.store, key)?.map(|there| there.revision);
                let matches = match expected {
                    Expected::Absent => found.is_none(),
                    Expected::Revision(revision) => found == Some(revision),
                };
                let now = found.map_or(Expected::Absent, Expected::Revision);
                BlockingTokenStore::save(&self.store, key, record, now, new)?;
                return Ok(if matches { Swap::Done } else { Swap::Conflict { found } });
            }
            Some(Bug::SwapIsNotAtomic) => {
                let found = BlockingTokenStore::load(&self.store, key)?.map(|there| there.revision);
                let now = found.map_or(Expected::Absent, Expected::Revision);
                if now != expected {
                    return Ok(Swap::Conflict { found });
                }
                std::thread::sleep(Duration::from_millis(2));
                let found = BlockingTokenStore::load(&self.store, key)?.map(|there| there.revision);
                let now = found.map_or(Expected::Absent, Expected::Revision);
                BlockingTokenStore::save(&self.store, key, record, now, new)?;
                return Ok(Swap::Done);
            }
            _ => {}
        }
        BlockingTokenStore::save(&self.store, key, &SecretBytes::from(bytes), expected, new)
    }

    fn remove(&self, key: &StoreKey, expected: Revision) -> Result<Swap, StoreError> {
        let key = &self.key(key);
        let found = BlockingTokenStore::load(&self.store, key)?.map(|there| there.revision);
        match self.bug {
            Some(Bug::RemovesNothing) if found == Some(expected) => return Ok(Swap::Done),
            Some(Bug::RemovalOfNothingIsDone) if found.is_none() => return Ok(Swap::Done),
            Some(Bug::RemovalIgnoresRevision) => {
                let found = found.unwrap_or(expected);
                return BlockingTokenStore::remove(&self.store, key, found);
            }
            Some(Bug::RemovalIsNotAtomic) if found == Some(expected) => {
                std::thread::sleep(Duration::from_millis(2));
                if let Some(there) = BlockingTokenStore::load(&self.store, key)? {
                    BlockingTokenStore::remove(&self.store, key, there.revision)?;
                }
                return Ok(Swap::Done);
            }
            _ => self.removed.lock().unwrap().push(key.clone()),
        }
        BlockingTokenStore::remove(&self.store, key, expected)
    }

    fn try_lease(&self, key: &StoreKey, ttl: Duration) -> Result<LeaseAnswer, StoreError> {
        if self.has(Bug::LeaseIsUnsupported) {
            return Ok(LeaseAnswer::Unsupported);
        }
        let asked = ttl;
        let ttl = match self.bug {
            Some(Bug::LeaseEndsEarly) => ttl / 4,
            Some(Bug::LeaseNeverEnds) => Duration::from_secs(3600),
            _ => ttl,
        };
        let key = &self.lease_key(key);
        match BlockingTokenStore::try_lease(&self.store, key, ttl)? {
            LeaseAnswer::Granted(mut lease) if self.has(Bug::OwnersComeAgain) => {
                self.owners.lock().unwrap().insert(key.clone(), lease.owner);
                let n = self.stolen.fetch_add(1, Ordering::SeqCst) % 4;
                lease.owner = LeaseOwner::from_bytes([n + 1; 16]);
                Ok(LeaseAnswer::Granted(lease))
            }
            LeaseAnswer::Granted(mut lease) if self.has(Bug::LeaseEndsEarly) => {
                lease.ends_in = Some(asked);
                Ok(LeaseAnswer::Granted(lease))
            }
            LeaseAnswer::Granted(mut lease) => {
                lease.lapsed &= !self.has(Bug::NeverLapsed);
                lease.ends_in = lease.ends_in.map(|end| end.min(Duration::from_secs(300)));
                Ok(LeaseAnswer::Granted(lease))
            }
            LeaseAnswer::Held(_) if self.has(Bug::GrantsTwice) => {
                let owner = [self.stolen.fetch_add(1, Ordering::SeqCst); 16];
                let owner = LeaseOwner::from_bytes(owner);
                let lease = cotter_core::Lease {
                    owner,
                    ends_in: Some(ttl),
                    lapsed: false,
                    waited: Duration::ZERO,
                };
                Ok(LeaseAnswer::Granted(lease))
            }
            answer => Ok(answer),
        }
    }

    fn release(&self, key: &StoreKey, owner: LeaseOwner) -> Result<(), StoreError> {
        let key = &self.lease_key(key);
        match self.bug {
            Some(Bug::OwnersComeAgain) => {
                let owner = self.owners.lock().unwrap().remove(key).unwrap_or(owner);
                BlockingTokenStore::release(&self.store, key, owner)
            }
            Some(Bug::ReleaseIgnored) => Ok(()),
            Some(Bug::ReleasedByAnybody) => {
                for n in 1..100_u128 {
                    let owner = LeaseOwner::from_bytes(n.to_be_bytes());
                    BlockingTokenStore::release(&self.store, key, owner)?;
                }
                Ok(())
            }
            _ => BlockingTokenStore::release(&self.store, key, owner),
        }
    }

    fn list(&self) -> Result<Vec<StoreKey>, StoreError> {
        if self.has(Bug::ErrorNamesSession) {
            let keys = BlockingTokenStore::list(&self.store)?;
            let message = format!("cannot list {:?}", keys[0].session());
            return Err(StoreError::new(StoreErrorKind::Unsupported, message));
        }
        let mut keys = BlockingTokenStore::list(&self.store)?;
        if self.has(Bug::ListsRemoved) {
            keys.extend(self.removed.lock().unwrap().iter().cloned());
        }
        Ok(keys)
    }
}

impl Broken {
    fn is_leased(&self, key: &StoreKey) -> bool {
        let answer = BlockingTokenStore::try_lease(&self.store, key, Duration::from_secs(1));
        match answer.unwrap() {
            LeaseAnswer::Granted(lease) => {
                BlockingTokenStore::release(&self.store, key, lease.owner).unwrap();
                false
            }
            _ => true,
        }
    }
}

fn subject(bug: Option<Bug>) -> Subject {
    Subject::blocking(|| Broken {
        store: Memory::new(),
        bug,
        removed: Mutex::default(),
        stolen: AtomicU8::new(1),
        owners: Mutex::default(),
    })
}

const TABLE: &[(Bug, &[(&str, Clause)])] = &[
    (
        Bug::AbsentIsEmpty,
        &[
            ("absent", clauses::a_record_that_was_never_saved_is_none),
            ("no creation", clauses::a_save_that_expects_a_record_does_not_create_one),
        ],
    ),
    (Bug::AllLeasesAreOne, &[("independent", clauses::leases_of_different_keys_are_independent)]),
    (
        Bug::CannotOverwrite,
        &[("replaces", clauses::a_save_over_the_expected_revision_replaces_the_record)],
    ),
    (
        Bug::ConflictsSaveAllTheSame,
        &[
            ("absence", clauses::a_save_that_expects_absence_does_not_replace_a_record),
            ("creation", clauses::a_save_that_expects_a_record_does_not_create_one),
            ("another", clauses::a_save_that_expects_another_revision_changes_nothing),
            ("reuse", clauses::a_removed_and_reused_key_does_not_match_its_old_revision),
        ],
    ),
    (Bug::DropsTrailingZeros, &[("bytes", clauses::a_record_comes_back_byte_for_byte)]),
    (Bug::ErrorNamesSession, &[("names", clauses::an_error_names_no_session)]),
    (Bug::FoldsCase, &[("odd names", clauses::odd_session_names_keep_apart)]),
    (
        Bug::GrantsTwice,
        &[
            ("excludes", clauses::a_lease_excludes_everybody_else),
            ("one of many", clauses::one_of_many_gets_the_lease),
        ],
    ),
    (Bug::HeldMeansReadOnly, &[("no hold-up", clauses::a_lease_holds_up_no_reader_and_no_writer)]),
    (Bug::LeaseEndsEarly, &[("until its end", clauses::a_lease_is_held_until_its_end)]),
    (Bug::LeaseIsUnsupported, &[("says", clauses::what_the_store_cannot_do_it_says)]),
    (
        Bug::LimitIgnored,
        &[("limit", clauses::a_record_over_the_limit_is_too_large_and_changes_nothing)],
    ),
    (
        Bug::LimitTruncates,
        &[("limit", clauses::a_record_over_the_limit_is_too_large_and_changes_nothing)],
    ),
    (
        Bug::ListsRemoved,
        &[("removal", clauses::a_removal_leaves_nothing), ("listing", clauses::a_listing_is_exact)],
    ),
    (Bug::NeverLapsed, &[("lapse", clauses::a_lease_ends_by_itself_and_is_taken_over_as_lapsed)]),
    (
        Bug::LeaseNeverEnds,
        &[("lapse", clauses::a_lease_ends_by_itself_and_is_taken_over_as_lapsed)],
    ),
    (Bug::OwnersComeAgain, &[("owners", clauses::every_lease_has_an_owner_of_its_own)]),
    (
        Bug::ReleasedByAnybody,
        &[
            ("stranger", clauses::a_stranger_releases_nothing),
            ("successor", clauses::who_let_a_lease_lapse_cannot_release_its_successor),
        ],
    ),
    (Bug::ReleaseIgnored, &[("released", clauses::a_released_lease_is_free)]),
    (
        Bug::RemovalIgnoresRevision,
        &[
            ("another", clauses::a_removal_that_expects_another_revision_changes_nothing),
            ("reuse", clauses::a_removed_and_reused_key_does_not_match_its_old_revision),
        ],
    ),
    (Bug::RemovalIsNotAtomic, &[("at once", clauses::a_removal_and_a_save_at_once_are_told_apart)]),
    (Bug::RemovalOfNothingIsDone, &[("nothing", clauses::a_removal_of_nothing_is_a_conflict)]),
    (Bug::RemovesNothing, &[("removal", clauses::a_removal_leaves_nothing)]),
    (
        Bug::SwapIsNotAtomic,
        &[
            ("writers", clauses::concurrent_writers_lose_no_update),
            ("creators", clauses::concurrent_creators_are_told_apart),
            ("at once", clauses::a_removal_and_a_save_at_once_are_told_apart),
        ],
    ),
    (
        Bug::TakesAtMostHalfAMebibyte,
        &[("mebibyte", clauses::records_of_one_mebibyte_fit_or_are_too_large)],
    ),
    (Bug::UnframedKeys, &[("keys", clauses::keys_do_not_mix_across_provider_client_and_session)]),
];

#[test]
fn every_broken_store_is_caught() {
    for (bug, caught_by) in TABLE {
        for (name, clause) in *caught_by {
            let healthy = catch_unwind(AssertUnwindSafe(|| clause(&subject(None))));
            assert!(healthy.is_ok(), "{name} fails on a store that keeps the contract");
            let broken = catch_unwind(AssertUnwindSafe(|| clause(&subject(Some(*bug)))));
            assert!(broken.is_err(), "{name} does not see {bug:?}");
        }
    }
}
