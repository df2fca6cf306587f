//! What a warm token costs here and at two peers: one run, one machine, interleaved, the median of
//! many rounds, on one thread and on two.
//!
//! `cargo run --release --manifest-path benches/peers/Cargo.toml`
//!
//! Each side is asked as its users ask it, and holds a token that lives for an hour. yup-oauth2's
//! `AccessTokenAuthenticator` never checks a time, which only helps it.

use core::future::Future;
use core::hint::black_box;
use core::pin::pin;
use core::task::{Context, Poll, Waker};
use std::sync::{Arc, Barrier};
use std::task::Wake;
use std::time::{Instant, SystemTime};

use cotter::store::Memory;
use cotter::{Provider, Session};
use cotter_testkit::ScriptedTransport;
use huskarl::cache::{InMemoryTokenCache, TokenError, TokenSource};
use huskarl::core::platform::MaybeSendBoxFuture;
use huskarl::grant::core::{RawTokenResponse, TokenResponse};
use yup_oauth2::AccessTokenAuthenticator;

const CALLS: u32 = 20_000;
const ROUNDS: usize = 60;

/// A token as long as Cotter's.
fn token() -> String {
    "t".repeat(700)
}

/// Gives one token that lives for an hour.
struct Once;

impl TokenSource for Once {
    fn token(&self) -> MaybeSendBoxFuture<'_, Result<Arc<TokenResponse>, TokenError>> {
        let response = RawTokenResponse::builder()
            .access_token(token().as_str())
            .token_type("bearer")
            .expires_in(3_600)
            .build()
            .into_token_response(None, SystemTime::now())
            .expect("a good response");
        Box::pin(async move { Ok(Arc::new(response)) })
    }
}

struct Unpark(std::thread::Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// The value of a future; a warm token is waited for only where threads meet at a lock.
fn wait<T>(future: impl Future<Output = T>, cx: &mut Context<'_>) -> T {
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(cx) {
            Poll::Ready(value) => return value,
            Poll::Pending => std::thread::park(),
        }
    }
}

/// Nanoseconds per call and thread, with this many threads at once.
fn round(threads: usize, call: &(impl Fn(&mut Context<'_>) + Sync)) -> f64 {
    let start = Barrier::new(threads);
    let spent: Vec<f64> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|_| {
                scope.spawn(|| {
                    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
                    let mut cx = Context::from_waker(&waker);
                    start.wait();
                    let began = Instant::now();
                    for _ in 0..CALLS {
                        call(&mut cx);
                    }
                    began.elapsed().as_secs_f64() * 1e9 / f64::from(CALLS)
                })
            })
            .collect();
        workers.into_iter().map(|worker| worker.join().expect("no panic")).collect()
    });
    spent.iter().sum::<f64>() / threads as f64
}

fn main() {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("tokio");
    let session = Session::builder(
        Provider::oauth2("https://auth.example/token", "client").expect("a good address"),
    )
    .store(Memory::new())
    .transport(ScriptedTransport::new())
    .build()
    .expect("the parts fit");
    let json = format!(r#"{{"access_token":"{}","refresh_token":"r","expires_in":3600}}"#, token());
    runtime.block_on(session.sign_in(json.parse().expect("a good set"))).expect("signed in");

    let huskarl = InMemoryTokenCache::builder().source(Once).build();
    runtime.block_on(huskarl.token()).expect("a token");

    let scopes = ["https://auth.example/scope"];
    let yup = runtime
        .block_on(AccessTokenAuthenticator::builder(token()).build())
        .expect("an authenticator");
    runtime.block_on(yup.token(&scopes)).expect("a token");

    for threads in [1, 2] {
        let mut rounds: [Vec<f64>; 3] = Default::default();
        for _ in 0..ROUNDS {
            let nanos = [
                round(threads, &|cx| {
                    drop(black_box(wait(session.access_token(), cx).expect("ours")))
                }),
                round(threads, &|cx| drop(black_box(wait(huskarl.token(), cx).expect("its")))),
                round(threads, &|cx| drop(black_box(wait(yup.token(&scopes), cx).expect("its")))),
            ];
            for (all, nanos) in rounds.iter_mut().zip(nanos) {
                all.push(nanos);
            }
        }
        let [ours, huskarl, yup] = rounds.map(|mut all| {
            all.sort_by(f64::total_cmp);
            all[all.len() / 2]
        });
        println!("{threads} thread(s): cotter access_token().await    {ours:7.1} ns");
        println!(
            "             huskarl InMemoryTokenCache  {huskarl:7.1} ns, {:.1} times",
            huskarl / ours
        );
        println!("             yup-oauth2 Authenticator    {yup:7.1} ns, {:.1} times", yup / ours);
    }
}
