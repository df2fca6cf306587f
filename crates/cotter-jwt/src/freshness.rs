//! What `Cache-Control` says of how long an answer is fresh (RFC 9111 section 5.2.2).

/// How long an answer is fresh by its own word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Freshness {
    Seconds(u64),
    /// Not at all: it says so, or it says two things at once (section 4.2.1).
    Stale,
    Unsaid,
}

impl Freshness {
    pub(crate) fn of<'a>(lines: impl IntoIterator<Item = &'a str>) -> Self {
        let mut found = Self::Unsaid;
        for directive in lines.into_iter().flat_map(directives) {
            let (name, value) = directive.split_once('=').unwrap_or((directive, ""));
            let (name, value) = (name.trim(), value.trim());
            if name.eq_ignore_ascii_case("no-store") || name.eq_ignore_ascii_case("no-cache") {
                return Self::Stale;
            }
            if name.eq_ignore_ascii_case("max-age") {
                let said = seconds(value.trim_matches('"')).map_or(Self::Stale, Self::Seconds);
                if found != Self::Unsaid && found != said {
                    return Self::Stale;
                }
                found = said;
            }
        }
        found
    }
}

/// Whole seconds (RFC 9111 section 1.2.2); more than can be held is as many as can.
pub(crate) fn seconds(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().unwrap_or(u64::MAX))
}

/// The directives of one line. A comma between quotes parts nothing.
fn directives(line: &str) -> impl Iterator<Item = &str> {
    let (mut quoted, mut escaped) = (false, false);
    line.split(move |c| {
        let parts = c == ',' && !quoted;
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = quoted,
            '"' => quoted = !quoted,
            _ => {}
        }
        parts
    })
    .map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comma_between_quotes_parts_nothing() {
        let of = |line| Freshness::of([line]);
        assert_eq!(of(r#"private="a, max-age=5", max-age=60"#), Freshness::Seconds(60));
        assert_eq!(of(r#"x="\", max-age=5, ", max-age=60"#), Freshness::Seconds(60));
        assert_eq!(of(""), Freshness::Unsaid);
    }
}
