//! Small programs that a user would copy; see `src/bin`.
