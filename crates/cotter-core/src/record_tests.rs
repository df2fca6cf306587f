use super::*;
use alloc::string::ToString;
use alloc::{format, vec};

fn life() -> Life {
    Life {
        received_at: Timestamp::from_unix_seconds(1_767_225_600),
        received_boot: BootTime::from_millis(5_000),
        boot_id: BootId::from_bytes([9; 16]),
        ends_at: Timestamp::from_unix_seconds(1_767_229_200),
        total: Duration::from_secs(3600),
    }
}

fn full() -> Record {
    Record {
        seq: 7,
        access: Some(Timed { token: AccessToken::new("PLANTED-ACCESS"), life: life() }),
        id: Some(Timed { token: IdToken::new("PLANTED-ID"), life: life() }),
        refresh: Some(RefreshToken::new("4711:PLANTED-REFRESH")),
        token_type: "Bearer".to_string(),
        auth_method: Some("OTP".to_string()),
        scope: Some("access".to_string()),
        user: Some("3f5b8c1e".to_string()),
        journal: Some(Journal {
            attempted_at: Timestamp::from_unix_seconds(1_767_225_700),
            boot: BootTime::from_millis(105_000),
            boot_id: BootId::from_bytes([9; 16]),
            attempt: 2,
        }),
        held: Some(Unfit::OtherUser),
        refusal: Some(Refusal {
            token: Fingerprint::of("4711:PLANTED-REFRESH"),
            at: Timestamp::from_unix_seconds(1),
            until: Timestamp::from_unix_seconds(2),
            count: 3,
            rotation_lost: true,
            code: "not valid".to_string(),
        }),
        rotates: true,
        rejected: Some(Fingerprint::of("PLANTED-ACCESS")),
        exchanged: true,
        unreachable: Some(Now {
            wall: Timestamp::from_unix_seconds(1_767_225_800),
            boot: BootTime::from_millis(205_000),
            boot_id: BootId::from_bytes([9; 16]),
        }),
        unknown: vec![(200, SecretBytes::from(b"from the future".to_vec()))],
    }
}

#[test]
fn every_field_survives_its_bytes() {
    let record = full();
    let bytes = record.encode();
    let back = Record::decode(&bytes).unwrap();
    assert_eq!(back.encode(), bytes);
    assert_eq!(back.access.as_ref().unwrap().token, AccessToken::new("PLANTED-ACCESS"));
    assert_eq!(back.access.unwrap().life, life());
    assert_eq!(back.id.unwrap().token.expose(), "PLANTED-ID");
    assert_eq!(back.refresh.unwrap().expose(), "4711:PLANTED-REFRESH");
    assert_eq!(back.journal, record.journal);
    assert_eq!(back.held, record.held);
    assert_eq!(back.refusal, record.refusal);
    assert_eq!(back.rejected, record.rejected);
    assert_eq!(back.unreachable, record.unreachable);
    assert_eq!((back.seq, back.rotates, back.exchanged), (7, true, true));
    assert_eq!(back.unknown.len(), 1);
}

/// Frozen on the day it shipped: this file is never written again.
#[test]
fn the_first_version_still_loads() {
    let golden = include_bytes!("../tests/golden/record-v1.bin");
    let record = Record::decode(&SecretBytes::from(golden.as_slice())).unwrap();
    // Fields that it does not know yet are as if nothing had been written of them.
    let first = Record { exchanged: false, unreachable: None, ..full() };
    assert_eq!(record.encode(), first.encode());
}

#[test]
fn encoding_never_moves_a_secret() {
    let record = full();
    assert!(record.encode().len() <= record.encoded_length());
}

#[test]
fn every_cut_and_every_flip_is_an_error_or_another_record_never_a_panic() {
    let bytes = full().encode();
    for end in 0..bytes.len() {
        let cut = SecretBytes::from(&bytes.expose()[..end]);
        // A cut between two fields can read as an older record; seals and checksums tell those.
        if let Ok(record) = Record::decode(&cut) {
            assert!(record.encode().len() < bytes.len());
        }
    }
    for at in 0..bytes.len() {
        for bit in 0..8 {
            let mut flipped = bytes.expose().to_vec();
            flipped[at] ^= 1 << bit;
            let _ = Record::decode(&SecretBytes::from(flipped));
        }
    }
}

#[test]
fn a_version_of_the_future_is_too_new_and_nonsense_is_damaged() {
    let kind = |bytes: &[u8]| Record::decode(&SecretBytes::from(bytes)).unwrap_err().kind();
    assert_eq!(kind(&[2, 0, 0]), StoreErrorKind::TooNew);
    for nonsense in [&[][..], &[0], &[1], b"garbage", &[1, 1, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 1]] {
        let expected =
            if nonsense == b"garbage" { StoreErrorKind::TooNew } else { StoreErrorKind::Damaged };
        assert_eq!(kind(nonsense), expected, "{nonsense:?}");
    }
}

#[test]
fn a_record_does_not_print_its_tokens() {
    let printed = format!("{:?} {:#?}", full(), full());
    assert!(!printed.contains("PLANTED"), "{printed}");
}

#[test]
fn a_refusal_binds_only_its_own_token_and_lapses() {
    let mut record = full();
    let at = |seconds| Now {
        wall: Timestamp::from_unix_seconds(seconds),
        boot: BootTime::from_millis(1),
        boot_id: BootId::from_bytes([1; 16]),
    };
    assert!(record.standing_refusal(at(1)).is_some());
    assert!(record.standing_refusal(at(2)).is_none(), "lapsed");
    record.refresh = Some(RefreshToken::new("another"));
    assert!(record.standing_refusal(at(1)).is_none(), "another token");
}

#[test]
fn what_was_unreachable_counts_for_who_waited_and_never_from_the_future() {
    let at = |boot_id: u8, seconds: u16| Now {
        wall: Timestamp::from_unix_seconds(1_767_225_600 + i64::from(seconds)),
        boot: BootTime::from_millis(u64::from(seconds) * 1000),
        boot_id: BootId::from_bytes([boot_id; 16]),
    };
    let record = Record { unreachable: Some(at(1, 20)), ..full() };
    // By the boot clock within a boot, by the wall clock between two.
    for boot in [1, 2] {
        assert!(record.was_unreachable(at(boot, 19), at(boot, 30)), "it has waited since");
        assert!(!record.was_unreachable(at(boot, 20), at(boot, 30)), "it began only then");
        assert!(!record.was_unreachable(at(boot, 21), at(boot, 30)));
        assert!(!record.was_unreachable(at(boot, 10), at(boot, 19)), "from the future");
    }
    // A wall clock that is off does not matter within one boot.
    let set_back = |seconds| Now { wall: Timestamp::EPOCH, ..at(1, seconds) };
    assert!(record.was_unreachable(set_back(19), set_back(30)));
    assert!(!record.was_unreachable(set_back(21), set_back(30)));
}
