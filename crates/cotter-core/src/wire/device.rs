//! The requests of trusted devices (protocol page 2.7 to 2.9).

use alloc::string::String;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::api::{Call, Field};
use super::login::Query;
use crate::device::{DeviceEvent, METHOD};
use crate::provider::Provider;

/// What the protocol calls the key's kind.
const ALGORITHM: &str = "ED25519";

/// Nobody is asked where this machine is (protocol page 2.9).
const UNKNOWN: &str = "unknown";

/// A device's public key and signature, as the wire has them.
pub(crate) struct Proof<'a> {
    pub(crate) public_key: &'a str,
    pub(crate) signature: &'a str,
}

/// `PUT {API}/user/methods`: lets a key in, or takes it out.
pub(crate) fn change(
    provider: &Provider,
    user_id: &str,
    public_key: &str,
    name: &str,
    enrolled: bool,
) -> Call {
    let mut url = Query::of(provider.address(), "/user/methods");
    url.push("cotter_user_id", user_id);
    let fields = [
        ("method", Field::Text(METHOD)),
        ("enrolled", Field::Flag(enrolled)),
        ("code", Field::Text(public_key)),
        ("algorithm", Field::Text(ALGORITHM)),
        ("device_type", Field::Text("DESKTOP")),
        ("device_name", Field::Text(name)),
        ("change_code", Field::Flag(false)),
    ];
    Call::post("the device's key", url.as_str(), provider.client_id(), &fields).put()
}

/// `GET {API}/user/methods`: whether a key is enrolled. It is encoded twice, since the text that was enrolled
/// is base64 already.
pub(crate) fn is_enrolled(provider: &Provider, user_id: &str, public_key: &str) -> Call {
    let mut url = Query::of(provider.address(), "/user/methods");
    url.push("cotter_user_id", user_id);
    url.push("method", METHOD);
    url.push("public_key", &STANDARD.encode(public_key));
    Call::get("the question for a device", url.as_str(), provider.client_id())
}

/// `POST {API}/event/create`: a sign-in that this device has approved.
pub(crate) fn create(
    provider: &Provider,
    user_id: &str,
    event: &str,
    timestamp: &str,
    proof: &Proof<'_>,
) -> Call {
    let mut url = Query::of(provider.address(), "/event/create");
    url.push("oauth_token", "true");
    let mut fields = base(provider, user_id, event, timestamp, METHOD).to_vec();
    fields.extend(answer(proof, true));
    Call::post("the sign-in by device", url.as_str(), provider.client_id(), &fields)
}

/// `POST {API}/event/create_pending`: a sign-in that another device is to approve.
pub(crate) fn create_pending(
    provider: &Provider,
    user_id: &str,
    event: &str,
    timestamp: &str,
) -> Call {
    let url = alloc::format!("{}/event/create_pending", provider.address());
    let fields = base(provider, user_id, event, timestamp, METHOD);
    Call::post("the request for an approval", &url, provider.client_id(), &fields)
}

/// `GET {API}/event/get/{ID}`: how a pending event stands, with tokens once it is approved.
pub(crate) fn poll(provider: &Provider, id: u64) -> Call {
    let url = alloc::format!("{}/event/get/{id}?oauth_token=true", provider.address());
    Call::get("the question for an approval", &url, provider.client_id())
}

/// `GET {API}/event/new`: what waits for this user's devices; `null` is nothing.
pub(crate) fn newest(provider: &Provider, user_id: &str) -> Call {
    let mut url = Query::of(provider.address(), "/event/new");
    url.push("cotter_user_id", user_id);
    Call::get("the question for events", url.as_str(), provider.client_id()).nullable()
}

/// `POST {API}/event/respond/{ID}`: this device's answer.
pub(crate) fn respond(
    provider: &Provider,
    event: &DeviceEvent,
    proof: &Proof<'_>,
    approved: bool,
) -> Call {
    let url = alloc::format!("{}/event/respond/{}", provider.address(), event.id);
    let DeviceEvent { user_id, event: name, ip, location, timestamp, method, .. } = event;
    let mut fields = base(provider, user_id, name, timestamp, method).to_vec();
    // What the server said of these is echoed.
    for (place, value) in [("ip", ip), ("location", location)] {
        fields.retain(|(name, _)| *name != place);
        fields.push((place, Field::Text(if value.is_empty() { UNKNOWN } else { value })));
    }
    fields.extend(answer(proof, approved));
    Call::post("the answer to an event", &url, provider.client_id(), &fields)
}

fn base<'a>(
    provider: &'a Provider,
    user_id: &'a str,
    event: &'a str,
    timestamp: &'a str,
    method: &'a str,
) -> [(&'static str, Field<'a>); 7] {
    [
        ("user_id", Field::Text(user_id)),
        ("issuer", Field::Text(provider.client_id())),
        ("event", Field::Text(event)),
        ("ip", Field::Text(UNKNOWN)),
        ("location", Field::Text(UNKNOWN)),
        ("timestamp", Field::Text(timestamp)),
        ("method", Field::Text(method)),
    ]
}

fn answer<'a>(proof: &Proof<'a>, approved: bool) -> [(&'static str, Field<'a>); 4] {
    [
        ("code", Field::Text(proof.signature)),
        ("approved", Field::Flag(approved)),
        ("public_key", Field::Text(proof.public_key)),
        ("algorithm", Field::Text(ALGORITHM)),
    ]
}

/// Standard base64.
pub(crate) fn text(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}
