//! What a server says, made fit for an error text: short, printable, without the request's secrets.

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

/// The most that is kept, in characters.
const MOST: usize = 200;

/// The shortest text that counts as a secret; cutting out single letters would leave nothing.
const SHORTEST: usize = 4;

/// `text` with all `secrets` cut out in every form in which they are likely to come back, and
/// anything that looks like a JWT; then what is printable of it, up to 200 characters.
pub(super) fn cleaned(text: &str, secrets: &[&str]) -> String {
    let mut text: String =
        text.chars().filter(|c| !c.is_control() && !is_invisible(*c)).take(16 * 1024).collect();
    let mut forms: Vec<String> = Vec::new();
    for secret in secrets {
        // The opaque part of `<id>:<opaque>` is a secret of its own.
        let opaque = secret.rsplit(':').next().unwrap_or(secret);
        for secret in [*secret, opaque] {
            if secret.len() >= SHORTEST {
                forms.extend(forms_of(secret));
            }
        }
    }
    forms.sort_by_key(|form| core::cmp::Reverse(form.len()));
    for form in &forms {
        if text.contains(form.as_str()) {
            text = text.replace(form.as_str(), "[redacted]");
        }
    }
    without_jwts(&text).chars().take(MOST).collect()
}

fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// Plain, percent-encoded, base64, hexadecimal and decimal bytes.
fn forms_of(secret: &str) -> [String; 9] {
    let bytes = secret.as_bytes();
    let hex = |upper: bool| {
        bytes.iter().fold(String::new(), |mut out, byte| {
            let _ = if upper { write!(out, "{byte:02X}") } else { write!(out, "{byte:02x}") };
            out
        })
    };
    let percent = |upper: bool| {
        bytes.iter().fold(String::new(), |mut out, byte| {
            if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
                out.push(char::from(*byte));
            } else {
                let _ = if upper { write!(out, "%{byte:02X}") } else { write!(out, "%{byte:02x}") };
            }
            out
        })
    };
    let decimal = |separator: &str| {
        let numbers: Vec<String> = bytes.iter().map(|byte| alloc::format!("{byte}")).collect();
        numbers.join(separator)
    };
    [
        secret.to_owned(),
        percent(true),
        percent(false),
        STANDARD_NO_PAD.encode(bytes),
        URL_SAFE_NO_PAD.encode(bytes),
        hex(false),
        hex(true),
        decimal(", "),
        decimal(","),
    ]
}

/// Cuts out what looks like a JWT: it begins with the base64 of `{"`.
fn without_jwts(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("eyJ") {
        out.push_str(&rest[..at]);
        out.push_str("[redacted]");
        let tail = &rest[at..];
        let end = tail
            .find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '=')))
            .unwrap_or(tail.len());
        rest = &tail[end..];
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_that_a_server_repeats_is_cut_out_in_every_form() {
        let secret = "4711:fJ2k/Q8vB0+LmX";
        for form in forms_of(secret).iter().chain(&forms_of("fJ2k/Q8vB0+LmX")) {
            let text = alloc::format!("token <{form}> is bad");
            let cleaned = cleaned(&text, &[secret]);
            assert_eq!(cleaned, "token <[redacted]> is bad", "{form}");
        }
        let jwt = "got eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln, sorry";
        assert_eq!(cleaned(jwt, &[]), "got [redacted], sorry");
    }

    #[test]
    fn what_is_left_is_short_and_printable() {
        assert_eq!(cleaned("a\u{0}b\nc\u{1b}[31md\u{202e}e", &[]), "abc[31mde");
        assert_eq!(cleaned(&"ż".repeat(500), &[]).chars().count(), 200);
        assert_eq!(cleaned("ok", &["", "k"]), "ok");
    }
}
