//! Events: what a device is asked, and what it signs (protocol page 2.9, 3.7).

use alloc::borrow::ToOwned;
use alloc::string::String;

use serde_json::value::RawValue;

use crate::error::Error;
use crate::wire::json::Object;

/// The event of a sign-in by device (protocol page 5.19).
pub(crate) const LOGIN: &str = "LOGIN_WITH_DEVICE";

/// How a device answers.
pub(crate) const METHOD: &str = "TRUSTED_DEVICE";

/// What ends the signed text of a yes, and of a no.
pub(crate) const APPROVED: &str = "true";
pub(crate) const REFUSED: &str = "false";

/// The longest text of an event that is believed to be one.
const LONGEST: usize = 256;

/// Something that waits for a trusted device's answer, as the server describes it.
///
/// Nothing in it is signed yet: show it to the user, who knows whether they asked for it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeviceEvent {
    /// The server's number of it.
    pub id: u64,
    /// What is asked for: `LOGIN_WITH_DEVICE`, say.
    pub event: String,
    /// Whose it is.
    pub user_id: String,
    /// Where it was asked, as whoever asked says; often `unknown`.
    pub ip: String,
    /// The same.
    pub location: String,
    /// How it is to be answered.
    pub method: String,
    /// When it was asked: Unix seconds, as text, since it is signed as it stands.
    pub timestamp: String,
    /// Whether nobody has answered yet.
    pub waiting: bool,
    /// Whether the answer was yes.
    pub approved: bool,
}

impl DeviceEvent {
    /// Reads an event; what is signed later has to be plain text of its kind.
    pub(crate) fn read(object: &Object<'_>) -> Result<Self, Error> {
        let odd = || Error::protocol("the server's event makes no sense");
        let text = |name: &str| {
            object
                .text(name)
                .map(|text| text.as_str().to_owned())
                .filter(|text| text.len() <= LONGEST && !text.chars().any(char::is_control))
        };
        let flag = |name: &str| object.get(name).map(RawValue::get) == Some("true");
        let name = |text: &String| {
            !text.is_empty() && text.bytes().all(|b| b.is_ascii_uppercase() || b == b'_')
        };
        let digits = |text: &String| {
            (1..=12).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
        };
        Ok(Self {
            id: object.get("ID").and_then(|id| id.get().parse().ok()).ok_or_else(odd)?,
            event: text("event").filter(name).ok_or_else(odd)?,
            user_id: text("user_id").filter(|id| !id.is_empty()).ok_or_else(odd)?,
            ip: text("ip").unwrap_or_default(),
            location: text("location").unwrap_or_default(),
            method: text("method").filter(name).ok_or_else(odd)?,
            timestamp: text("timestamp").filter(digits).ok_or_else(odd)?,
            waiting: flag("new"),
            approved: flag("approved"),
        })
    }
}

/// What a device signs: the fields side by side, and the answer (protocol page 2.9).
pub(crate) fn signed_text(
    user_id: &str,
    project: &str,
    event: &str,
    timestamp: &str,
    method: &str,
    answer: &str,
) -> String {
    [user_id, project, event, timestamp, method, answer].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<DeviceEvent, Error> {
        DeviceEvent::read(&Object::parse(json.as_bytes()).unwrap())
    }

    const PENDING: &str = r#"{"ID":610778,"user_id":"3f5b8c1e-9a77-4d0b-8a55-6a1c0de5f00d",
        "client_user_id":"","issuer":"7d0c6a52-5d0e-4c0f-9a57-2b1f5f6a1c01",
        "event":"LOGIN_WITH_DEVICE","ip":"unknown","location":"unknown",
        "timestamp":"1767225600","method":"TRUSTED_DEVICE","new":true,"approved":false,
        "signature":""}"#;

    #[test]
    fn the_protocols_example_is_read_and_signed_as_it_says() {
        let event = read(PENDING).unwrap();
        assert_eq!((event.id, event.waiting, event.approved), (610_778, true, false));
        let project = "7d0c6a52-5d0e-4c0f-9a57-2b1f5f6a1c01";
        let DeviceEvent { user_id, event, timestamp, method, .. } = event;
        assert_eq!(
            signed_text(&user_id, project, &event, &timestamp, &method, APPROVED),
            "3f5b8c1e-9a77-4d0b-8a55-6a1c0de5f00d7d0c6a52-5d0e-4c0f-9a57-2b1f5f6a1c01\
             LOGIN_WITH_DEVICE1767225600TRUSTED_DEVICEtrue"
        );
    }

    #[test]
    fn fields_that_could_run_into_each_other_are_refused() {
        for (good, bad) in [
            (r#""LOGIN_WITH_DEVICE""#, r#""LOGIN1""#),
            (r#""1767225600""#, r#""17672256OO""#),
            (r#""1767225600""#, "1767225600"),
            (r#""TRUSTED_DEVICE""#, r#""trusted""#),
            ("610778", r#""610778""#),
            ("610778", "-1"),
            (r#""3f5b8c1e-9a77-4d0b-8a55-6a1c0de5f00d""#, r#""""#),
        ] {
            assert!(read(&PENDING.replacen(good, bad, 1)).is_err(), "{bad}");
        }
    }
}
