use cotter_core::{Handed, Now, Step, Verified, Verify};

use crate::reason::{Invalid, Reason};
use crate::verifier::Verifier;

/// For a session whose provider's keys do not change; `cotter-jwks` fetches those that do.
impl Verify for Verifier {
    fn verify(&self, tokens: Handed, now: Now) -> Step<Verified> {
        let access = tokens.access_token.as_ref();
        let access = access.map(|token| self.verify_access_token(token, now.wall).map(drop));
        let id = tokens.id_token.as_ref();
        let id = id.map(|token| self.verify_id_token(token, now.wall).map(drop));
        let verdicts = access.into_iter().chain(id).map(Invalid::verdict);
        Step::Done(verdicts.fold(Verified::Sound, Invalid::worse))
    }
}

impl Invalid {
    /// What a verification means to a session: its clock holds no token back (rule 4), and keys that
    /// cannot be had say nothing.
    #[must_use]
    pub const fn verdict(verified: Result<(), Self>) -> Verified {
        match verified {
            Ok(()) => Verified::Sound,
            Err(invalid) => match invalid.reason() {
                // These come last of all: signature, issuer, audience and type are as they should.
                Reason::Expired | Reason::NotYetValid | Reason::IssuedInFuture => Verified::Sound,
                reason if reason.retry_after().is_some() => Verified::Undecided,
                reason => Verified::Unsound(reason.code()),
            },
        }
    }

    /// The worse of two verdicts.
    #[must_use]
    pub const fn worse(one: Verified, other: Verified) -> Verified {
        match (one, other) {
            (Verified::Unsound(_), _) | (_, Verified::Sound) => one,
            (Verified::Undecided, Verified::Undecided) => one,
            _ => other,
        }
    }
}
