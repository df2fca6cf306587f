//! The operating system's randomness.

use cotter_core::Entropy;
use cotter_core::entropy::EntropyUnavailable;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Os;

impl Entropy for Os {
    fn fill(&self, buffer: &mut [u8]) -> Result<(), EntropyUnavailable> {
        getrandom::fill(buffer).map_err(|_| EntropyUnavailable)
    }
}
