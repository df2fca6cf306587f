//! An axum server that lets in whoever has a good access token.
//!
//! `api_server BASE_URL API_KEY_ID [ADDRESS]`, then
//! `curl -H "Authorization: Bearer $(cotter token)" http://127.0.0.1:8080/me`
//!
//! The router is in `examples/src/api.rs`; the program `quickstart` calls it.

use std::error::Error;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (base_url, api_key_id, address) = match arguments.as_slice() {
        [base_url, id] => (base_url, id, "127.0.0.1:8080"),
        [base_url, id, address] => (base_url, id, address.as_str()),
        _ => return Err("usage: api_server BASE_URL API_KEY_ID [ADDRESS]".into()),
    };
    let router = cotter_examples::api::router(base_url, api_key_id)?;
    let listener = tokio::net::TcpListener::bind(address).await?;
    println!("http://{}/me", listener.local_addr()?);
    axum::serve(listener, router).await?;
    Ok(())
}
