use core::ops::Deref;
use std::sync::Arc;

use axum_core::extract::FromRequestParts;
use axum_core::response::{IntoResponse, Response};
use cotter_jwt::AccessClaims;
use http::StatusCode;
use http::request::Parts;

/// The claims of the request's access token, as an argument of a handler.
///
/// Works beneath a [`BearerLayer`](crate::BearerLayer) only; without one every request is answered
/// with 500, since nobody has verified anything.
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_structs, reason = "handlers take it apart")]
pub struct Bearer<C>(pub Arc<C>);

impl<C> Deref for Bearer<C> {
    type Target = C;

    fn deref(&self) -> &C {
        &self.0
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Bearer<AccessClaims> {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Response> {
        parts.extensions.get::<Arc<AccessClaims>>().cloned().map(Self).ok_or_else(|| {
            let why = "no BearerLayer guards this route";
            (StatusCode::INTERNAL_SERVER_ERROR, why).into_response()
        })
    }
}
