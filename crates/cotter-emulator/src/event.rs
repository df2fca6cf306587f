//! Events: sign-ins by a trusted device.

/// Every event.
#[derive(Debug, Default)]
pub(crate) struct Events {}
