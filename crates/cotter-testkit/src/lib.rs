//! Contracts and fakes for people who write a token store, a transport or an app with cotter.
//!
//! - [`store_contract!`] and [`transport_contract!`] turn one line into the tests that every store
//!   and every transport must pass.
//! - [`ManualClock`], [`SeededEntropy`] and [`ScriptedTransport`] stand in for the world.
//! - [`FaultStore`] wraps any store and fails when the test wants it to; [`Gate`] holds a call up.
//! - [`wire::Server`] is a server on loopback that misbehaves byte by byte.
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
