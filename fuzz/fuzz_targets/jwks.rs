//! Keys from a server: nothing panics, and what is usable is a key of a known type.
#![no_main]

use cotter_jwt::{KeySet, RemotePolicy};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(keys) = KeySet::from_json(bytes) {
        assert!(keys.keys().count() <= 256);
        assert_eq!(keys.usable(), keys.keys().filter(|key| key.is_usable()).count());
        for key in keys.keys().filter(|key| key.is_usable()) {
            assert!(key.public().is_some());
        }
        assert_eq!(KeySet::from_json(bytes).unwrap().usable(), keys.usable());
    }
    if let Ok(text) = core::str::from_utf8(bytes) {
        let policy = RemotePolicy::default();
        let (control, age) = text.split_once('\n').unwrap_or((text, ""));
        let fresh = policy.fresh_for(Some(control), Some(age));
        assert!(fresh >= policy.min_ttl && fresh <= policy.max_ttl);
    }
});
