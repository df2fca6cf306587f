//! The operating system's randomness.

use cotter_core::entropy::EntropyUnavailable;
use cotter_core::{Entropy, StoreError, StoreErrorKind};

#[derive(Clone, Copy, Debug)]
pub(crate) struct Os;

impl Entropy for Os {
    fn fill(&self, buffer: &mut [u8]) -> Result<(), EntropyUnavailable> {
        getrandom::fill(buffer).map_err(|_| EntropyUnavailable)
    }
}

pub(crate) fn random<const N: usize>() -> Result<[u8; N], StoreError> {
    let mut bytes = [0; N];
    Os.fill(&mut bytes).map_err(|error| {
        StoreError::new(StoreErrorKind::Unavailable, "the system gave no random bytes")
            .with_source(error)
    })?;
    Ok(bytes)
}
