//! A deadline that goes on while the machine sleeps.

use core::error::Error as _;
use core::fmt;
use core::time::Duration;

/// When the body of a request may no longer be begun.
///
/// The clients' own clocks stand still in suspend. Who sleeps between the connection and the body
/// wakes up beyond the lease under which the request was to be sent, and must not send it then.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadline(Option<Duration>);

impl Deadline {
    /// So much after now; without an end where the platform has no clock that counts suspend.
    pub(crate) fn after(span: Duration) -> Self {
        Self(boot().and_then(|now| now.checked_add(span)))
    }

    pub(crate) fn has_passed(self) -> bool {
        self.0.zip(boot()).is_some_and(|(end, now)| now > end)
    }

    /// One that has passed, on every platform that can tell.
    #[cfg(test)]
    pub(crate) const fn past() -> Self {
        Self(Some(Duration::ZERO))
    }
}

#[cfg(target_os = "linux")]
fn boot() -> Option<Duration> {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    Some(Duration::new(u64::try_from(time.tv_sec).ok()?, u32::try_from(time.tv_nsec).ok()?))
}

#[cfg(not(target_os = "linux"))]
const fn boot() -> Option<Duration> {
    None
}

/// What a body says instead of itself when its deadline has passed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Late;

impl Late {
    /// Whether this is what ended a request.
    pub(crate) fn stopped(error: &reqwest::Error) -> bool {
        let mut link = error.source();
        while let Some(this) = link {
            if this.is::<Self>() {
                return true;
            }
            link = this.source();
        }
        false
    }
}

impl fmt::Display for Late {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the deadline passed before the request was sent")
    }
}

impl core::error::Error for Late {}
