//! Randomness that repeats.

use std::sync::{Arc, Mutex, PoisonError};

use cotter_core::Entropy;
use cotter_core::entropy::EntropyUnavailable;

/// Bytes that look random and are the same for the same seed; never for keys that matter.
///
/// A clone is another handle to the same sequence.
///
/// ```
/// use cotter_core::Entropy;
/// use cotter_testkit::SeededEntropy;
///
/// let (mut a, mut b) = ([0; 16], [0; 16]);
/// SeededEntropy::new(7).fill(&mut a)?;
/// SeededEntropy::new(7).fill(&mut b)?;
/// assert_eq!(a, b);
/// # Ok::<(), cotter_core::entropy::EntropyUnavailable>(())
/// ```
#[derive(Clone, Debug)]
pub struct SeededEntropy(Option<Arc<Mutex<u64>>>);

impl SeededEntropy {
    /// The sequence of this seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(Some(Arc::new(Mutex::new(seed))))
    }

    /// A system that has no randomness to give.
    #[must_use]
    pub const fn unavailable() -> Self {
        Self(None)
    }
}

impl Entropy for SeededEntropy {
    fn fill(&self, buffer: &mut [u8]) -> Result<(), EntropyUnavailable> {
        let state = self.0.as_ref().ok_or(EntropyUnavailable)?;
        let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
        for chunk in buffer.chunks_mut(8) {
            chunk.copy_from_slice(&split_mix(&mut state).to_le_bytes()[..chunk.len()]);
        }
        Ok(())
    }
}

/// SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", 2014).
const fn split_mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draw(entropy: &SeededEntropy) -> [u8; 20] {
        let mut bytes = [0; 20];
        entropy.fill(&mut bytes).unwrap();
        bytes
    }

    #[test]
    fn a_sequence_goes_on_and_clones_share_it() {
        let entropy = SeededEntropy::new(1);
        let other = entropy.clone();
        let first = draw(&entropy);
        assert_ne!(first, draw(&other));
        assert_ne!(draw(&entropy), draw(&other));
        assert_eq!(first, draw(&SeededEntropy::new(1)));
        assert_ne!(first, draw(&SeededEntropy::new(2)));
    }

    #[test]
    fn a_system_without_randomness_says_so() {
        assert_eq!(SeededEntropy::unavailable().fill(&mut [0; 4]), Err(EntropyUnavailable));
    }
}
