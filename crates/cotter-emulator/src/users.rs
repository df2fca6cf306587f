//! Users and what is enrolled for them.

use std::collections::HashMap;

use serde_json::{Value, json};

use crate::clock::{NEVER, rfc3339};
use crate::codec::uuid;

/// The id of nobody.
pub(crate) const NOBODY: &str = "00000000-0000-0000-0000-000000000000";

/// One user of the project.
#[derive(Clone, Debug)]
pub(crate) struct User {
    pub(crate) id: String,
    pub(crate) client_user_id: String,
    pub(crate) identifier: String,
    created_ms: i64,
    updated_ms: i64,
    /// (method, algorithm, public key or code).
    pub(crate) methods: Vec<(String, String, String)>,
}

impl User {
    pub(crate) fn enrol(&mut self, method: &str, algorithm: &str, code: &str, now_ms: i64) {
        self.methods.push((method.into(), algorithm.into(), code.into()));
        self.updated_ms = now_ms;
    }

    /// Takes a method away: this code, or all of the method where the code is empty.
    pub(crate) fn remove(&mut self, method: &str, code: &str, now_ms: i64) {
        self.methods.retain(|(m, _, c)| m != method || (!code.is_empty() && c != code));
        self.updated_ms = now_ms;
    }

    pub(crate) fn has(&self, method: &str, code: Option<&str>) -> bool {
        self.methods.iter().any(|(m, _, c)| m == method && code.is_none_or(|code| code == c))
    }

    /// The object as the API has it; `updated` is `update_at` or `updated_at`.
    pub(crate) fn object(&self, issuer: &str, updated: &str) -> Value {
        let mut enrolled: Vec<&str> = self.methods.iter().map(|(m, _, _)| m.as_str()).collect();
        enrolled.sort_unstable();
        enrolled.dedup();
        json!({
            "ID": self.id,
            "created_at": rfc3339(self.created_ms),
            updated: rfc3339(self.updated_ms),
            "deleted_at": NEVER,
            "issuer": issuer,
            "client_user_id": self.client_user_id,
            "enrolled": enrolled,
            "default_method": enrolled.first(),
            "identifier": self.identifier,
            "identifiers": null,
        })
    }
}

/// What a lookup of an unknown user answers.
pub(crate) fn nobody() -> Value {
    json!({
        "ID": NOBODY, "created_at": NEVER, "updated_at": NEVER, "deleted_at": NEVER, "issuer": "",
        "client_user_id": "", "enrolled": null, "default_method": null, "identifier": "",
        "identifiers": null,
    })
}

/// Every user, by id.
#[derive(Clone, Debug, Default)]
pub(crate) struct Users {
    by_id: HashMap<String, User>,
    by_identifier: HashMap<String, String>,
}

impl Users {
    pub(crate) fn by_id(&self, id: &str) -> Option<&User> {
        self.by_id.get(id)
    }

    pub(crate) fn by_id_mut(&mut self, id: &str) -> Option<&mut User> {
        self.by_id.get_mut(id)
    }

    pub(crate) fn by_identifier(&self, identifier: &str) -> Option<&User> {
        self.by_identifier.get(identifier).and_then(|id| self.by_id.get(id))
    }

    /// By the customer's own id, which is Cotter's where the customer gave none.
    pub(crate) fn by_client_id(&self, id: &str) -> Option<&User> {
        let direct = self.by_id.get(id).filter(|user| user.client_user_id == id);
        direct.or_else(|| self.by_id.values().find(|user| user.client_user_id == id))
    }

    /// A new user; `None` if the identifier is taken.
    pub(crate) fn create(
        &mut self,
        identifier: &str,
        client_user_id: Option<&str>,
        now_ms: i64,
    ) -> Option<&User> {
        if self.by_identifier.contains_key(identifier) {
            return None;
        }
        let id = uuid();
        let client_user_id = client_user_id.filter(|own| !own.is_empty()).unwrap_or(&id);
        let user = User {
            client_user_id: client_user_id.to_owned(),
            identifier: identifier.to_owned(),
            created_ms: now_ms,
            updated_ms: now_ms,
            methods: Vec::new(),
            id: id.clone(),
        };
        self.by_identifier.insert(identifier.to_owned(), id.clone());
        Some(self.by_id.entry(id).or_insert(user))
    }

    /// The id of that user, made if there is none.
    pub(crate) fn ensure(&mut self, identifier: &str, now_ms: i64) -> String {
        if let Some(id) = self.by_identifier.get(identifier) {
            return id.clone();
        }
        let made = self.create(identifier, None, now_ms);
        made.map(|user| user.id.clone()).unwrap_or_default()
    }

    /// Forgets a user; whether there was one.
    pub(crate) fn delete(&mut self, identifier: &str) -> bool {
        let id = self.by_identifier.remove(identifier);
        id.is_some_and(|id| self.by_id.remove(&id).is_some())
    }
}
