//! Where sealing keys may be kept.

mod environment;
mod file;

pub use environment::Environment;
pub use file::KeyFile;
