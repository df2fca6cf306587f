//! The operating system's randomness.

use cotter_core::Entropy;
use cotter_core::entropy::EntropyUnavailable;

/// The operating system's generator.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct OsEntropy;

impl OsEntropy {
    /// The operating system's generator.
    #[must_use]
    pub const fn new() -> Self {
        Self
    }
}

impl Entropy for OsEntropy {
    fn fill(&self, buffer: &mut [u8]) -> Result<(), EntropyUnavailable> {
        getrandom::fill(buffer).map_err(|_| EntropyUnavailable)
    }
}
