//! A record that was opened, and a server's answer: nothing panics, and what is read can be written and
//! read again.
#![no_main]

use cotter_core::{OAuthToken, Record, SecretBytes};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(record) = Record::decode(&SecretBytes::from(bytes.to_vec())) {
        let written = record.encode();
        let again = Record::decode(&written).unwrap();
        assert!(again.encode() == written);
    }
    if let Ok(set) = core::str::from_utf8(bytes).unwrap_or_default().parse::<OAuthToken>() {
        if let Some(Ok(claims)) = set.access_token().map(|token| token.claims()) {
            let _ = claims.to_json();
        }
        if let Some(Ok(claims)) = set.id_token().map(|token| token.claims()) {
            let _ = claims.to_json();
        }
    }
});
