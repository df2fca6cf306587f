use core::pin::Pin;
use core::task::{Context, Poll};
use std::sync::Arc;

use axum_core::response::Response;
use cotter_jwt::AccessClaims;
use http::header::AUTHORIZATION;
use http::{HeaderMap, Request};
use tower_layer::Layer;
use tower_service::Service;

use crate::answer::{Challenge, Refusal};
use crate::verify::VerifyAccess;

/// Lets requests with a good access token through.
///
/// Put a CORS layer outside of it: a preflight request carries no token.
#[derive(Clone, Debug)]
pub struct BearerLayer(Arc<Guard>);

#[derive(Clone, Debug)]
struct Guard {
    challenge: Challenge,
    verifier: Arc<dyn VerifyAccess>,
}

impl BearerLayer {
    /// Lets requests through whose token `verifier` accepts.
    #[must_use]
    pub fn new(verifier: impl VerifyAccess + 'static) -> Self {
        Self(Arc::new(Guard { challenge: Challenge::default(), verifier: Arc::new(verifier) }))
    }

    /// Names the protected space in challenges, `api` by default. What a header cannot quote is left
    /// out.
    #[must_use]
    pub fn realm(self, realm: &str) -> Self {
        self.with(|challenge| challenge.set_realm(realm))
    }

    /// Requires the user to have signed in by one of these methods: `WEBAUTHN`, say.
    #[must_use]
    pub fn require_authentication_method<S: Into<String>>(
        self,
        any_of: impl IntoIterator<Item = S>,
    ) -> Self {
        self.with(|challenge| {
            challenge.methods = Some(any_of.into_iter().map(Into::into).collect())
        })
    }

    /// Requires this scope too, or each of several with spaces between them.
    #[must_use]
    pub fn require_scope(self, scope: impl AsRef<str>) -> Self {
        self.with(|challenge| challenge.require_scopes(scope.as_ref()))
    }

    fn with(self, change: impl FnOnce(&mut Challenge)) -> Self {
        let mut guard = Arc::unwrap_or_clone(self.0);
        change(&mut guard.challenge);
        Self(Arc::new(guard))
    }
}

impl<S> Layer<S> for BearerLayer {
    type Service = BearerService<S>;

    fn layer(&self, inner: S) -> BearerService<S> {
        BearerService { guard: Arc::clone(&self.0), inner }
    }
}

/// What a [`BearerLayer`] makes of a service.
#[derive(Clone, Debug)]
pub struct BearerService<S> {
    guard: Arc<Guard>,
    inner: S,
}

impl<S, B> Service<Request<B>> for BearerService<S>
where
    S: Service<Request<B>, Response = Response> + Clone + Send + 'static,
    S::Future: Send,
    B: Send + 'static,
{
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response, S::Error>> + Send>>;
    type Response = Response;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        // The service that was polled ready is the one that is called.
        let next = self.inner.clone();
        let mut inner = core::mem::replace(&mut self.inner, next);
        let guard = Arc::clone(&self.guard);
        Box::pin(async move {
            // Nobody but this layer says who is calling.
            request.extensions_mut().remove::<Arc<AccessClaims>>();
            match guard.admit(request.headers()).await {
                Ok(claims) => {
                    request.extensions_mut().insert(claims);
                    inner.call(request).await
                }
                Err(refusal) => Ok(guard.challenge.answer(refusal)),
            }
        })
    }
}

impl Guard {
    async fn admit(&self, headers: &HeaderMap) -> Result<Arc<AccessClaims>, Refusal> {
        let claims = self.verifier.verify(bearer(headers)?).await.map_err(Refusal::Invalid)?;
        self.challenge.judge(&claims)?;
        Ok(claims)
    }
}

/// The token of a request (RFC 6750 section 2.1).
fn bearer(headers: &HeaderMap) -> Result<&str, Refusal> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let Some(value) = values.next() else { return Err(Refusal::NoToken) };
    if values.next().is_some() {
        return Err(Refusal::BadRequest);
    }
    let value = value.as_bytes();
    let (scheme, token) =
        value.split_at(value.iter().position(|b| *b == b' ').unwrap_or(value.len()));
    if !scheme.eq_ignore_ascii_case(b"bearer") {
        return Err(Refusal::NoToken);
    }
    let token = core::str::from_utf8(token).map_err(|_| Refusal::BadRequest)?.trim_matches(' ');
    // b64token: what may stand in a header; a JWT's own alphabet is narrower still.
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte);
    if token.is_empty() || !token.bytes().all(legal) {
        return Err(Refusal::BadRequest);
    }
    Ok(token)
}
