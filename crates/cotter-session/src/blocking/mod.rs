//! The same sessions for threads: no runtime, no futures; the caller who flies does the work.

mod desk;
mod device;
mod drive;
mod flight;
mod keeper;
mod login;
mod session;

pub use self::device::TrustedDevice;
pub use self::keeper::{Keeper, KeeperBuilder, SessionBuilder, Sleeper};
pub use self::session::Session;
