//! What the fakes do, in both worlds.
#![allow(clippy::unwrap_used, reason = "these are tests")]

use core::time::Duration;

use cotter_core::{
    BlockingTokenStore, BlockingTransport, Expected, LeaseAnswer, Lineage, Revision, SecretBytes,
    Sent, StoreErrorKind, StoreKey, Swap, TransportError,
};
use cotter_store_memory::Memory;
use cotter_testkit::{Fault, FaultStore, Gate, Kept, Op, ScriptedTransport};
use http::{Request, Response};

fn key() -> StoreKey {
    StoreKey::new("https://auth.example", "client", "ada").unwrap()
}

fn first() -> Revision {
    Revision::first(Lineage::from_bytes([1; 16]))
}

fn save(store: &impl BlockingTokenStore) -> Result<Swap, cotter_core::StoreError> {
    store.save(&key(), &SecretBytes::from(b"r".as_slice()), Expected::Absent, first())
}

#[test]
fn a_planned_failure_happens_once_at_its_call() {
    let store = FaultStore::new(Memory::new());
    store.on(Op::Save, 2, Fault::Fail(StoreErrorKind::Full));
    assert_eq!(save(&store).unwrap(), Swap::Done);
    assert_eq!(save(&store).unwrap_err().kind(), StoreErrorKind::Full);
    assert!(matches!(save(&store).unwrap(), Swap::Conflict { .. }));
    assert_eq!(store.ops(), [Op::Save; 3]);
    assert_eq!(store.calls()[0].revision, Some(first()));
}

#[test]
fn a_save_that_timed_out_has_happened_or_has_not() {
    let store = FaultStore::new(Memory::new());
    store.on_next(Op::Save, Fault::Fail(StoreErrorKind::Timeout));
    store.on_next(Op::Save, Fault::DoneButTimeout);
    assert!(save(&store).unwrap_err().is_uncertain());
    assert!(BlockingTokenStore::load(store.inner(), &key()).unwrap().is_none());
    assert!(save(&store).unwrap_err().is_uncertain());
    assert!(BlockingTokenStore::load(store.inner(), &key()).unwrap().is_some());
}

#[test]
fn a_lasting_fault_lasts_until_the_store_heals() {
    let store = FaultStore::new(Memory::new());
    store.always(Op::Load, Fault::Fail(StoreErrorKind::Locked));
    for _ in 0..3 {
        assert!(BlockingTokenStore::load(&store, &key()).is_err());
    }
    store.heal();
    assert!(BlockingTokenStore::load(&store, &key()).is_ok());
    assert_eq!(store.count(Op::Load), 4);
}

#[test]
fn a_hanging_save_happens_before_or_after_the_gate() {
    for (fault, happened) in [
        (Fault::HangBefore as fn(Gate) -> Fault, false),
        (Fault::HangAfter as fn(Gate) -> Fault, true),
    ] {
        let (store, gate) = (FaultStore::new(Memory::new()), Gate::new());
        store.on_next(Op::Save, fault(gate.clone()));
        std::thread::scope(|scope| {
            let saving = scope.spawn(|| save(&store));
            gate.until_reached();
            let there = BlockingTokenStore::load(store.inner(), &key()).unwrap().is_some();
            assert_eq!(there, happened);
            gate.open();
            assert_eq!(saving.join().unwrap().unwrap(), Swap::Done);
        });
    }
}

#[test]
fn a_delayed_call_is_late_and_every_operation_is_recorded() {
    let store = FaultStore::new(Kept::new(Memory::new(), "a folder"));
    store.on_next(Op::List, Fault::Delay(Duration::from_millis(20)));
    let began = std::time::Instant::now();
    BlockingTokenStore::list(&store).unwrap();
    assert!(began.elapsed() >= Duration::from_millis(20));
    let LeaseAnswer::Granted(lease) =
        BlockingTokenStore::try_lease(&store, &key(), Duration::from_secs(1)).unwrap()
    else {
        panic!("a free lease was not granted")
    };
    BlockingTokenStore::release(&store, &key(), lease.owner).unwrap();
    BlockingTokenStore::remove(&store, &key(), first()).unwrap();
    assert_eq!(store.ops(), [Op::List, Op::TryLease, Op::Release, Op::Remove]);
    assert_eq!(*store.inner().guard(), "a folder");
}

fn request() -> Request<SecretBytes> {
    Request::post("https://auth.example/t").body(SecretBytes::from(b"b".as_slice())).unwrap()
}

fn send(transport: &ScriptedTransport) -> Result<Response<SecretBytes>, TransportError> {
    BlockingTransport::send(transport, request(), Duration::from_secs(1))
}

#[test]
fn a_script_is_followed_in_order_and_then_otherwise() {
    let transport = ScriptedTransport::new();
    transport.not_sent();
    transport.answer(|request| {
        assert_eq!((request.text(), request.timeout), ("b", Duration::from_secs(1)));
        Ok(Response::new(SecretBytes::default()))
    });
    assert_eq!(transport.remaining(), 2);
    assert_eq!(send(&transport).unwrap_err().sent(), Sent::No);
    assert_eq!(send(&transport).unwrap().status(), 200);
    assert!(send(&transport).unwrap_err().is_config());

    let other = transport.clone();
    transport.otherwise(move |_| {
        assert_eq!(other.remaining(), 0);
        Err(TransportError::maybe_sent("gone"))
    });
    assert_eq!(send(&transport).unwrap_err().sent(), Sent::Maybe);
    assert_eq!(transport.count(), 4);
}

#[test]
fn only_the_next_reply_waits_for_the_gate() {
    let (transport, gate) = (ScriptedTransport::new(), Gate::new());
    transport.hang_until(&gate);
    transport.reply(200, "late");
    transport.reply(200, "at once");
    std::thread::scope(|scope| {
        let late = scope.spawn(|| send(&transport));
        gate.until_reached();
        assert_eq!(send(&transport).unwrap().body().expose(), b"at once");
        gate.open();
        assert_eq!(late.join().unwrap().unwrap().body().expose(), b"late");
    });
}

#[cfg(feature = "async")]
mod asynchronous {
    use cotter_core::{TokenStore, Transport};

    use super::*;

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(future)
    }

    #[test]
    fn a_task_that_hangs_in_a_store_can_be_dropped() {
        let (store, gate) = (FaultStore::new(Memory::new()), Gate::new());
        store.on_next(Op::Load, Fault::HangBefore(gate.clone()));
        block_on(async {
            let (key, quick) = (key(), Duration::from_millis(20));
            let load = TokenStore::load(&store, &key);
            assert!(tokio::time::timeout(quick, load).await.is_err());
            assert_eq!(gate.arrived(), 1);
            assert!(TokenStore::load(&store, &key).await.unwrap().is_none());
        });
        assert_eq!(store.count(Op::Load), 2);
    }

    #[test]
    fn the_scripted_transport_hangs_tasks_too() {
        let (transport, gate) = (ScriptedTransport::new(), Gate::new());
        transport.hang_until(&gate);
        transport.reply(503, "");
        block_on(async {
            let send = Transport::send(&transport, request(), Duration::from_secs(1));
            let open = async {
                gate.until_reached_async().await;
                gate.open();
            };
            let (response, ()) = tokio::join!(send, open);
            assert_eq!(response.unwrap().status(), 503);
        });
    }
}
