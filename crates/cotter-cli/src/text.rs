//! Small things about text: dates, spans, and what may be shown of somebody else's words.

use core::time::Duration;
use std::ffi::OsStr;

use cotter::Timestamp;

/// The time as RFC 3339 has it, in UTC, to the second.
pub(crate) fn rfc3339(time: Timestamp) -> String {
    let seconds = time.as_unix_seconds();
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let (year, month, day) = civil(days);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// The date of a day counted from 1970-01-01, by the proleptic Gregorian calendar (Howard Hinnant,
/// "chrono-compatible low-level date algorithms").
const fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + if month <= 2 { 1 } else { 0 };
    (year, month, day)
}

/// A span as people say it, in its largest unit.
pub(crate) fn span(span: Duration) -> String {
    let seconds = span.as_secs();
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / 60),
        7200..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} days", seconds / 86_400),
    }
}

/// At most 80 characters of what somebody else wrote, safe for a terminal.
pub(crate) fn printable(text: &str) -> String {
    text.chars().filter(|char| !char.is_control()).take(80).collect()
}

/// What was typed, or three dots where it is so long that it may be a token in the wrong place.
pub(crate) const fn unless_long(typed: &str) -> &str {
    if typed.len() > 40 { "..." } else { typed }
}

/// An address without what may stand before its host: a user's name and password.
pub(crate) fn address(url: &str) -> String {
    let url = url.rsplit_once('@').map_or(url, |(_, rest)| rest);
    printable(url.split(['?', '#']).next().unwrap_or_default())
}

/// What was typed for a file's name; three dots where it may be a token in the place of one.
pub(crate) fn file(typed: &OsStr) -> String {
    let name = typed.to_string_lossy();
    let is_path = name.contains(std::path::is_separator);
    printable_path(if is_path { &name } else { unless_long(&name) })
}

/// A path, safe for a terminal.
pub(crate) fn printable_path(path: &str) -> String {
    path.chars().filter(|char| !char.is_control()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_written_as_rfc_3339() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_582_934_400, "2020-02-29T00:00:00Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
            (-1, "1969-12-31T23:59:59Z"),
            (253_402_300_799, "9999-12-31T23:59:59Z"),
        ] {
            assert_eq!(rfc3339(Timestamp::from_unix_seconds(seconds)), text);
        }
    }

    #[test]
    fn spans_have_one_unit() {
        assert_eq!(span(Duration::from_secs(59)), "59 s");
        assert_eq!(span(Duration::from_secs(3599)), "59 min");
        assert_eq!(span(Duration::from_secs(3 * 86_400)), "3 days");
    }

    #[test]
    fn nothing_that_moves_a_cursor_is_shown() {
        assert_eq!(printable("a\x1b[2Jb\n"), "a[2Jb");
        assert_eq!(printable(&"x".repeat(200)).len(), 80);
    }

    #[test]
    fn what_may_be_a_secret_is_not_shown() {
        assert_eq!(unless_long("soon"), "soon");
        assert_eq!(unless_long(&"x".repeat(41)), "...");
        for url in ["https://u:PLANTED@host/api", "https://u:PLA@NTED?x#@host/api?PLANTED"] {
            assert_eq!(address(url), "host/api");
        }
        assert_eq!(address("https://host/api/v0"), "https://host/api/v0");
    }
}
