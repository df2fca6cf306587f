//! What a server says, made fit for an error text: short, printable, without the request's secrets.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use zeroize::Zeroizing;

/// The most that is kept, in characters.
const MOST: usize = 200;

/// How much is looked at, in characters; what is kept comes from there.
const LOOKED_AT: usize = 4096;

/// The shortest text that counts as a secret; cutting out single letters would leave nothing.
const SHORTEST: usize = 4;

/// So many bytes in common with a secret are a piece of it, and cut out: servers quote half a token.
const PIECE: usize = 8;

/// What stands where something was cut out.
const CUT: &str = "[redacted]";

/// `text` without `secrets`, in any form in which they are likely to come back, and without anything
/// that looks like a JWT; then what is printable of it, up to 200 characters.
pub(crate) fn cleaned(text: &str, secrets: &[&str]) -> String {
    let mut seen = Zeroizing::new(String::with_capacity(text.len().min(4 * LOOKED_AT)));
    seen.extend(text.chars().take(LOOKED_AT).filter_map(printable));
    let mut cutter = Cutter::new(&seen);
    if text.chars().nth(LOOKED_AT).is_some() {
        cutter.cut_end();
    }
    for secret in secrets {
        // The opaque part of `<id>:<opaque>` is a secret of its own.
        let opaque = secret.split_once(':').map_or("", |(_, opaque)| opaque);
        for secret in [*secret, opaque] {
            if secret.len() >= SHORTEST {
                forms_of(secret).iter().for_each(|form| cutter.cut(form.as_bytes()));
            }
        }
    }
    cutter.cut_jwts();
    cutter.rest()
}

/// What stands for a character in a line of text: nothing if it cannot be seen.
fn printable(c: char) -> Option<char> {
    // What is debug-printed as itself can be seen; quotes are escaped for another reason.
    match c {
        _ if c.is_whitespace() => Some(' '),
        '\'' | '"' | '\\' => Some(c),
        _ => (c.escape_debug().len() == 1).then_some(c),
    }
}

/// Marks what is to be cut out of a text. Case is ignored throughout.
struct Cutter<'a> {
    text: &'a str,
    folded: Zeroizing<Vec<u8>>,
    pieces: Zeroizing<Vec<Piece>>,
    cut: Vec<bool>,
}

/// Some bytes of the text, where they stand, and whether they were found in a secret already.
type Piece = ([u8; PIECE], usize, bool);

impl<'a> Cutter<'a> {
    fn new(text: &'a str) -> Self {
        let folded = Zeroizing::new(text.as_bytes().to_ascii_lowercase());
        let mut pieces = Zeroizing::new(Vec::with_capacity(folded.len()));
        for (at, window) in folded.windows(PIECE).enumerate() {
            let mut piece = [0; PIECE];
            piece.copy_from_slice(window);
            pieces.push((piece, at, false));
        }
        pieces.sort_unstable();
        let cut = alloc::vec![false; folded.len()];
        Self { text, folded, pieces, cut }
    }

    /// Cuts `form` out, and every longer piece of it; it has no upper case.
    fn cut(&mut self, form: &[u8]) {
        if form.len() < PIECE {
            let found = self.folded.windows(form.len().max(1)).enumerate();
            for (at, _) in found.filter(|(_, window)| *window == form) {
                self.cut[at..at + form.len()].fill(true);
            }
            return;
        }
        for window in form.windows(PIECE) {
            let first = self.pieces.partition_point(|(piece, ..)| piece.as_slice() < window);
            let same = self.pieces[first..].iter_mut().take_while(|(piece, ..)| piece == window);
            for (_, at, found) in same {
                // All of one kind are found together, and once is enough.
                if core::mem::replace(found, true) {
                    break;
                }
                self.cut[*at..*at + PIECE].fill(true);
            }
        }
    }

    /// Cuts off what may be the beginning of a secret that the text ends in.
    fn cut_end(&mut self) {
        let from = self.cut.len().saturating_sub(PIECE);
        self.cut[from..].fill(true);
    }

    /// Cuts out what looks like a JWT: it begins with the base64 of `{"`.
    fn cut_jwts(&mut self) {
        for (at, _) in self.text.match_indices("eyJ") {
            let tail = &self.text.as_bytes()[at..];
            let of_it = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.=+/".contains(byte);
            let length = tail.iter().take_while(|byte| of_it(byte)).count();
            self.cut[at..at + length].fill(true);
        }
    }

    fn rest(&self) -> String {
        let mut out = String::new();
        let mut length = 0;
        let mut cutting = false;
        for (at, c) in self.text.char_indices() {
            let cut = self.cut[at..at + c.len_utf8()].contains(&true);
            let begins = cut && !core::mem::replace(&mut cutting, cut);
            cutting = cut;
            let added = if begins { CUT.len() } else { usize::from(!cut) };
            if length + added > MOST {
                break;
            }
            length += added;
            match (begins, cut) {
                (true, _) => out.push_str(CUT),
                (false, false) => out.push(c),
                (false, true) => {}
            }
        }
        out
    }
}

/// Plain, percent-encoded, base64 (alone or inside something longer), hexadecimal and decimal bytes;
/// all in lower case.
fn forms_of(secret: &str) -> Vec<Zeroizing<String>> {
    let bytes = secret.as_bytes();
    // Room for all of it from the start: a string that grows leaves its old self behind.
    let written = |room: usize, write: &dyn Fn(&mut String, u8)| {
        let mut out = Zeroizing::new(String::with_capacity(room * bytes.len()));
        bytes.iter().for_each(|byte| write(&mut out, *byte));
        out
    };
    let mut seen = Zeroizing::new(String::with_capacity(secret.len()));
    seen.extend(secret.chars().filter_map(printable));
    let mut forms = alloc::vec![
        seen,
        written(3, &|out, byte| {
            if byte.is_ascii_alphanumeric() || b"-._~*".contains(&byte) {
                out.push(char::from(byte));
            } else {
                let _ = write!(out, "%{byte:02x}");
            }
        }),
        written(2, &|out, byte| {
            let _ = write!(out, "{byte:02x}");
        }),
        written(5, &|out, byte| {
            let _ = write!(out, "{byte}, ");
        }),
        written(4, &|out, byte| {
            let _ = write!(out, "{byte},");
        }),
    ];
    for form in &mut forms[3..] {
        let end = form.trim_end_matches([',', ' ']).len();
        form.truncate(end);
    }
    for before in 0..3 {
        // What stands before it shifts the bits; the letters that it shares with that are left out.
        let mut shifted = Zeroizing::new(Vec::with_capacity(before + bytes.len()));
        shifted.resize(before, 0);
        shifted.extend_from_slice(bytes);
        for engine in [STANDARD_NO_PAD, URL_SAFE_NO_PAD] {
            let encoded = Zeroizing::new(engine.encode(&*shifted));
            let own = encoded.get(before + usize::from(before > 0)..).unwrap_or_default();
            forms.push(Zeroizing::new(own.into()));
        }
    }
    forms.iter_mut().for_each(|form| form.make_ascii_lowercase());
    forms.retain(|form| form.len() >= SHORTEST);
    forms
}

#[cfg(test)]
#[path = "said_tests.rs"]
mod tests;
