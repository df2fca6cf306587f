//! Randomness as an input: core asks for bytes and never draws them.

use core::fmt;

/// Fills buffers with random bytes fit for keys.
///
/// Implement it with the operating system's generator; tests pin it, so that whole transcripts
/// repeat.
pub trait Entropy: Send + Sync + fmt::Debug {
    /// Fills `buffer` with random bytes.
    ///
    /// # Errors
    /// If the system has no randomness to give; `buffer` must not be used then.
    fn fill(&self, buffer: &mut [u8]) -> Result<(), EntropyUnavailable>;
}

/// The system gave no random bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "there is nothing more to say")]
pub struct EntropyUnavailable;

impl fmt::Display for EntropyUnavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the system gave no random bytes")
    }
}

impl core::error::Error for EntropyUnavailable {}
