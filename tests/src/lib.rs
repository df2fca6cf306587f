//! What the scenarios under `tests/tests` share.
