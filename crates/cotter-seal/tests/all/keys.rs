use cotter_core::StoreErrorKind;
use cotter_seal::{Keys, SealKey};

use crate::{Counting, Dry, seal_key};

#[test]
fn a_key_survives_its_text() {
    let key = SealKey::generate(&Counting::default()).unwrap();
    let text = key.to_base64();
    for spelling in [text.to_string(), format!(" {}\n", text.as_str())] {
        assert_eq!(SealKey::from_base64(&spelling).unwrap().expose(), key.expose());
    }
}

#[test]
fn what_is_no_key_is_refused_and_not_printed() {
    let almost = seal_key(7).to_base64();
    let almost = almost.as_str();
    let short = &almost[..40];
    for bad in ["", "PLANTED", short, &almost[..43], &format!("{almost}{almost}"), "*"] {
        let error = SealKey::from_base64(bad).unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::KeyWrong, "{bad}");
        assert!(bad.is_empty() || !format!("{error} {error:?}").contains(bad));
    }
    assert!(SealKey::generate(&Dry).is_err());
}

#[test]
fn no_key_prints_its_bytes() {
    let keys = Keys::new(seal_key(0xab)).with_old(seal_key(0xcd));
    let printed = format!("{keys:?} {:#?} {:?}", keys, keys.newest()).to_lowercase();
    for secret in ["abab", "171, 171", "cdcd", "205, 205", "q6ur"] {
        assert!(!printed.contains(secret), "{printed}");
    }
}

#[test]
fn the_first_key_seals_and_each_is_found_by_its_name() {
    let keys = Keys::new(seal_key(1)).with_old(seal_key(2)).with_old(seal_key(3));
    assert_eq!(keys.newest().id(), seal_key(1).id());
    for byte in 1..=3 {
        assert_eq!(keys.find(seal_key(byte).id()).unwrap().expose(), &[byte; 32]);
    }
    assert!(keys.find(seal_key(4).id()).is_none());
}
