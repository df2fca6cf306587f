//! What one refresh costs 10 000 callers who wait for it, over the time that the server itself takes.
//!
//! `cargo bench -p cotter-session --bench flight`
//!
//! The floor is as many tasks that wait for one value of a tokio channel, sent when the same time has
//! passed; both sides are timed from the first task's start to the last one's answer, in turns.

#![allow(clippy::disallowed_methods, reason = "a bench measures by the true time")]
#![allow(clippy::print_stdout, missing_docs)]

use core::time::Duration;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use async_trait::async_trait;
use cotter_core::{Provider, SecretBytes, Transport, TransportError};
use cotter_session::Session;
use cotter_store_memory::Memory;
use cotter_testkit::ManualClock;
use http::{Request, Response};
use tokio::sync::watch;

const WAITERS: usize = 10_000;
const ROUNDS: usize = 15;
const LATENCY: Duration = Duration::from_millis(50);

/// Answers after [`LATENCY`], and says how long that was in truth.
#[derive(Clone, Debug, Default)]
struct Server(Arc<Mutex<(usize, Duration)>>);

#[async_trait]
impl Transport for Server {
    async fn send(
        &self,
        _request: Request<SecretBytes>,
        _timeout: Duration,
    ) -> Result<Response<SecretBytes>, TransportError> {
        let began = Instant::now();
        tokio::time::sleep(LATENCY).await;
        let mut seen = self.0.lock().expect("no panic");
        *seen = (seen.0 + 1, began.elapsed());
        Ok(Response::new(SecretBytes::from(tokens(seen.0).into_bytes())))
    }
}

/// A set of tokens as long as Cotter's.
fn tokens(n: usize) -> String {
    let access = "a".repeat(700);
    format!(r#"{{"access_token":"{access}{n}","refresh_token":"4711:{n:050}","expires_in":3600}}"#)
}

async fn all<F>(start: impl Fn() -> F) -> Duration
where
    F: Future<Output = usize> + Send + 'static,
{
    let began = Instant::now();
    let tasks: Vec<_> = (0..WAITERS).map(|_| tokio::spawn(start())).collect();
    for task in tasks {
        assert!(task.await.expect("no panic") > 700);
    }
    began.elapsed()
}

fn median(mut times: Vec<Duration>) -> f64 {
    times.sort_unstable();
    times[times.len() / 2].as_secs_f64() * 1e3
}

fn main() {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("tokio");
    let (server, clock) = (Server::default(), ManualClock::new());
    let provider = Provider::oauth2("https://auth.example/token", "client").expect("an address");
    let session = Session::builder(provider)
        .store(Memory::new())
        .transport(server.clone())
        .clock(clock.clone())
        .build()
        .expect("the parts fit");
    let (mut ours, mut floors) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        runtime.block_on(async {
            session.sign_in(tokens(0).parse().expect("a set")).await.expect("signed in");
            clock.advance(Duration::from_secs(7_200));
            let took = all(|| {
                let session = session.clone();
                async move { session.access_token().await.expect("a token").expose().len() }
            })
            .await;
            let (exchanges, latency) = *server.0.lock().expect("no panic");
            assert_eq!(exchanges, round + 1, "one exchange for all");
            ours.push(took.saturating_sub(latency));

            let (tell, told) = watch::channel(0_usize);
            let waited = Arc::new(Mutex::new(Duration::ZERO));
            let timer = {
                let waited = Arc::clone(&waited);
                tokio::spawn(async move {
                    let began = Instant::now();
                    tokio::time::sleep(LATENCY).await;
                    *waited.lock().expect("no panic") = began.elapsed();
                    tell.send(701).expect("somebody waits");
                    tell
                })
            };
            let took = all(|| {
                let mut told = told.clone();
                async move { *told.wait_for(|value| *value > 0).await.expect("a value") }
            })
            .await;
            timer.await.expect("no panic");
            floors.push(took.saturating_sub(*waited.lock().expect("no panic")));
        });
    }
    let (ours, floor) = (median(ours), median(floors));
    println!("waiters                         {WAITERS}, one exchange, median of {ROUNDS} rounds");
    println!("floor, over {LATENCY:?} of waiting    {floor:6.2} ms");
    println!("cotter, over the server's time  {ours:6.2} ms, {:.2} times the floor", ours / floor);
    println!("for each waiter                 {:6.2} us", ours * 1e3 / WAITERS as f64);
}
