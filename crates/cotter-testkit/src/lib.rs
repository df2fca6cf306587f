//! Contracts and fakes for people who write a token store, a transport or an app with cotter.
//!
//! - [`store_contract!`] and [`transport_contract!`] turn one line into the tests that every store
//!   and every transport must pass.
//! - [`ManualClock`], [`SeededEntropy`] and [`ScriptedTransport`] stand in for the world.
//! - [`FaultStore`] wraps any store and fails when the test wants it to; [`Gate`] holds a call up.
//! - [`wire::Server`] is a server on loopback that misbehaves byte by byte.
//!
//! ```
//! use cotter_core::{BlockingTokenStore as _, StoreErrorKind, StoreKey};
//! use cotter_store_memory::Memory;
//! use cotter_testkit::store::{Subject, clauses};
//! use cotter_testkit::{Fault, FaultStore, Op, store_contract};
//!
//! // In the tests of a store: the whole contract, a test for each clause.
//! store_contract!(blocking memory, Memory::new);
//!
//! // One clause, by hand.
//! clauses::a_record_comes_back_byte_for_byte(&Subject::blocking(Memory::new));
//!
//! // In the tests of an app: a store that fails when the test says so.
//! let store = FaultStore::new(Memory::new());
//! store.on_next(Op::Load, Fault::Fail(StoreErrorKind::Locked));
//! let key = StoreKey::new("https://auth.example", "my-app", "ada")?;
//! assert_eq!(store.load(&key).unwrap_err().kind(), StoreErrorKind::Locked);
//! assert!(store.load(&key).is_ok_and(|found| found.is_none()));
//! # Ok::<(), cotter_core::Error>(())
//! ```
//!
//! The feature `async` (default) adds the async forms, which need tokio.

pub mod certificates;
mod clock;
mod entropy;
mod fault;
mod gate;
mod kept;
mod scripted;
pub mod store;
pub mod transport;
pub mod wire;

pub use clock::ManualClock;
pub use entropy::SeededEntropy;
pub use fault::{Call, Fault, FaultStore, Op};
pub use gate::Gate;
pub use kept::Kept;
pub use scripted::{Recorded, ScriptedTransport};
