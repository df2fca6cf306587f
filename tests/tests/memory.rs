//! What is left in memory of a session that was dropped: no refresh token.
//!
//! This reads every writable mapping of the process back and looks for refresh tokens that were
//! signed in with or granted. It runs with a transport that answers from a script, since it holds
//! what cotter's own code does with a token. What nobody can promise:
//!
//! - a real transport copies: the buffers of the HTTP client, of TLS and of the kernel's sockets
//!   are not wiped;
//! - what holds the sign-in before cotter does (an answer of a login server, a file that was read)
//!   is the caller's to wipe;
//! - pages that went to swap, into a core dump or into an image of a virtual machine stay there.
//!   Nothing is locked into memory, and the process can be dumped by its own user;
//! - a value on the stack or in a register may be moved by the compiler and left behind; tokens are
//!   on the heap, where there is one address to wipe;
//! - a process that is killed wipes nothing; then the kernel clears the pages before anybody gets
//!   them.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "it is a test")]

use core::sync::atomic::{AtomicU8, Ordering};
use core::time::Duration;
use std::io::Write as _;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use cotter::seal::{Given, SealKey};
use cotter::store::{File, Memory, Sled};
use cotter::{
    BlockingTokenStore, BlockingTransport, OAuthToken, Provider, SecretBytes, Transport,
    TransportError,
};
use http::{Request, Response};

/// A token that stands in memory only where it is written out. The nth one has `seed + n`.
#[derive(Clone, Copy)]
struct Planted(u8);

impl Planted {
    const LENGTH: usize = 64;

    /// Never as a whole outside of a register.
    fn byte(self, at: usize) -> u8 {
        let mut state = (u64::from(self.0) << 32) | at as u64;
        state = state.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        state ^= state >> 29;
        state = state.wrapping_mul(0xbf58_476d_1ce4_e5b9);
        b"0123456789abcdefghijklmnopqrstuv"[(state >> 59) as usize]
    }

    /// The set of a grant, which wipes itself.
    fn set(self) -> SecretBytes {
        let mut set = SecretBytes::with_capacity(512);
        set.extend_from_slice(br#"{"access_token":"access-"#);
        set.extend_from_slice(&[b'a' + self.0 % 26]);
        set.extend_from_slice(br#"","refresh_token":""#);
        for at in 0..Self::LENGTH {
            set.extend_from_slice(&[self.byte(at)]);
        }
        set.extend_from_slice(br#"","expires_in":3600,"token_type":"Bearer"}"#);
        set
    }

    fn starts(self, bytes: &[u8]) -> bool {
        // Most of it, so that a rest that something else has been written into counts too.
        (16..Self::LENGTH).all(|at| bytes[at] == self.byte(at))
    }

    /// How often it stands in memory that can be written.
    fn found(self) -> usize {
        const CHUNK: usize = 1 << 20;
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        let memory = std::fs::File::open("/proc/self/mem").unwrap();
        let mut buffer = vec![0; CHUNK + Self::LENGTH];
        let here = buffer.as_ptr() as u64..buffer.as_ptr() as u64 + buffer.len() as u64;
        let (sign, mut found) = (self.byte(16), 0);
        for line in maps.lines() {
            let mut words = line.split_whitespace();
            let (range, rights) = (words.next().unwrap(), words.next().unwrap());
            if !rights.starts_with("rw") {
                continue;
            }
            let (start, end) = range.split_once('-').unwrap();
            let (start, end) = (hex(start), hex(end));
            for at in (start..end).step_by(CHUNK) {
                let length = usize::try_from(end - at).unwrap().min(buffer.len());
                // A page that is not there yet, or of a device.
                let Ok(read) = memory.read_at(&mut buffer[..length], at) else { continue };
                // A plain loop: there are many megabytes, and tests are not optimised.
                let mut n = 0;
                while n + Self::LENGTH <= read && n < CHUNK {
                    if buffer[n + 16] == sign
                        && !here.contains(&(at + n as u64))
                        && self.starts(&buffer[n..read])
                    {
                        found += 1;
                    }
                    n += 1;
                }
                buffer.fill(0);
            }
        }
        found
    }
}

fn hex(text: &str) -> u64 {
    u64::from_str_radix(text, 16).unwrap()
}

/// Grants one planted token after the other, and keeps nothing.
#[derive(Clone, Debug)]
struct Script(Arc<AtomicU8>);

impl Script {
    fn answer(&self) -> Result<Response<SecretBytes>, TransportError> {
        let next = Planted(self.0.fetch_add(1, Ordering::Relaxed) + 1);
        Ok(Response::builder().status(200).body(next.set()).unwrap())
    }
}

impl BlockingTransport for Script {
    fn send(
        &self,
        _request: Request<SecretBytes>,
        _timeout: Duration,
    ) -> Result<Response<SecretBytes>, TransportError> {
        self.answer()
    }
}

#[async_trait]
impl Transport for Script {
    async fn send(
        &self,
        _request: Request<SecretBytes>,
        _timeout: Duration,
    ) -> Result<Response<SecretBytes>, TransportError> {
        self.answer()
    }
}

fn provider() -> Provider {
    Provider::oauth2("https://auth.example/token", "client").unwrap()
}

fn sign_in(planted: Planted) -> OAuthToken {
    core::str::from_utf8(planted.set().expose()).unwrap().parse().unwrap()
}

fn store(name: &str, folder: &Path) -> Arc<dyn BlockingTokenStore> {
    let key = Given::new(SealKey::from_bytes([7; 32]));
    match name {
        "file" => Arc::new(File::open(folder.join("file"), key).unwrap()),
        "sled" => Arc::new(Sled::open(folder.join("sled"), key).unwrap()),
        _ => Arc::new(Memory::new()),
    }
}

/// A session signs in with the first token and is granted two more. Then `live` runs.
fn blocking(store: Arc<dyn BlockingTokenStore>, first: Planted, live: &mut dyn FnMut()) {
    let script = Script(Arc::new(AtomicU8::new(first.0)));
    let builder = cotter::blocking::Session::builder(provider()).store(store);
    let session = builder.transport(script).build().unwrap();
    session.sign_in(sign_in(first)).unwrap();
    session.refresh().unwrap();
    session.refresh().unwrap();
    assert_eq!(session.refresh_token().unwrap().expose().len(), Planted::LENGTH);
    live();
}

fn on_tokio(store: Arc<dyn BlockingTokenStore>, first: Planted, live: &mut dyn FnMut()) {
    let runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = { runtime }.worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let script = Script(Arc::new(AtomicU8::new(first.0)));
        let builder = cotter::Session::builder(provider()).blocking_store(store);
        let session = builder.transport(script).build().unwrap();
        session.sign_in(sign_in(first)).await.unwrap();
        session.refresh().await.unwrap();
        session.refresh().await.unwrap();
        assert_eq!(session.refresh_token().await.unwrap().expose().len(), Planted::LENGTH);
        live();
        assert!(session.shutdown(Duration::from_secs(30)).await.is_clean());
    });
}

/// One test, since it looks at the whole process.
#[test]
fn a_dropped_session_leaves_no_refresh_token_in_memory() {
    let home = tempfile::tempdir().unwrap();
    let mut first = Planted(0);
    for name in ["memory", "file", "sled"] {
        for face in [blocking, on_tokio] {
            let folder = home.path().join(first.0.to_string());
            std::fs::create_dir(&folder).unwrap();
            let newest = Planted(first.0 + 2);
            let kept = store(name, &folder);
            let mut seen = 0;
            face(kept, first, &mut || {
                seen = newest.found();
                // A sealed store keeps it in no memory, so one is shown to be found when it is.
                let held = newest.set();
                assert!(newest.found() > seen, "{name}: what stands there is not found");
                drop(held);
            });
            for planted in [first, Planted(first.0 + 1), newest] {
                assert_eq!(planted.found(), 0, "{name}: token {} is left", planted.0 - first.0);
            }
            writeln!(std::io::stdout(), "{name}: {seen} while the session lived").unwrap();
            first = Planted(first.0 + 3);
        }
    }
}
