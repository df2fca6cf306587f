//! Sign-ins in progress on the hosted page.

/// Every sign-in in progress.
#[derive(Debug, Default)]
pub(crate) struct Logins {}
