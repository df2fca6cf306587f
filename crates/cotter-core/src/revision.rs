//! Stamps that never repeat: lineages of tokens and revisions of records.

use core::fmt;

/// Names one sign-in and everything refreshed from it: 128 random bits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Lineage([u8; 16]);

impl Lineage {
    /// A lineage from 16 random bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Debug for Lineage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0[..4].iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// The stamp by which a store compares and swaps: a lineage and a count of its writes.
///
/// Never issued twice for a key, not even across a removal, because each sign-in begins a lineage
/// of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(clippy::exhaustive_structs, reason = "the two parts are the stored format")]
pub struct Revision {
    /// Which sign-in this record descends from.
    pub lineage: Lineage,
    /// Which write of that lineage this is, from 1.
    pub counter: u64,
}

impl Revision {
    /// How many bytes [`to_bytes`](Self::to_bytes) gives.
    pub const LENGTH: usize = 24;

    /// The first revision of a new lineage.
    #[must_use]
    pub const fn first(lineage: Lineage) -> Self {
        Self { lineage, counter: 1 }
    }

    /// The revision of the next write.
    #[must_use]
    pub const fn next(self) -> Self {
        Self { lineage: self.lineage, counter: self.counter.saturating_add(1) }
    }

    /// Lineage, then the counter big-endian.
    #[must_use]
    pub fn to_bytes(self) -> [u8; Self::LENGTH] {
        let mut bytes = [0; Self::LENGTH];
        let (lineage, counter) = bytes.split_at_mut(16);
        lineage.copy_from_slice(&self.lineage.0);
        counter.copy_from_slice(&self.counter.to_be_bytes());
        bytes
    }

    /// Reads back what [`to_bytes`](Self::to_bytes) wrote.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; Self::LENGTH]) -> Self {
        let mut lineage = [0; 16];
        let mut counter = [0; 8];
        lineage.copy_from_slice(&bytes[..16]);
        counter.copy_from_slice(&bytes[16..]);
        Self { lineage: Lineage(lineage), counter: u64::from_be_bytes(counter) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_revision_survives_its_bytes() {
        let first = Revision::first(Lineage::from_bytes([7; 16]));
        let next = first.next();
        assert_eq!(next.counter, 2);
        assert_eq!(Revision::from_bytes(&next.to_bytes()), next);
        assert_ne!(first.to_bytes(), next.to_bytes());
    }
}
