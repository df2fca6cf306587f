//! Users as Cotter describes them (protocol page 2.7).

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;

use serde_json::value::RawValue;

use crate::error::Error;
use crate::wire::json::{Object, text};

/// A user of a project, as Cotter describes one.
///
/// Whatever is absent, empty or of a wrong type in the description is `None` here; only the id is
/// always there. Times are kept as they are written.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct User {
    /// Cotter's id of the user: the same as in tokens.
    pub id: String,
    /// The email address, phone number or name by which the user signs in; no stable key.
    pub identifier: Option<String>,
    /// The project, by its API key id.
    pub issuer: Option<String>,
    /// The project's own id of the user, where it gave one; deprecated by Cotter.
    pub client_user_id: Option<String>,
    /// How the user can sign in beside email and phone: `TRUSTED_DEVICE`, say.
    pub enrolled: Vec<String>,
    /// Which of these comes first.
    pub default_method: Option<String>,
    /// When the user was made.
    pub created_at: Option<String>,
    /// When the user was changed last.
    pub updated_at: Option<String>,
    /// When the user was deleted, if so.
    pub deleted_at: Option<String>,
}

impl User {
    /// The user in this object; `None` where its id is all zero, which means "no such user".
    ///
    /// # Errors
    /// `Protocol` if there is no id.
    pub(crate) fn read(object: &Object<'_>) -> Result<Option<Self>, Error> {
        let plain = |name: &str| {
            object.text(name).filter(|text| !text.is_empty()).map(|text| text.as_str().to_owned())
        };
        let id = plain("ID").ok_or_else(|| Error::protocol("the server named no user"))?;
        if id.bytes().all(|byte| matches!(byte, b'0' | b'-')) {
            return Ok(None);
        }
        Ok(Some(Self {
            id,
            identifier: plain("identifier"),
            issuer: plain("issuer"),
            client_user_id: plain("client_user_id"),
            enrolled: object.get("enrolled").map(texts).unwrap_or_default(),
            default_method: plain("default_method"),
            created_at: plain("created_at"),
            // Both spellings occur (protocol page 5.17).
            updated_at: plain("updated_at").or_else(|| plain("update_at")),
            // The year 1 is Go's word for never.
            deleted_at: plain("deleted_at").filter(|at| !at.starts_with("0001-")),
        }))
    }
}

/// Who is signed in, as the stored tokens say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SignedInUser {
    /// The provider's id of the user.
    pub id: Option<String>,
    /// The email address, phone number or name; no stable key.
    pub identifier: Option<String>,
    /// How the user signed in, as Cotter calls it: `OTP`, say.
    pub auth_method: Option<String>,
}

/// The texts in a list; nothing where it is none.
fn texts(value: &RawValue) -> Vec<String> {
    let list: Vec<&RawValue> = serde_json::from_str(value.get()).unwrap_or_default();
    list.into_iter().filter_map(text).map(|text| text.as_str().to_owned()).collect()
}
