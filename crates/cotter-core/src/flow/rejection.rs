//! A rejected access token is written down, so that no other process serves it either (rule 16).

use alloc::boxed::Box;
use alloc::sync::Arc;

use super::Outcome;
use super::acquire::{Flight, Seen};
use crate::error::Error;
use crate::record::{Fingerprint, Record};
use crate::step::{Ask, Step};
use crate::store::{Loaded, StoreError, Swap};
use crate::view::View;

impl Flight {
    /// Takes note of whether the record has still to be told what a resource server refused.
    pub(super) fn compare_rejection(&mut self, record: &Record) {
        let owed = self.owes_note(record);
        self.memory.noted = self.memory.rejected.filter(|_| !owed);
    }

    fn owes_note(&self, record: &Record) -> bool {
        let access = record.access.as_ref();
        let access = access.map(|access| Fingerprint::of(access.token.expose()));
        access.is_some() && access == self.memory.rejected && access != record.rejected
    }

    /// Ends the flight; a rejection that no exchange has written down is written down first. Whether
    /// that works changes nothing: this process remembers it.
    pub(super) fn end(self: Box<Self>, result: Result<Arc<View>, Error>) -> Step<Outcome> {
        let owed = self.view.as_ref().is_some_and(|view| self.memory.owes_note(view));
        // A store in trouble is not asked for more, nor is who has the lease disturbed.
        let failed = result.as_ref().is_err_and(|error| error.store_error().is_some());
        if !owed || failed || self.looking {
            return self.close(result);
        }
        Step::Load(Ask::new(
            self.cx.key.clone(),
            move |_, answer: Result<Option<Loaded>, StoreError>| {
                let Ok(Some(Loaded { revision, record: Ok(bytes) })) = answer else {
                    return self.close(result);
                };
                match Record::decode(&bytes) {
                    Ok(mut record) if self.owes_note(&record) => {
                        record.rejected = self.memory.rejected;
                        let seen = Box::new(Seen { record, revision });
                        self.save(seen, move |mut flight, now, seen, answer| {
                            if matches!(answer, Ok(Swap::Done)) {
                                flight.see(&seen.record, seen.revision, now);
                            }
                            flight.close(result)
                        })
                    }
                    _ => self.close(result),
                }
            },
        ))
    }
}
