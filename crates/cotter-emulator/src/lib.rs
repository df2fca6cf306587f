//! A Cotter server to test against.
