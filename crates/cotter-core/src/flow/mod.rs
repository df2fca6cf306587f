//! The flows: what to do, step by step, to keep a session.

/// What callers may see from now on.
#[derive(Debug)]
#[non_exhaustive]
pub struct Publication {}
