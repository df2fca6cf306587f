//! The locks that sessions share, in one place, so that the model in `model.rs` can put its own
//! under the same code.
//!
//! This crate's unit tests get the model's locks, which work inside a model only; tests that need
//! real ones live outside of it.

#[cfg(not(test))]
pub(crate) use std::sync::{Mutex, MutexGuard};

#[cfg(test)]
pub(crate) use shuttle::sync::{Mutex, MutexGuard};

#[cfg(all(feature = "blocking", not(test)))]
pub(crate) use std::sync::Condvar;

#[cfg(all(feature = "blocking", test))]
pub(crate) use shuttle::sync::Condvar;

pub(crate) use self::shown::Shown;

#[cfg(not(test))]
mod shown {
    use core::ops::Deref;
    use std::sync::Arc;

    use arc_swap::ArcSwapOption;

    /// What callers see: read without a lock, replaced under the entry's.
    #[derive(Debug)]
    pub(crate) struct Shown<T>(ArcSwapOption<T>);

    impl<T> Shown<T> {
        pub(crate) fn empty() -> Self {
            Self(ArcSwapOption::empty())
        }

        pub(crate) fn load(&self) -> impl Deref<Target = Option<Arc<T>>> {
            self.0.load()
        }

        pub(crate) fn load_full(&self) -> Option<Arc<T>> {
            self.0.load_full()
        }

        pub(crate) fn store(&self, value: Option<Arc<T>>) {
            self.0.store(value);
        }
    }
}

#[cfg(test)]
mod shown {
    use std::sync::Arc;

    /// The same, as a step that the model can put anywhere.
    #[derive(Debug)]
    pub(crate) struct Shown<T>(shuttle::sync::Mutex<Option<Arc<T>>>);

    impl<T> Shown<T> {
        pub(crate) fn empty() -> Self {
            Self(shuttle::sync::Mutex::new(None))
        }

        pub(crate) fn load(&self) -> impl core::ops::Deref<Target = Option<Arc<T>>> {
            Box::new(self.load_full())
        }

        pub(crate) fn load_full(&self) -> Option<Arc<T>> {
            self.0.lock().expect("nobody panics here").clone()
        }

        pub(crate) fn store(&self, value: Option<Arc<T>>) {
            *self.0.lock().expect("nobody panics here") = value;
        }
    }
}
