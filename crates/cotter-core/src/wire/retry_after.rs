//! `Retry-After` (RFC 9110 section 10.2.3), as seconds or as a date.

use core::time::Duration;

use http::header::{DATE, RETRY_AFTER};
use http::{HeaderMap, HeaderName};

use crate::time::Timestamp;

/// Nobody is believed who asks for more than a day.
const LONGEST: u64 = 86_400;

/// How long the server asks to wait. A date counts from the server's own `Date`, or else from `now`,
/// by the clock of this machine; without either it says nothing.
pub(super) fn read(headers: &HeaderMap, now: Option<Timestamp>) -> Option<Duration> {
    let text = |name: HeaderName| headers.get(name)?.to_str().ok().map(str::trim);
    let asked = text(RETRY_AFTER)?;
    let seconds = if !asked.is_empty() && asked.bytes().all(|byte| byte.is_ascii_digit()) {
        // Digits that are no number are too many of them.
        asked.parse().unwrap_or(LONGEST)
    } else {
        let until = date(asked)?;
        let from = text(DATE).and_then(date).or_else(|| now.map(Timestamp::as_unix_seconds))?;
        u64::try_from(until.saturating_sub(from)).unwrap_or(0)
    };
    Some(Duration::from_secs(seconds.min(LONGEST)))
}

/// Unix seconds of a date in any form of HTTP (RFC 9110 section 5.6.7): the present one, and the two
/// obsolete ones that a recipient must still read.
fn date(text: &str) -> Option<i64> {
    let mut words = text.split([' ', '-', ',']).filter(|word| !word.is_empty());
    let mut next = || words.next();
    let (_weekday, second, third) = (next()?, next()?, next()?);
    let parsed = if let Some(month) = month(second) {
        // Sun Nov  6 08:49:37 1994
        let (clock, year) = (clock(next()?)?, number(next()?, 4)?);
        (year, month, number(third, 2)?, clock)
    } else {
        // Sun, 06 Nov 1994 08:49:37 GMT, or Sunday, 06-Nov-94 08:49:37 GMT
        let (year, clock) = (next()?, clock(next()?)?);
        let year = match year.len() {
            // Two digits: 1970 to 2069.
            2 => number(year, 2).map(|year| if year < 70 { 2000 + year } else { 1900 + year })?,
            _ => number(year, 4)?,
        };
        if next()? != "GMT" {
            return None;
        }
        (year, month(third)?, number(second, 2)?, clock)
    };
    let (year, month, day, clock) = parsed;
    let sane = next().is_none() && (1..=31).contains(&day) && (1970..=9999).contains(&year);
    sane.then(|| days(year, month, day) * 86_400 + clock)
}

/// The number of a month, from 1.
fn month(name: &str) -> Option<i64> {
    let names =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    names.into_iter().zip(1..).find(|(one, _)| *one == name).map(|(_, number)| number)
}

/// The seconds of a day: `08:49:37`.
fn clock(text: &str) -> Option<i64> {
    let mut parts = text.splitn(3, ':').map(|part| number(part, 2));
    let (hour, minute, second) = (parts.next()??, parts.next()??, parts.next()??);
    (hour < 24 && minute < 60 && second <= 60).then_some(hour * 3600 + minute * 60 + second)
}

/// A number of at most so many digits, and nothing but digits.
fn number(text: &str, digits: usize) -> Option<i64> {
    let fits = text.len() <= digits && text.bytes().all(|byte| byte.is_ascii_digit());
    fits.then(|| text.parse().ok()).flatten()
}

/// Days since 1970 by the civil calendar, years beginning in March.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    year * 365 + year / 4 - year / 100 + year / 400 + (month * 153 + 2) / 5 + day - 1 - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;
    use proptest::prelude::*;

    fn asked(after: &'static str, date: Option<&'static str>) -> Option<u64> {
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, HeaderValue::from_static(after));
        if let Some(date) = date {
            headers.insert(DATE, HeaderValue::from_static(date));
        }
        read(&headers, None).map(|after| after.as_secs())
    }

    #[test]
    fn seconds_and_dates_are_understood_and_nonsense_is_not() {
        let date = Some("Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(asked("7", None), Some(7));
        assert_eq!(asked("0", None), Some(0));
        assert_eq!(asked("86401", None), Some(LONGEST));
        assert_eq!(asked("Sun, 06 Nov 1995 08:49:37 GMT", date), Some(LONGEST));
        assert_eq!(asked("99999999999999999999999", None), Some(LONGEST));
        assert_eq!(asked("Sun, 06 Nov 1994 08:50:07 GMT", date), Some(30));
        assert_eq!(asked("Sun, 06 Nov 1994 08:40:07 GMT", date), Some(0));
        assert_eq!(asked("Sun, 06 Nov 1994 08:50:07 GMT", None), None);
        for nonsense in [
            "",
            "-1",
            "+5",
            "soon",
            "1.5",
            "5 6",
            ", ",
            "Sun, 99 Nov 1994 08:49:37 GMT",
            "Sun, 00 Nov 1994 08:49:37 GMT",
            "Sun, 06 Nov 1994 24:49:37 GMT",
            "Sun, 06 Nov 1994 08:60:37 GMT",
            "Sun, 06 Nov 1994 08:49:37 CET",
            "Sun, 06 Nov 1994 08:49:37 GMT GMT",
            "Sun, 06 Nov 1994 08:49 GMT",
            "Sun, 06 Nov 19940 08:49:37 GMT",
            "Sun, 06 Nov 1969 08:49:37 GMT",
            "Sun, 06 Noe 1994 08:49:37 GMT",
        ] {
            assert_eq!(asked(nonsense, date), None, "{nonsense}");
        }
        assert_eq!(read(&HeaderMap::new(), None), None);
    }

    #[test]
    fn a_date_in_an_obsolete_form_is_read_too() {
        for now in [
            "Sun, 06 Nov 1994 08:49:37 GMT",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
        ] {
            assert_eq!(date(now), Some(784_111_777), "{now}");
            assert_eq!(asked(now, Some("Sun, 06 Nov 1994 08:49:30 GMT")), Some(7), "{now}");
        }
        assert_eq!(date("Thursday, 01-Jan-26 00:00:00 GMT"), Some(1_767_225_600));
    }

    #[test]
    fn a_date_without_the_servers_own_counts_from_this_machines_clock() {
        let now = Some(Timestamp::from_unix_seconds(784_111_777));
        let mut headers = HeaderMap::new();
        let after = HeaderValue::from_static("Sun, 06 Nov 1994 08:50:07 GMT");
        headers.insert(RETRY_AFTER, after);
        assert_eq!(read(&headers, now), Some(Duration::from_secs(30)));
        headers.insert(DATE, HeaderValue::from_static("today"));
        assert_eq!(read(&headers, now), Some(Duration::from_secs(30)));
        headers.insert(DATE, HeaderValue::from_static("Sun, 06 Nov 1994 08:50:00 GMT"));
        assert_eq!(read(&headers, now), Some(Duration::from_secs(7)), "the server's own first");
    }

    #[test]
    fn a_header_that_is_no_text_says_nothing() {
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, HeaderValue::from_bytes(b"\xff7").unwrap());
        assert_eq!(read(&headers, None), None);
    }

    #[test]
    fn the_calendar_knows_leap_years() {
        assert_eq!(date("Thu, 01 Jan 1970 00:00:00 GMT"), Some(0));
        assert_eq!(date("Sun, 06 Nov 1994 08:49:37 GMT"), Some(784_111_777));
        assert_eq!(date("Thu, 29 Feb 2024 00:00:00 GMT"), Some(1_709_164_800));
        assert_eq!(date("Thu, 01 Jan 2026 00:00:00 GMT"), Some(1_767_225_600));
    }

    proptest! {
        #[test]
        fn no_header_panics_or_asks_for_more_than_a_day(
            after in "[ -~]{0,40}|[A-Z][a-z]{2}, [0-9]{2} (Jan|Feb|Dec) [0-9]{4} [0-9:]{8} GMT",
            date in "[ -~]{0,40}|[A-Z][a-z]{2}, [0-9]{2} (Jan|Feb|Dec) [0-9]{4} [0-9:]{8} GMT",
        ) {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, HeaderValue::from_str(&after).unwrap());
            headers.insert(DATE, HeaderValue::from_str(&date).unwrap());
            prop_assert!(read(&headers, None).is_none_or(|wait| wait.as_secs() <= LONGEST));
        }
    }
}
