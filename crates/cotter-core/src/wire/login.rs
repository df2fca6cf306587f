//! The requests of a login, and what their answers mean (protocol page 2.5 to 2.7).

use alloc::string::String;

use zeroize::Zeroizing;

pub(crate) use super::said::cleaned;

/// An address with a query, every value of it percent-encoded; wiped when dropped.
pub(crate) struct Query {
    address: Zeroizing<String>,
    empty: bool,
}

impl Query {
    /// The address of this path below `base`.
    pub(crate) fn of(base: &str, path: &str) -> Self {
        let mut address = Zeroizing::new(String::with_capacity(1024));
        address.push_str(base);
        address.push_str(path);
        Self { address, empty: true }
    }

    pub(crate) fn push(&mut self, name: &str, value: &str) {
        // Letters may triple; a string that grows leaves its old self behind.
        let needed = self.address.len() + 2 + 3 * (name.len() + value.len());
        if needed > self.address.capacity() {
            let mut roomier = Zeroizing::new(String::with_capacity(2 * needed));
            roomier.push_str(&self.address);
            self.address = roomier;
        }
        self.address.push(if core::mem::take(&mut self.empty) { '?' } else { '&' });
        encode(&mut self.address, name);
        self.address.push('=');
        encode(&mut self.address, value);
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.address
    }
}

/// Appends `text`, percent-encoded but for what RFC 3986 section 2.3 leaves as it is.
fn encode(out: &mut String, text: &str) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let (high, low) = (usize::from(byte >> 4), usize::from(byte & 15));
            out.push('%');
            out.push(char::from(HEX[high]));
            out.push(char::from(HEX[low]));
        }
    }
}
