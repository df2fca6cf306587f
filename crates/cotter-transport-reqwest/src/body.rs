//! The body of a request: wiped when it is gone, and telling whether it was asked for.

use core::pin::Pin;
use core::sync::atomic::{AtomicBool, Ordering};
use core::task::{Context, Poll};
use std::sync::Arc;

use bytes::Bytes;
use cotter_core::SecretBytes;
use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderValue, Method};
use http_body::{Frame, SizeHint};

use crate::deadline::{Deadline, Late};

/// Whether the client has asked for the body; `None` where there is none to ask for.
pub(crate) struct Begun(Option<Arc<AtomicBool>>);

impl Begun {
    /// Whether there is a body, and it was certainly never asked for.
    pub(crate) fn never(&self) -> bool {
        self.0.as_ref().is_some_and(|begun| !begun.load(Ordering::Acquire))
    }
}

/// Gives `request` this body, and the length that goes with it.
pub(crate) fn attach(
    request: &mut reqwest::Request,
    body: SecretBytes,
    deadline: Deadline,
) -> Begun {
    let takes_one = [Method::POST, Method::PUT, Method::PATCH].contains(request.method());
    let length = HeaderValue::from(body.len());
    let headers = request.headers_mut();
    headers.remove(TRANSFER_ENCODING);
    headers.remove(CONTENT_LENGTH);
    if takes_one || !body.is_empty() {
        headers.insert(CONTENT_LENGTH, length);
    }
    if body.is_empty() {
        return Begun(None);
    }
    let begun = Arc::new(AtomicBool::new(false));
    let bytes = Some(Bytes::from_owner(Secret(body)));
    let once = Once { bytes, begun: Arc::clone(&begun), deadline };
    *request.body_mut() = Some(reqwest::Body::wrap(once));
    Begun(Some(begun))
}

/// A body that can be given only once, so that no layer beneath can send it again.
struct Once {
    bytes: Option<Bytes>,
    begun: Arc<AtomicBool>,
    deadline: Deadline,
}

impl http_body::Body for Once {
    type Data = Bytes;
    type Error = Late;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Late>>> {
        if self.bytes.is_some() && self.deadline.has_passed() {
            self.bytes = None;
            return Poll::Ready(Some(Err(Late)));
        }
        self.begun.store(true, Ordering::Release);
        Poll::Ready(self.bytes.take().map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.bytes.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        let length = self.bytes.as_ref().map_or(0, Bytes::len);
        SizeHint::with_exact(u64::try_from(length).unwrap_or(u64::MAX))
    }
}

/// Lends the secret to the client without a copy; the last handle wipes it.
struct Secret(SecretBytes);

impl AsRef<[u8]> for Secret {
    fn as_ref(&self) -> &[u8] {
        self.0.expose()
    }
}
