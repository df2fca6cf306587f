//! An API that lets in whoever has a good access token: what stands on the other end of the wire.

use std::io;

use axum::Router;
use axum::routing::get;
use cotter::axum::{Bearer, BearerLayer};
use cotter::jwks::Jwks;
use cotter::jwt::{AccessClaims, Verifier};
use tokio::net::TcpListener;

/// The API of one project; `base_url` is where the server that issues its tokens is.
///
/// # Errors
/// `Config` if that is no URL.
pub fn router(base_url: &str, api_key_id: &str) -> Result<Router, cotter::Error> {
    let verifier = Jwks::at(&format!("{base_url}/token/jwks"))?
        .remember(10_000)
        .verify_with(Verifier::cotter(api_key_id), cotter::transport::Reqwest::new()?);
    Ok(Router::new()
        .route("/me", get(me))
        .layer(BearerLayer::new(verifier).realm("example").require_scope("access")))
}

/// Whoever comes this far is signed in.
async fn me(Bearer(claims): Bearer<AccessClaims>) -> String {
    format!("hello, {}\n", claims.user_id().unwrap_or("stranger"))
}

/// Serves it on a port of this machine's choice until the program ends; gives its address.
///
/// # Errors
/// If there is no port, or `base_url` is no URL.
pub async fn serve(base_url: &str, api_key_id: &str) -> io::Result<String> {
    let router = router(base_url, api_key_id).map_err(io::Error::other)?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok(format!("http://{address}"))
}
