//! The switches by name: one table for the command line and for `POST /_control/config`.

use core::time::Duration;

use crate::config::{Config, DeleteToken, OnReuse, Profile, RejectBody, Rotation};

/// One switch of [`Config`], by name.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Switch {
    /// Its name: `--name` on the command line; in JSON `_` may stand for `-`.
    pub name: &'static str,
    /// The values it takes.
    pub values: &'static str,
    /// What it does, and its default.
    pub help: &'static str,
    set: fn(&mut Config, &str) -> Result<(), String>,
}

impl Switch {
    /// Sets the switch in `config`; the error says what was wrong with the value.
    pub fn set(&self, config: &mut Config, value: &str) -> Result<(), String> {
        (self.set)(config, value).map_err(|why| format!("{}: {why}", self.name))
    }

    /// The switch of that name, `_` and `-` being the same.
    #[must_use]
    pub fn find(name: &str) -> Option<&'static Self> {
        let name = name.replace('_', "-");
        SWITCHES.iter().find(|switch| switch.name == name)
    }
}

macro_rules! switch {
    ($name:literal, $values:literal, $help:literal, $field:ident, $parse:expr) => {
        Switch {
            name: $name,
            values: $values,
            help: $help,
            set: |config, value| {
                config.$field = $parse(value)?;
                Ok(())
            },
        }
    };
}

/// Every switch.
pub const SWITCHES: &[Switch] = &[
    switch!("api-key-id", "ID", "API key id of the project [fixed test id]", api_key_id, text),
    switch!("issuer", "URL", "`iss` of both JWTs [Cotter's]", issuer, text),
    switch!("access-ttl", "TIME", "life of access and ID tokens [3600s]", access_ttl, duration),
    switch!("refresh-ttl", "TIME", "life of a refresh-token family [30d]", refresh_ttl, duration),
    switch!(
        "refresh-sliding",
        "BOOL",
        "each refresh begins it anew [false]",
        refresh_sliding,
        flag
    ),
    switch!("rotation", "strict|none|grace=TIME", "refresh-token rotation [strict]", rotation, rot),
    switch!(
        "grace-new-successor",
        "BOOL",
        "a replay within the grace gets a successor of its own [false: the same one]",
        grace_new_successor,
        flag
    ),
    switch!(
        "on-reuse",
        "reject|revoke-family",
        "replay outside the grace [reject]",
        on_reuse,
        reuse
    ),
    switch!(
        "hold",
        "TIME",
        "time that each refresh is in hand before it counts [0s]",
        hold,
        duration
    ),
    switch!("profile", "2020-04|2020-08|latest", "claims of a time [2020-08]", profile, profile),
    switch!(
        "expires-in",
        "SECONDS|auto",
        "`expires_in` to say [auto: exp - iat]",
        expires_in,
        auto
    ),
    switch!("reject-status", "STATUS", "status of a rejected refresh [400]", reject_status, status),
    switch!("reject-body", "json|empty|html|null", "its body [json]", reject_body, reject),
    switch!("reject-msg", "TEXT", "its msg [Refresh token is not valid]", reject_msg, text),
    switch!(
        "cookie-wins",
        "BOOL",
        "cookie over body where both are sent [false]",
        cookie_wins,
        flag
    ),
    switch!(
        "active-key-first",
        "BOOL",
        "signing key first in the JWKS [false]",
        active_key_first,
        flag
    ),
    switch!("jwks-alg-use", "BOOL", "JWKs have alg and use [true]", jwks_alg_use, flag),
    switch!("kid", "KID|auto", "key id of the signing key [auto: random]", kid, auto_text),
    switch!(
        "unknown-user-404",
        "BOOL",
        "404 instead of an all-zero ID [false]",
        unknown_user_404,
        flag
    ),
    switch!(
        "always-tokens",
        "BOOL",
        "tokens without oauth_token=true [false]",
        always_tokens,
        flag
    ),
    switch!(
        "delete-token",
        "cookie|body|ignore",
        "what DELETE /token/{key} revokes by [cookie]",
        delete_token,
        delete
    ),
    switch!("code-ttl", "TIME", "life of an authorization code [300s]", code_ttl, duration),
    switch!(
        "code-survives-failure",
        "BOOL",
        "a failed exchange leaves the code usable [false]",
        code_survives_failure,
        flag
    ),
    switch!("event-ttl", "TIME", "life of a pending event [180s]", event_ttl, duration),
    switch!(
        "event-blank-client-id",
        "BOOL",
        "events have an empty client_user_id and are signed with user_id [false]",
        event_blank_client_id,
        flag
    ),
    switch!(
        "allowed-redirects",
        "PREFIX[,PREFIX]",
        "where a login may return to [loopback and custom schemes]",
        allowed_redirects,
        list
    ),
];

type Parsed<T> = Result<T, String>;

fn text(value: &str) -> Parsed<String> {
    Ok(value.to_owned())
}

fn flag(value: &str) -> Parsed<bool> {
    match value {
        "true" | "yes" | "on" | "1" => Ok(true),
        "false" | "no" | "off" | "0" => Ok(false),
        other => Err(format!("{other:?} is neither true nor false")),
    }
}

fn status(value: &str) -> Parsed<u16> {
    let number = value.parse().ok().filter(|code| (200..600).contains(code));
    number.ok_or_else(|| format!("{value:?} is no status"))
}

fn auto(value: &str) -> Parsed<Option<i64>> {
    if value == "auto" {
        return Ok(None);
    }
    value.parse().map(Some).map_err(|_| format!("{value:?} is no number"))
}

fn auto_text(value: &str) -> Parsed<Option<String>> {
    Ok((value != "auto" && !value.is_empty()).then(|| value.to_owned()))
}

fn list(value: &str) -> Parsed<Vec<String>> {
    Ok(value.split(',').map(str::trim).filter(|v| !v.is_empty()).map(str::to_owned).collect())
}

fn rot(value: &str) -> Parsed<Rotation> {
    match value.split_once('=') {
        None if value == "strict" => Ok(Rotation::Strict),
        None if value == "none" => Ok(Rotation::None),
        Some(("grace", time)) => duration(time).map(Rotation::Grace),
        _ => Err(format!("{value:?} is not strict, none or grace=TIME")),
    }
}

fn reuse(value: &str) -> Parsed<OnReuse> {
    match value {
        "reject" => Ok(OnReuse::Reject),
        "revoke-family" => Ok(OnReuse::RevokeFamily),
        other => Err(format!("{other:?} is not reject or revoke-family")),
    }
}

pub(crate) fn profile(value: &str) -> Parsed<Profile> {
    match value {
        "2020-04" => Ok(Profile::V2020_04),
        "2020-08" => Ok(Profile::V2020_08),
        "latest" => Ok(Profile::Latest),
        other => Err(format!("{other:?} is not 2020-04, 2020-08 or latest")),
    }
}

fn reject(value: &str) -> Parsed<RejectBody> {
    match value {
        "json" => Ok(RejectBody::Json),
        "empty" => Ok(RejectBody::Empty),
        "html" => Ok(RejectBody::Html),
        "null" => Ok(RejectBody::Null),
        other => Err(format!("{other:?} is not json, empty, html or null")),
    }
}

fn delete(value: &str) -> Parsed<DeleteToken> {
    match value {
        "cookie" => Ok(DeleteToken::Cookie),
        "body" => Ok(DeleteToken::Body),
        "ignore" => Ok(DeleteToken::Ignore),
        other => Err(format!("{other:?} is not cookie, body or ignore")),
    }
}

/// `3600`, `3600s`, `500ms`, `5m`, `1h`, `30d`.
pub(crate) fn duration(value: &str) -> Parsed<Duration> {
    let digits = value.find(|c: char| !c.is_ascii_digit()).unwrap_or(value.len());
    let (number, unit) = value.split_at(digits);
    let factor = match unit {
        "ms" => 1,
        "" | "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(format!("{value:?} is no time (3600, 3600s, 500ms, 5m, 1h, 30d)")),
    };
    let number: Option<u64> = number.parse().ok();
    let ms = number.and_then(|n| n.checked_mul(factor));
    ms.map(Duration::from_millis).ok_or_else(|| format!("{value:?} is no time"))
}

#[cfg(test)]
mod tests {
    use super::{SWITCHES, Switch, duration};
    use crate::config::{Config, Rotation};
    use core::time::Duration;

    #[test]
    fn times() {
        for (text, ms) in
            [("3600", 3_600_000), ("2s", 2000), ("500ms", 500), ("5m", 300_000), ("1h", 3_600_000)]
        {
            assert_eq!(duration(text), Ok(Duration::from_millis(ms)), "{text}");
        }
        for bad in ["", "s", "-1", "1y", "1.5s", "99999999999999999999"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn names_are_distinct_and_found_either_way() {
        for (at, switch) in SWITCHES.iter().enumerate() {
            assert!(SWITCHES[..at].iter().all(|other| other.name != switch.name));
            let found = Switch::find(&switch.name.replace('-', "_")).expect("found");
            assert_eq!(found.name, switch.name);
        }
    }

    #[test]
    fn a_switch_sets_its_field() {
        let mut config = Config::default();
        let switch = Switch::find("rotation").expect("there");
        switch.set(&mut config, "grace=30s").expect("valid");
        assert_eq!(config.rotation, Rotation::Grace(Duration::from_secs(30)));
        assert!(switch.set(&mut config, "sometimes").unwrap_err().starts_with("rotation: "));
    }
}
