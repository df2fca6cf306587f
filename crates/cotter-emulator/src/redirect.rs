//! Where a login may return to.
