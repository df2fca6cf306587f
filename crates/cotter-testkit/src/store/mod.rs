//! The store contract, as tests.

pub mod clauses;

use core::fmt;
use core::time::Duration;
use std::sync::Arc;

#[cfg(feature = "async")]
use cotter_core::TokenStore;
use cotter_core::{
    BlockingTokenStore, Capabilities, Expected, LeaseAnswer, LeaseOwner, Loaded, Revision,
    SecretBytes, StoreError, StoreKey, Swap,
};

/// Makes a module of tests, one for each clause of the store contract.
///
/// The word before the name says which world is tested, the expression makes an empty store: a
/// closure for `blocking`, a closure that gives a future for `async` (it runs on tokio). Clauses
/// that the store's [`Capabilities`] exclude pass unseen, and what it cannot do must be answered
/// with `Unsupported`. Leases must end by a real clock. [`Kept`](crate::Kept) keeps a temporary
/// folder alive.
///
/// ```
/// # struct Memory; impl Memory { fn new() -> Memory { Memory } }
/// # macro_rules! store_contract { ($($t:tt)*) => {} }
/// store_contract!(blocking memory, Memory::new);
/// store_contract!(async memory_async, || async { Memory::new() });
/// ```
#[macro_export]
macro_rules! store_contract {
    (blocking $name:ident, $make:expr) => {
        $crate::store_contract!(@module $name, blocking, $make);
    };
    (async $name:ident, $make:expr) => {
        $crate::store_contract!(@module $name, asynchronous, $make);
    };
    (@module $name:ident, $world:ident, $make:expr) => {
        mod $name {
            #[allow(unused_imports, reason = "the maker may need nothing from here")]
            use super::*;

            $crate::store_contract!(@clauses $world, $make;
                a_record_comes_back_byte_for_byte
                a_record_that_was_never_saved_is_none
                a_save_over_the_expected_revision_replaces_the_record
                a_save_that_expects_absence_does_not_replace_a_record
                a_save_that_expects_a_record_does_not_create_one
                a_save_that_expects_another_revision_changes_nothing
                a_removal_leaves_nothing
                a_removal_that_expects_another_revision_changes_nothing
                a_removal_of_nothing_is_a_conflict
                a_removed_and_reused_key_does_not_match_its_old_revision
                concurrent_writers_lose_no_update
                concurrent_creators_are_told_apart
                a_removal_and_a_save_at_once_are_told_apart
                records_of_one_mebibyte_fit_or_are_too_large
                a_record_over_the_limit_is_too_large_and_changes_nothing
                odd_session_names_keep_apart
                keys_do_not_mix_across_provider_client_and_session
                a_listing_is_exact
                a_lease_excludes_everybody_else
                a_released_lease_is_free
                a_stranger_releases_nothing
                leases_of_different_keys_are_independent
                a_lease_holds_up_no_reader_and_no_writer
                one_of_many_gets_the_lease
                every_lease_has_an_owner_of_its_own
                a_lease_is_held_until_its_end
                a_lease_ends_by_itself_and_is_taken_over_as_lapsed
                who_let_a_lease_lapse_cannot_release_its_successor
                what_the_store_cannot_do_it_says
                an_error_names_no_session
            );
        }
    };
    (@clauses $world:ident, $make:expr; $($clause:ident)*) => {
        $(
            #[test]
            fn $clause() {
                $crate::store::clauses::$clause(&$crate::store::Subject::$world($make));
            }
        )*
    };
}

/// The store under test, asked from a thread in either world.
pub struct Subject(World);

enum World {
    Blocking(Arc<dyn BlockingTokenStore>),
    #[cfg(feature = "async")]
    Async(Arc<dyn TokenStore>, tokio::runtime::Runtime),
}

impl Subject {
    /// A blocking store.
    pub fn blocking<S: BlockingTokenStore + 'static>(make: impl FnOnce() -> S) -> Self {
        Self(World::Blocking(Arc::new(make())))
    }

    /// An async store, made and asked on a tokio runtime of its own.
    ///
    /// # Panics
    /// If no runtime can be made.
    #[cfg(feature = "async")]
    pub fn asynchronous<S, F>(make: impl FnOnce() -> F) -> Self
    where
        S: TokenStore + 'static,
        F: Future<Output = S>,
    {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.expect("a runtime can be made");
        let store = runtime.block_on(async { make().await });
        Self(World::Async(Arc::new(store), runtime))
    }

    fn capabilities(&self) -> Capabilities {
        match &self.0 {
            World::Blocking(store) => store.capabilities(),
            #[cfg(feature = "async")]
            World::Async(store, _) => store.capabilities(),
        }
    }

    fn try_load(&self, key: &StoreKey) -> Result<Option<Loaded>, StoreError> {
        match &self.0 {
            World::Blocking(store) => store.load(key),
            #[cfg(feature = "async")]
            World::Async(store, runtime) => runtime.block_on(store.load(key)),
        }
    }

    /// The revision and the bytes, both of which must be readable.
    fn load(&self, key: &StoreKey) -> Option<(Revision, SecretBytes)> {
        let loaded = self.try_load(key).expect("a load succeeds")?;
        Some((loaded.revision, loaded.record.expect("the record is readable")))
    }

    fn try_save(
        &self,
        key: &StoreKey,
        record: &SecretBytes,
        expected: Expected,
        new: Revision,
    ) -> Result<Swap, StoreError> {
        match &self.0 {
            World::Blocking(store) => store.save(key, record, expected, new),
            #[cfg(feature = "async")]
            World::Async(store, runtime) => {
                runtime.block_on(store.save(key, record, expected, new))
            }
        }
    }

    fn save(&self, key: &StoreKey, record: &[u8], expected: Expected, new: Revision) -> Swap {
        self.try_save(key, &SecretBytes::from(record), expected, new).expect("a save succeeds")
    }

    fn remove(&self, key: &StoreKey, expected: Revision) -> Swap {
        match &self.0 {
            World::Blocking(store) => store.remove(key, expected),
            #[cfg(feature = "async")]
            World::Async(store, runtime) => runtime.block_on(store.remove(key, expected)),
        }
        .expect("a removal succeeds")
    }

    fn try_lease(&self, key: &StoreKey, ttl: Duration) -> LeaseAnswer {
        match &self.0 {
            World::Blocking(store) => store.try_lease(key, ttl),
            #[cfg(feature = "async")]
            World::Async(store, runtime) => runtime.block_on(store.try_lease(key, ttl)),
        }
        .expect("the store answers a request for a lease")
    }

    fn release(&self, key: &StoreKey, owner: LeaseOwner) {
        match &self.0 {
            World::Blocking(store) => store.release(key, owner),
            #[cfg(feature = "async")]
            World::Async(store, runtime) => runtime.block_on(store.release(key, owner)),
        }
        .expect("a release succeeds");
    }

    fn list(&self) -> Result<Vec<StoreKey>, StoreError> {
        match &self.0 {
            World::Blocking(store) => store.list(),
            #[cfg(feature = "async")]
            World::Async(store, runtime) => runtime.block_on(store.list()),
        }
    }
}

impl fmt::Debug for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            World::Blocking(store) => store.fmt(f),
            #[cfg(feature = "async")]
            World::Async(store, _) => store.fmt(f),
        }
    }
}
