//! Signed objects as what a login asks for its identity.

use cotter_core::login::{SignedIdentity, VerifyIdentity};
use cotter_core::{Error, Timestamp};

use crate::signed::{SignedError, SignedObjects};

impl VerifyIdentity for SignedObjects {
    fn verify_identity(&self, object: &[u8], now: Timestamp) -> Result<SignedIdentity, Error> {
        let identity = Self::verify_identity(self, object, now).map_err(|why| {
            let message = "the identity that the login brought does not hold";
            match why {
                // Another server's key or another project, as likely as a forgery.
                SignedError::Key | SignedError::Receiver | SignedError::Signature => {
                    Error::config(message)
                }
                _ => Error::protocol(message),
            }
            .with_source(why)
        })?;
        Ok(SignedIdentity::new(
            identity.identifier(),
            identity.identifier_type(),
            identity.expires_at(),
        ))
    }
}

#[cfg(test)]
#[cfg(feature = "aws_lc_rs")]
mod tests {
    use alloc::string::ToString;

    use cotter_core::ErrorKind;
    use cotter_core::login::VerifyIdentity;

    use super::*;

    const VECTORS: &str = include_str!("../tests/vectors/cotter-vectors.json");

    fn judged(key: Option<&str>, now: i64) -> Result<SignedIdentity, Error> {
        let vectors: serde_json::Value = serde_json::from_str(VECTORS).unwrap();
        let own = vectors["ed25519_public_key_b64"].as_str().unwrap();
        let objects = SignedObjects::cotter(vectors["api_key_id"].as_str().unwrap())
            .public_key(key.unwrap_or(own))
            .unwrap();
        let token = vectors["identity_token"].to_string();
        let verifier: &dyn VerifyIdentity = &objects;
        verifier.verify_identity(token.as_bytes(), Timestamp::from_unix_seconds(now))
    }

    #[test]
    fn a_login_learns_who_was_verified_and_until_when() {
        let identity = judged(None, 1_767_225_660).unwrap();
        assert_eq!(identity.identifier, "+15550100123");
        assert_eq!(identity.identifier_type, "PHONE");
        assert_eq!(identity.expires_at.as_unix_seconds(), 1_769_817_600);
    }

    #[test]
    fn another_key_is_a_matter_of_set_up_and_an_ended_identity_is_not() {
        let foreign = judged(Some("qqOaiQGjGsxBMgI5rdAasaACRiJthOqadmefjY5mS/c="), 1_767_225_660);
        let foreign = foreign.unwrap_err();
        assert_eq!(foreign.kind(), ErrorKind::Config);
        assert!(core::error::Error::source(&foreign).is_some());
        let ended = judged(None, 1_769_817_600 + 31).unwrap_err();
        assert_eq!(ended.kind(), ErrorKind::Protocol);
    }
}
