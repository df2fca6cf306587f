//! The serverless verifier: `POST /verify`.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::routing::post;
use serde_json::{Value, json};

use super::{members, text};
use crate::codec::from_b64url;
use crate::faulty::guarded;
use crate::reply::Reply;
use crate::state::{App, Core};

pub(super) fn routes() -> Router<Arc<App>> {
    let preflight = async || Reply::default().with_cors();
    Router::new().route("/verify", post(verify).options(preflight))
}

const INVALID: &str = "Error: Invalid JWT token";
const FORGED: &str = "Error: Invalid JWT Signature";

async fn verify(State(app): State<Arc<App>>, headers: HeaderMap, body: Bytes) -> Reply {
    app.core().counters.verifications += 1;
    let members = members(&body);
    let set = members.get("oauth_token").and_then(Value::as_object);
    let token = set.and_then(|set| text(set, "access_token"));
    let audience = headers.get("API_KEY_ID").and_then(|value| value.to_str().ok());
    let answer = guarded(&app, "verify", |core, _| {
        // The verdict is in the body; the status is 200 either way.
        let verdict = match token.map_or(Err(INVALID), |token| judge(core, token, audience)) {
            Ok(()) => json!({ "success": true }),
            Err(reason) => json!({ "success": false, "reason": reason }),
        };
        Reply::json(&verdict).with_cors()
    });
    answer.await
}

fn judge(core: &Core, token: &str, audience: Option<&str>) -> Result<(), &'static str> {
    let (signed, signature) = token.rsplit_once('.').ok_or(INVALID)?;
    let (header, payload) = signed.split_once('.').ok_or(INVALID)?;
    let header = part(header).ok_or(INVALID)?;
    let claims = part(payload).ok_or(INVALID)?;
    let kid = header.get("kid").and_then(Value::as_str);
    if !core.keys.verifies(kid, signed, signature) {
        return Err(FORGED);
    }
    let issuer = claims.get("iss").and_then(Value::as_str).unwrap_or_default();
    let ours = core.config.issuer.as_str();
    if issuer.strip_suffix('/').unwrap_or(issuer) != ours.strip_suffix('/').unwrap_or(ours) {
        return Err(INVALID);
    }
    if audience.is_some() && claims.get("aud").and_then(Value::as_str) != audience {
        return Err(INVALID);
    }
    let now = core.clock.now_ms().div_euclid(1000) + 1;
    let exp = claims.get("exp").and_then(Value::as_i64).ok_or(INVALID)?;
    if exp < now { Err(INVALID) } else { Ok(()) }
}

fn part(text: &str) -> Option<Value> {
    from_b64url(text).and_then(|bytes| serde_json::from_slice(&bytes).ok())
}
