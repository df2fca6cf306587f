use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;

use proptest::prelude::*;

use super::*;

const SECRET: &str = "4711:fJ2k/Q8vB0+LmX7cRtY1nWz5";

#[test]
fn a_secret_that_a_server_repeats_is_cut_out_in_every_form() {
    let opaque = SECRET.split_once(':').unwrap().1;
    for secret in [SECRET, opaque] {
        let hex = |upper: bool| -> String {
            let one = |byte| if upper { format!("{byte:02X}") } else { format!("{byte:02x}") };
            secret.bytes().map(one).collect()
        };
        let decimal: Vec<String> = secret.bytes().map(|byte| format!("{byte}")).collect();
        let forms = [
            secret.to_owned(),
            secret.replace('/', "%2F").replace('+', "%2B").replace(':', "%3A"),
            secret.replace('/', "%2f").replace('+', "%2b").replace(':', "%3a"),
            STANDARD_NO_PAD.encode(secret),
            URL_SAFE_NO_PAD.encode(secret),
            hex(true),
            hex(false),
            decimal.join(", "),
            decimal.join(","),
        ];
        for form in forms {
            let text = format!("token <{form}> is bad");
            assert_eq!(cleaned(&text, &[SECRET]), "token <[redacted]> is bad", "{form}");
        }
    }
}

#[test]
fn a_secret_inside_a_longer_base64_text_is_cut_out_too() {
    for before in ["", "c", "cl", "cli", "client:"] {
        let encoded = STANDARD_NO_PAD.encode(format!("{before}{SECRET}:tail"));
        let left = cleaned(&encoded, &[SECRET]);
        let shared = |text: &str| text.len() >= 5 && encoded[12..34].contains(text);
        assert!(left.contains(CUT), "{left}");
        assert!(!left.split(CUT).any(shared), "{left} of {encoded}");
    }
}

#[test]
fn half_a_secret_is_cut_out_as_well() {
    let half = &SECRET[..16];
    assert_eq!(cleaned(&format!("bad token {half}..."), &[SECRET]), "bad token [redacted]...");
    assert_eq!(cleaned(&format!("bad: {}", SECRET.to_uppercase()), &[SECRET]), "bad: [redacted]");
}

#[test]
fn a_secret_with_unprintable_letters_is_found_in_printable_text() {
    let secret = "ab\u{1}cd\u{200b}efgh\tij";
    assert_eq!(cleaned(&format!("<{secret}>"), &[secret]), "<[redacted]>");
    assert_eq!(cleaned("<abcdefgh ij>", &[secret]), "<[redacted]>");
    assert_eq!(cleaned("<ab\u{2}cdef\u{feff}gh ij>", &[secret]), "<[redacted]>");
}

#[test]
fn a_short_secret_is_cut_out_and_single_letters_are_not() {
    assert_eq!(cleaned("pw s3cr3t!", &["s3cr3"]), "pw [redacted]t!");
    assert_eq!(cleaned("ok", &["", "k"]), "ok");
    assert_eq!(cleaned("", &[SECRET]), "");
    assert_eq!(cleaned("1:ab", &["1:ab"]), "[redacted]");
    // Without its id, a short token is still the secret half of it; two letters are in every word.
    assert_eq!(cleaned("bad: ab12", &["4711:ab12"]), "bad: [redacted]");
    assert_eq!(cleaned("0x6b6b6b, 6b6b", &["kk"]), "0x6b6b6b, 6b6b");
}

#[test]
fn what_looks_like_a_jwt_is_cut_out() {
    let jwt = "got eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln, sorry";
    assert_eq!(cleaned(jwt, &[]), "got [redacted], sorry");
}

#[test]
fn what_is_left_is_short_and_printable() {
    assert_eq!(cleaned("a\u{0}b\nc\u{1b}[31md\u{202e}e", &[]), "ab c[31mde");
    assert_eq!(cleaned("tag \u{e0041}\u{e000}\u{2028}x", &[]), "tag  x");
    assert_eq!(cleaned("it's \"żółw\" \\ 日本", &[]), "it's \"żółw\" \\ 日本");
    assert_eq!(cleaned(&"ż".repeat(500), &[]).chars().count(), 200);
}

#[test]
fn a_secret_at_the_edge_of_what_is_looked_at_does_not_show() {
    for filler in (LOOKED_AT - 40)..(LOOKED_AT + 4) {
        // Jots the filler down as one redacted piece, so that the edge is within what is kept.
        let text = format!("{}{SECRET}", "e".repeat(filler)).replacen("eee", "eyJ", 1);
        let text = text.replace("eeeee4711", "eeeee 4711");
        let left = cleaned(&text, &[SECRET]);
        assert!(!left.contains("4711"), "{filler}: {left}");
    }
}

#[test]
fn a_long_text_of_one_letter_takes_no_time() {
    let secret = "a".repeat(64 * 1024);
    assert_eq!(cleaned(&"a".repeat(64 * 1024), &[&secret]), CUT);
}

proptest! {
    #[test]
    fn no_text_panics_and_no_long_piece_of_a_secret_is_left(
        secret in "[a-zA-Z0-9:/+_-]{4,60}",
        before in "\\PC{0,30}",
        after in "\\PC{0,30}",
        from in 0usize..30,
    ) {
        let piece = secret.get(from..).unwrap_or(&secret);
        let left = cleaned(&format!("{before}{piece}{after}"), &[&secret]);
        prop_assert!(left.chars().count() <= MOST);
        if piece.len() >= PIECE {
            prop_assert!(!left.contains(piece));
        }
    }
}
