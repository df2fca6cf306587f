//! Who takes the user to the login page, and catches what comes back.

use alloc::boxed::Box;
use alloc::sync::Arc;

use async_trait::async_trait;

use super::{AuthorizationCode, PendingLogin};
use crate::error::Error;

/// Takes the user to a login page and back: a browser and a listener, or a prompt for the address
/// that the browser ended at.
#[async_trait]
pub trait UserAgent: Send + Sync {
    /// Where the page is to send the browser back to; the same for as long as this agent lives.
    fn redirect_url(&self) -> &str;

    /// Shows [`login.url()`](PendingLogin::url) to the user, and gives what the first address for
    /// this login holds: [`PendingLogin::take`] says which one that is, and what is
    /// [`Foreign`](super::Landing::Foreign) to it changes nothing.
    ///
    /// Ends by a deadline of its own; dropping the future gives the login up.
    ///
    /// # Errors
    /// What [`Failed`](super::Landing::Failed) says, or why there was no answer.
    async fn visit(&self, login: &PendingLogin) -> Result<AuthorizationCode, Error>;
}

/// Takes the user to a login page and back, blocking the thread; the contract of [`UserAgent`].
pub trait BlockingUserAgent: Send + Sync {
    /// Where the page is to send the browser back to; the same for as long as this agent lives.
    fn redirect_url(&self) -> &str;

    /// Shows the page to the user and gives what the first address for this login holds; ends by a
    /// deadline of its own.
    ///
    /// # Errors
    /// As [`UserAgent::visit`].
    fn visit(&self, login: &PendingLogin) -> Result<AuthorizationCode, Error>;
}

#[async_trait]
impl<T: UserAgent + ?Sized> UserAgent for &T {
    fn redirect_url(&self) -> &str {
        T::redirect_url(self)
    }

    async fn visit(&self, login: &PendingLogin) -> Result<AuthorizationCode, Error> {
        T::visit(self, login).await
    }
}

#[async_trait]
impl<T: UserAgent + ?Sized> UserAgent for Arc<T> {
    fn redirect_url(&self) -> &str {
        T::redirect_url(self)
    }

    async fn visit(&self, login: &PendingLogin) -> Result<AuthorizationCode, Error> {
        T::visit(self, login).await
    }
}

impl<T: BlockingUserAgent + ?Sized> BlockingUserAgent for &T {
    fn redirect_url(&self) -> &str {
        T::redirect_url(self)
    }

    fn visit(&self, login: &PendingLogin) -> Result<AuthorizationCode, Error> {
        T::visit(self, login)
    }
}

impl<T: BlockingUserAgent + ?Sized> BlockingUserAgent for Arc<T> {
    fn redirect_url(&self) -> &str {
        T::redirect_url(self)
    }

    fn visit(&self, login: &PendingLogin) -> Result<AuthorizationCode, Error> {
        T::visit(self, login)
    }
}
