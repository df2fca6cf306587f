//! The documented format, read with another library and none of this crate's code.

use ring::{aead, hkdf, hmac};

use crate::golden::golden_key;
use crate::{key, record, revision};

const HEADER: &[u8] = include_bytes!("../golden/v1-header.bin");
const RECORD: &[u8] = include_bytes!("../golden/v1-record.bin");
const NAME: &str = include_str!("../golden/v1-name.txt");

#[derive(Clone, Copy)]
struct Length(usize);

impl hkdf::KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

fn derive(salt: &[u8], info: &[u8], length: usize) -> Vec<u8> {
    let mut out = vec![0; length];
    hkdf::Salt::new(hkdf::HKDF_SHA256, salt)
        .extract(golden_key().expose())
        .expand(&[info], Length(length))
        .unwrap()
        .fill(&mut out)
        .unwrap();
    out
}

/// What is sealed in `bytes` from `at` on, with the salt just before.
fn open(bytes: &[u8], at: usize, info: &[u8], name: &[u8]) -> Vec<u8> {
    let derived = derive(&bytes[at - 32..at], info, 44);
    let cipher = aead::UnboundKey::new(&aead::AES_256_GCM, &derived[..32]).unwrap();
    let nonce = aead::Nonce::try_assume_unique_for_key(&derived[32..]).unwrap();
    let associated = aead::Aad::from([&bytes[..at], name].concat());
    let mut sealed = bytes[at..bytes.len() - 8].to_vec();
    let clear = aead::LessSafeKey::new(cipher).open_in_place(nonce, associated, &mut sealed);
    clear.unwrap().to_vec()
}

#[test]
fn the_format_is_what_the_documentation_says() {
    let id = derive(b"", b"cotter-seal v1 key id", 8);

    assert_eq!(&HEADER[..4], b"CSH\x01");
    assert_eq!(&HEADER[4..12], b"\0\x06golden");
    assert_eq!(&HEADER[12..19], b"\0\x05given");
    assert_eq!(HEADER[19..22], [0, 0, 1]);
    assert_eq!(HEADER[22..30], id);
    let names = open(HEADER, 62, b"cotter-seal v1 header", b"");
    let names = hmac::Key::new(hmac::HMAC_SHA256, &names);
    let name = hmac::sign(&names, &key("golden").to_bytes());
    let hex: String = name.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hex, NAME.trim());

    assert_eq!(&RECORD[..6], b"CSR\x01\0\x01");
    assert_eq!(RECORD[6..30], revision(77).to_bytes());
    assert_eq!(RECORD[30..38], id);
    let inside = open(RECORD, 70, b"cotter-seal v1 record", name.as_ref());
    let whose = key("golden").to_bytes();
    let length = u32::try_from(whose.len()).unwrap().to_be_bytes();
    assert_eq!(inside, [&length, whose.as_slice(), record().expose()].concat());

    for file in [HEADER, RECORD] {
        let (body, checksum) = file.split_at(file.len() - 8);
        assert_eq!(ring::digest::digest(&ring::digest::SHA256, body).as_ref()[..8], *checksum);
    }
}
