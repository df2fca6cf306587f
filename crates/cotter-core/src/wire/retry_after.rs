//! `Retry-After` (RFC 9110 section 10.2.3), as seconds or as a date.

use core::time::Duration;

use http::header::{DATE, RETRY_AFTER};
use http::{HeaderMap, HeaderName};

/// Nobody is believed who asks for more than a day.
const LONGEST: u64 = 86_400;

/// How long the server asks to wait. A date counts from the server's own `Date`, since core has no
/// clock to compare it with; without one it says nothing.
pub(super) fn read(headers: &HeaderMap) -> Option<Duration> {
    let text = |name: HeaderName| headers.get(name)?.to_str().ok().map(str::trim);
    let asked = text(RETRY_AFTER)?;
    let seconds = match asked.parse::<u64>() {
        Ok(seconds) => seconds,
        Err(_) if !asked.is_empty() && asked.bytes().all(|byte| byte.is_ascii_digit()) => LONGEST,
        Err(_) => u64::try_from(imf_date(asked)?.checked_sub(imf_date(text(DATE)?)?)?).unwrap_or(0),
    };
    Some(Duration::from_secs(seconds.min(LONGEST)))
}

/// Unix seconds of an IMF-fixdate, the one form that servers may send: `Sun, 06 Nov 1994 08:49:37 GMT`.
fn imf_date(text: &str) -> Option<i64> {
    let mut words = text.split_once(", ")?.1.split(' ');
    let day: i64 = words.next()?.parse().ok()?;
    let month = words.next()?;
    let year: i64 = words.next()?.parse().ok()?;
    let mut clock = words.next()?.splitn(3, ':').map(str::parse::<i64>);
    let (hour, minute, second) =
        (clock.next()?.ok()?, clock.next()?.ok()?, clock.next()?.ok()?);
    let months =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let month = i64::try_from(months.iter().position(|name| *name == month)?).ok()? + 1;
    let sane = (1..=31).contains(&day)
        && (1970..=9999).contains(&year)
        && (0..24).contains(&hour)
        && (0..60).contains(&minute)
        && (0..=60).contains(&second)
        && words.next() == Some("GMT");
    if !sane {
        return None;
    }
    // Days since 1970 by the civil calendar, years beginning in March.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = year * 365 + year / 4 - year / 100 + year / 400 + (month * 153 + 2) / 5 + day - 1 - 719_468;
    Some(days * 86_400 + hour * 3600 + minute * 60 + second)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn asked(after: &'static str, date: Option<&'static str>) -> Option<u64> {
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, HeaderValue::from_static(after));
        if let Some(date) = date {
            headers.insert(DATE, HeaderValue::from_static(date));
        }
        read(&headers).map(|after| after.as_secs())
    }

    #[test]
    fn seconds_and_dates_are_understood_and_nonsense_is_not() {
        let date = Some("Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(asked("7", None), Some(7));
        assert_eq!(asked("0", None), Some(0));
        assert_eq!(asked("99999999999999999999999", None), Some(LONGEST));
        assert_eq!(asked("Sun, 06 Nov 1994 08:50:07 GMT", date), Some(30));
        assert_eq!(asked("Sun, 06 Nov 1994 08:40:07 GMT", date), Some(0));
        assert_eq!(asked("Sun, 06 Nov 1994 08:50:07 GMT", None), None);
        for nonsense in ["", "-1", "soon", "1.5", "Sun, 99 Nov 1994 08:49:37 GMT", ", "] {
            assert_eq!(asked(nonsense, date), None, "{nonsense}");
        }
        assert_eq!(read(&HeaderMap::new()), None);
    }

    #[test]
    fn the_calendar_knows_leap_years() {
        assert_eq!(imf_date("Thu, 01 Jan 1970 00:00:00 GMT"), Some(0));
        assert_eq!(imf_date("Sun, 06 Nov 1994 08:49:37 GMT"), Some(784_111_777));
        assert_eq!(imf_date("Thu, 29 Feb 2024 00:00:00 GMT"), Some(1_709_164_800));
        assert_eq!(imf_date("Thu, 01 Jan 2026 00:00:00 GMT"), Some(1_767_225_600));
    }
}
