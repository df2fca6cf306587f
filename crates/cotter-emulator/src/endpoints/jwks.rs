//! `GET /token/jwks`.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::routing::get;

use crate::faulty::guarded;
use crate::reply::Reply;
use crate::state::App;

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new().route("/token/jwks", get(jwks))
}

async fn jwks(State(app): State<Arc<App>>) -> Reply {
    app.core().counters.jwks += 1;
    let answer = guarded(&app, "jwks", |core, _| {
        let config = &core.config;
        Reply::json(&core.keys.jwks(config.active_key_first, config.jwks_alg_use))
    });
    answer.await
}
