//! Keeps cotter's records, or just the sealing key, in the operating system's keyring.
//!
//! - [`KeyringKey`] keeps **only the sealing key** there, and the records lie sealed in a file or
//!   sled store. Take this: it is fast, it has no size limit, and it is durable.
//! - [`KeyringStore`] keeps **whole records** there. Long ones are split where the keyring has a
//!   limit (2560 bytes on Windows): pieces under a fresh id first, then the one entry that counts,
//!   with a checksum; pieces of a write that was cut off are swept by the next.
//!
//! Both talk to a [`Backend`]: [`OsKeyring`] for real ones (the Secret Service over D-Bus on Linux,
//! the Keychain on macOS, the Credential Manager on Windows; with the feature `keyutils` the Linux
//! kernel's), or one of your own.
//!
//! # What a keyring does that a file does not
//!
//! - **It hangs.** Every call runs on one thread of its own, with a deadline for who waits. A write
//!   that has no answer by then is [`Timeout`]: it may have happened. Nothing written later
//!   overtakes it; what had not begun is withdrawn and is [`Unavailable`].
//! - **It is locked.** That is [`Locked`], with what to do; no daemon is [`Unavailable`]. A Secret
//!   Service that is locked may claim that there is no entry: absence is believed only if the
//!   default collection is open, so a locked keyring never looks like a session that is signed out.
//! - **It has no compare-and-swap and no lease.** Both come from lock files in a folder that all
//!   processes of the user name alike ([`runtime_folder`]). Who writes to the same entries without
//!   them can lose a refresh token.
//! - **It promises nothing about power cuts**, so [`KeyringStore`] does not say that it is durable:
//!   gnome-keyring writes a file, others do what they do.
//! - **It encrypts by itself**, under the login password as a rule, and while it is unlocked every
//!   program of the user can read it. [`KeyringStore`] adds no encryption of its own.
//!
//! Entries belong to the service `cotter`; their names are hashes or random, so no account name, API
//! key id or subject stands in clear in a name, which a keyring may show or log while locked.
//!
//! # What it costs to build
//!
//! On Linux this goes through libdbus, and the feature `vendored` (default) builds that from source:
//! a C compiler is all it needs. Without it `pkg-config` must find `libdbus-1`. The pure Rust
//! alternative was weighed and left: it brings some 60 crates more and an async runtime.
//!
//! [`Locked`]: cotter_core::StoreErrorKind::Locked
//! [`Timeout`]: cotter_core::StoreErrorKind::Timeout
//! [`Unavailable`]: cotter_core::StoreErrorKind::Unavailable

mod backend;
#[cfg(any(
    all(feature = "native", any(target_os = "linux", target_os = "macos", windows)),
    all(feature = "keyutils", target_os = "linux"),
))]
mod core_ring;
#[cfg(all(feature = "native", any(target_os = "linux", target_os = "macos", windows)))]
mod entropy;
mod index;
mod key;
mod locks;
mod manifest;
mod records;
#[cfg(all(feature = "native", target_os = "linux"))]
mod secret_service;
mod store;
mod worker;

pub use backend::Backend;
#[cfg(any(
    all(feature = "native", any(target_os = "linux", target_os = "macos", windows)),
    all(feature = "keyutils", target_os = "linux"),
))]
pub use core_ring::OsKeyring;
pub use key::KeyringKey;
pub use locks::runtime_folder;
pub use store::KeyringStore;
