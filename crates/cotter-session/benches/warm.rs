//! What a warm token costs, as ratios to a floor measured in the same run.
//!
//! `cargo bench -p cotter-session`
//!
//! The floor is one read of `CLOCK_BOOTTIME`, one atomic load, and the clone and drop of an `Arc`. What is
//! measured may be below it: the session reads two coarse clocks instead of the precise one.

#![allow(clippy::print_stdout, missing_docs)]

use core::hint::black_box;
use core::sync::atomic::{AtomicI64, Ordering};
use core::time::Duration;
use std::sync::Arc;

use cotter_core::{BlockingTokenStore as _, Expected, OAuthToken, Provider};
use cotter_session::Keeper;
use cotter_store_memory::Memory;
use cotter_testkit::ScriptedTransport;
use criterion::{BenchmarkId, Criterion};

fn tokens(n: usize) -> OAuthToken {
    // As long as Cotter's own: about 700 and 600 bytes, and 56.
    let (access, id) = ("a".repeat(700), "i".repeat(600));
    let json = format!(
        r#"{{"access_token":"{access}{n}","id_token":"{id}{n}","refresh_token":"4711:{n:050}",
            "expires_in":360000}}"#
    );
    json.parse().expect("the set is well-formed")
}

fn provider() -> Provider {
    Provider::oauth2("https://auth.example/token", "client").expect("a good address")
}

fn keeper(most: usize, store: Memory) -> Keeper {
    Keeper::builder(provider())
        .store(store)
        .transport(ScriptedTransport::new())
        .max_sessions(most)
        .build()
        .expect("the parts fit")
}

/// Nanoseconds per call: the best of many rounds, which other work on the machine disturbs least.
fn best(mut call: impl FnMut()) -> f64 {
    const CALLS: u32 = 20_000;
    let clock = || rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    let mut best = f64::MAX;
    for _ in 0..200 {
        let before = clock();
        for _ in 0..CALLS {
            call();
        }
        let after = clock();
        let nanos =
            (after.tv_sec - before.tv_sec) as f64 * 1e9 + (after.tv_nsec - before.tv_nsec) as f64;
        best = best.min(nanos / f64::from(CALLS));
    }
    best
}

fn main() {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let keeper_one = keeper(10, Memory::new());
    let session = keeper_one.session("ada").expect("a session");
    runtime.block_on(session.sign_in(tokens(1))).expect("signed in");
    runtime.block_on(session.access_token()).expect("a token");

    let deadline = AtomicI64::new(i64::MAX);
    let shared: Arc<str> = Arc::from("token");
    let floor = || {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        let fresh = now.tv_sec < deadline.load(Ordering::Acquire);
        black_box(fresh.then(|| Arc::clone(&shared)));
    };
    let cached = || {
        black_box(session.cached_access_token());
    };

    let mut criterion = Criterion::default().configure_from_args().sample_size(20);
    let mut group = criterion.benchmark_group("warm");
    group.warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(1));
    group.bench_function(BenchmarkId::from_parameter("floor"), |b| b.iter(floor));
    group.bench_function(BenchmarkId::from_parameter("cached_access_token"), |b| b.iter(cached));
    group.bench_function(BenchmarkId::from_parameter("access_token"), |b| {
        b.iter(|| runtime.block_on(async { black_box(session.access_token().await.is_ok()) }));
    });
    group.finish();
    criterion.final_summary();

    // The ratios, interleaved in one run; `access_token` is polled inside one `block_on`.
    let (mut base, mut sync, mut asynchronous) = (f64::MAX, f64::MAX, f64::MAX);
    for _ in 0..3 {
        base = base.min(best(floor));
        sync = sync.min(best(cached));
        asynchronous = asynchronous.min(runtime.block_on(async {
            let mut cx = core::task::Context::from_waker(core::task::Waker::noop());
            best(|| {
                let mut call = core::pin::pin!(session.access_token());
                let poll = call.as_mut().poll(&mut cx);
                assert!(black_box(poll.is_ready()));
            })
        }));
    }
    println!("floor                     {base:6.1} ns");
    println!("cached_access_token()     {sync:6.1} ns, {:.2} times the floor", sync / base);
    println!(
        "access_token().await      {asynchronous:6.1} ns, {:.2} times the floor",
        asynchronous / base
    );

    let counted_warm = allocation_counter::measure(|| {
        let mut cx = core::task::Context::from_waker(core::task::Waker::noop());
        for _ in 0..1_000 {
            let mut call = core::pin::pin!(session.access_token());
            assert!(call.as_mut().poll(&mut cx).is_ready());
            assert!(session.cached_access_token().is_some());
        }
    });
    println!("allocations in 2 000 warm calls: {}", counted_warm.count_total);

    // What a session costs that is only held: all but what the store keeps.
    let many = 100_000;
    let store = Memory::new();
    let crowd = keeper(many, store.clone());
    let mut own = 0;
    let counted = allocation_counter::measure(|| {
        runtime.block_on(async {
            for n in 0..many {
                let session = crowd.session(&format!("user-{n}")).expect("room");
                let set = tokens(n);
                own += set.access_token().map_or(0, |token| token.expose().len());
                own += set.id_token().map_or(0, |token| token.expose().len());
                session.sign_in(set).await.expect("signed in");
            }
        });
    });
    let in_store = allocation_counter::measure(|| {
        // The same records once more, in a store without a keeper.
        let again = Memory::new();
        for n in 0..many {
            let key = provider().store_key(&format!("user-{n}")).expect("a key");
            let loaded = store.load(&key).expect("a store that answers").expect("a record");
            let record = loaded.record.expect("a readable record").duplicate();
            again.save(&key, &record, Expected::Absent, loaded.revision).expect("saved");
        }
        core::mem::forget(again);
    });
    let each = (counted.bytes_current - in_store.bytes_current) as f64 / many as f64;
    let beside = each - own as f64 / many as f64;
    println!("a session held in memory: {each:.0} bytes, {beside:.0} beside its own tokens");

    let within = sync / base <= 1.3
        && asynchronous / base <= 1.3
        && counted_warm.count_total == 0
        && beside <= 512.0;
    if !within {
        println!("over the limit: 1.3 times the floor, no allocation, 512 bytes");
        std::process::exit(1);
    }
}
