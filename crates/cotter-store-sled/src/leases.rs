//! Who may exchange: a table in memory, since one process owns the database.

use core::time::Duration;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use cotter_core::{Holder, Lease, LeaseAnswer, LeaseOwner, Timestamp};
use cotter_seal::RecordName;

#[derive(Debug, Default)]
pub(crate) struct Leases(Mutex<Table>);

#[derive(Debug, Default)]
struct Table {
    held: HashMap<RecordName, (LeaseOwner, Timestamp)>,
    given: u128,
}

impl Leases {
    /// `waited` is for the lease's holder to know.
    pub(crate) fn try_lease(&self, name: RecordName, waited: Duration) -> LeaseAnswer {
        let mut table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, since)) = table.held.get(&name) {
            return LeaseAnswer::Held(Holder::process(std::process::id(), Some(*since)));
        }
        table.given += 1;
        let owner = LeaseOwner::from_bytes(table.given.to_be_bytes());
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let since = Timestamp::EPOCH.saturating_add(since);
        table.held.insert(name, (owner, since));
        LeaseAnswer::Granted(Lease { waited, ..Lease::until_given_back(owner) })
    }

    pub(crate) fn release(&self, name: RecordName, owner: LeaseOwner) {
        let mut table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if table.held.get(&name).is_some_and(|(held_by, _)| *held_by == owner) {
            table.held.remove(&name);
        }
    }
}
