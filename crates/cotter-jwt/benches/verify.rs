//! What a verification costs over the bare signature check of the same backend.

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    missing_docs,
    reason = "a bench may panic and print, and criterion makes functions without docs"
)]

use core::hint::black_box;

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use cotter_core::Timestamp;
use cotter_jwt::{CachedVerifier, KeySet, PublicKey, Verifier};
use criterion::{Criterion, criterion_group, criterion_main};

fn verify(criterion: &mut Criterion) {
    let vectors: serde_json::Value =
        serde_json::from_str(include_str!("../tests/vectors/cotter-vectors.json")).unwrap();
    let text = |name: &str| vectors[name].as_str().unwrap().to_owned();
    let token = text("access_token");
    let keys = KeySet::from_json(vectors["jwks"].to_string()).unwrap();
    let verifier = Verifier::cotter(text("api_key_id")).keys(keys.clone());
    let now = Timestamp::from_unix_seconds(1_767_225_700);

    let Some(PublicKey::P256(point)) = keys.keys().next().unwrap().public() else { panic!() };
    let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point);
    let (message, signature) = token.rsplit_once('.').unwrap();
    let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();

    criterion.bench_function("raw signature check", |bench| {
        bench.iter(|| key.verify(black_box(message.as_bytes()), black_box(&signature)).unwrap());
    });
    criterion.bench_function("first verification", |bench| {
        bench.iter(|| verifier.verify_access_token(black_box(&token), now).unwrap());
    });
    let mut cached = CachedVerifier::new(verifier, 10_000);
    cached.verify_access_token(&token, now).unwrap();
    criterion.bench_function("remembered verification", |bench| {
        bench.iter(|| cached.judge_access_token(black_box(&token), now).unwrap());
    });
}

/// The promised ratios, from medians of interleaved batches in one run.
fn ratios(_: &mut Criterion) {
    let vectors: serde_json::Value =
        serde_json::from_str(include_str!("../tests/vectors/cotter-vectors.json")).unwrap();
    let text = |name: &str| vectors[name].as_str().unwrap().to_owned();
    let token = text("access_token");
    let keys = KeySet::from_json(vectors["jwks"].to_string()).unwrap();
    let verifier = Verifier::cotter(text("api_key_id")).keys(keys.clone());
    let now = Timestamp::from_unix_seconds(1_767_225_700);
    let Some(PublicKey::P256(point)) = keys.keys().next().unwrap().public() else { panic!() };
    let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point);
    let (message, signature) = token.rsplit_once('.').unwrap();
    let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    let mut cached = CachedVerifier::new(verifier.clone(), 10_000);
    cached.verify_access_token(&token, now).unwrap();

    let time = |work: &dyn Fn()| {
        let began = std::time::Instant::now();
        for _ in 0..20 {
            work();
        }
        began.elapsed().as_secs_f64() / 20.0
    };
    // Each ratio is taken from neighbouring batches, so that a slow moment of the machine slows
    // both of its sides.
    let median = |mut values: Vec<f64>| {
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    };
    let (mut first, mut remembered) = (Vec::new(), Vec::new());
    let (mut times, mut warm_times) = ([Vec::new(), Vec::new()], Vec::new());
    for _ in 0..501 {
        let raw = time(&|| key.verify(black_box(message.as_bytes()), &signature).unwrap());
        let whole = time(&|| drop(verifier.verify_access_token(black_box(&token), now).unwrap()));
        let warm = time(&|| drop(cached.judge_access_token(black_box(&token), now).unwrap()));
        first.push(whole / raw);
        remembered.push(raw / warm);
        times[0].push(raw);
        times[1].push(whole);
        warm_times.push(warm);
    }
    let [raw, whole] = times.map(median);
    println!(
        "raw {:.1} us, first {:.1} us, remembered {:.2} us",
        raw * 1e6,
        whole * 1e6,
        median(warm_times) * 1e6
    );
    let (first, remembered) = (median(first), median(remembered));
    println!(
        "ratios: first / raw = {first:.3} (at most 1.10); raw / remembered = {remembered:.0} (at least 50)"
    );
    if first > 1.10 || remembered < 50.0 {
        println!("over the limit");
        std::process::exit(1);
    }
}

criterion_group!(benches, verify, ratios);
criterion_main!(benches);
