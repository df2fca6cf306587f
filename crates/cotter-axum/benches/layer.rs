//! What the layer costs a request, over the bare verification.

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    missing_docs,
    reason = "a bench may panic and print, and criterion makes functions without docs"
)]

use core::convert::Infallible;
use core::hint::black_box;

use axum::body::Body;
use axum::response::Response;
use cotter_axum::{BearerLayer, StaticVerifier};
use cotter_core::Timestamp;
use cotter_jwt::{KeySet, Verifier};
use cotter_testkit::ManualClock;
use criterion::{Criterion, criterion_group, criterion_main};
use http::Request;
use tower::{Layer as _, ServiceExt as _, service_fn};

fn layer(criterion: &mut Criterion) {
    let vectors: serde_json::Value =
        serde_json::from_str(include_str!("../../cotter-jwt/tests/vectors/cotter-vectors.json"))
            .unwrap();
    let text = |name: &str| vectors[name].as_str().unwrap().to_owned();
    let token = text("access_token");
    let header = format!("Bearer {token}");
    let keys = KeySet::from_json(vectors["jwks"].to_string()).unwrap();
    let verifier = Verifier::cotter(text("api_key_id")).keys(keys);
    let now = Timestamp::from_unix_seconds(1_767_225_600);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let inner =
        service_fn(async |_: Request<Body>| Ok::<_, Infallible>(Response::new(Body::empty())));
    let guarded = BearerLayer::new(StaticVerifier::new(verifier.clone(), ManualClock::new()))
        .require_scope("access")
        .layer(inner);
    let request =
        || Request::get("/").header("authorization", &header).body(Body::empty()).unwrap();

    criterion.bench_function("bare verification", |bench| {
        bench.iter(|| verifier.verify_access_token(black_box(&token), now).unwrap());
    });
    criterion.bench_function("a request without the layer", |bench| {
        bench.iter(|| runtime.block_on(inner.oneshot(request())).unwrap());
    });
    criterion.bench_function("a request with the layer", |bench| {
        bench.iter(|| runtime.block_on(guarded.clone().oneshot(request())).unwrap());
    });

    // Each ratio is taken from neighbouring batches, so that a slow moment of the machine slows
    // all of its sides.
    let time = |work: &dyn Fn()| {
        let began = std::time::Instant::now();
        for _ in 0..20 {
            work();
        }
        began.elapsed().as_secs_f64() / 20.0
    };
    let (mut costs, mut ratios) = (Vec::new(), Vec::new());
    for _ in 0..301 {
        let bare = time(&|| drop(verifier.verify_access_token(black_box(&token), now).unwrap()));
        let without = time(&|| drop(runtime.block_on(inner.oneshot(request())).unwrap()));
        let with = time(&|| drop(runtime.block_on(guarded.clone().oneshot(request())).unwrap()));
        costs.push(with - without - bare);
        ratios.push((with - without) / bare);
    }
    let median = |values: &mut Vec<f64>| {
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    };
    println!(
        "the layer: {:.1} us a request over the bare verification, {:.3} times it",
        median(&mut costs) * 1e6,
        median(&mut ratios)
    );
}

criterion_group!(benches, layer);
criterion_main!(benches);
