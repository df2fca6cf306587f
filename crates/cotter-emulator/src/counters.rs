//! What the server has seen.

use serde::Serialize;

/// Counts since the start or the last reset.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Counters {
    /// Refreshes that the server committed: rotated, or granted without rotation.
    pub exchanges: u64,
    /// Presentations of a superseded refresh token outside the grace.
    pub reuses: u64,
    /// Presentations of a superseded refresh token within the grace, answered.
    pub grace_replays: u64,
    /// Most refresh requests of one family in hand at once: from arrival until the answer is written.
    pub max_in_flight: u64,
    /// Refresh requests that arrived.
    pub refresh_requests: u64,
    /// Refresh requests that were rejected, reuses included.
    pub refused: u64,
    /// Requests for the JWKS.
    pub jwks: u64,
    /// Sessions ended by `DELETE /token/{key}`.
    pub signed_out: u64,
    /// `DELETE /token/{key}` requests.
    pub deletes: u64,
    /// Requests to the verify worker.
    pub verifications: u64,
    /// Authorization codes exchanged.
    pub identities: u64,
    /// Users created.
    pub users_created: u64,
    /// Requests that met a fault.
    pub faults: u64,
    /// Connections accepted.
    pub connections: u64,
}

impl Counters {
    /// What was done since `before` counts as not done; what was asked stays counted.
    pub(crate) const fn undo(&mut self, before: &Self) {
        self.exchanges = before.exchanges;
        self.signed_out = before.signed_out;
        self.identities = before.identities;
        self.users_created = before.users_created;
    }
}
