//! Named places to crash at, in builds of the tests only (feature `_crash-points`).

/// Kills the process (`SIGKILL`) if `COTTER_CRASH_AT` is `name`, or `name:n` at the n-th time.
#[cfg(feature = "_crash-points")]
pub(crate) fn point(name: &str) {
    use core::sync::atomic::{AtomicU32, Ordering};
    use std::sync::OnceLock;

    static WANTED: OnceLock<Option<(String, u32)>> = OnceLock::new();
    static PASSED: AtomicU32 = AtomicU32::new(0);
    let wanted = WANTED.get_or_init(|| {
        let text = std::env::var("COTTER_CRASH_AT").ok()?;
        Some(match text.split_once(':') {
            Some((name, times)) => (String::from(name), times.parse().ok()?),
            None => (text, 1),
        })
    });
    let here = |(wanted, times): &(String, u32)| {
        wanted == name && PASSED.fetch_add(1, Ordering::Relaxed) + 1 == *times
    };
    if wanted.as_ref().is_some_and(here) {
        #[cfg(unix)]
        let _ =
            rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
        std::process::abort();
    }
}

#[cfg(not(feature = "_crash-points"))]
pub(crate) const fn point(_name: &str) {}
