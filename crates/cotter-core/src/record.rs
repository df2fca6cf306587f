//! The stored form of a session: everything about it, in one record, under one revision.
//!
//! Layout: a version byte, then fields, each a tag byte, a length (32 bits, big-endian) and a value.
//! Fields that this version does not know are carried along, so that a newer cotter of the same
//! format version loses nothing when an older one writes; what an old reader must not ignore raises
//! the version byte.

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use sha2::{Digest, Sha256};

use crate::life::Life;
use crate::provider::Unfit;
use crate::secret::{AccessToken, IdToken, RefreshToken, SecretBytes};
use crate::store::{StoreError, StoreErrorKind};
use crate::time::{BootId, BootTime, Now, Timestamp};

/// The format that this version writes.
const VERSION: u8 = 1;

/// Recognises a token without holding it: the first 16 bytes of its SHA-256.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint([u8; 16]);

impl Fingerprint {
    /// The fingerprint of this token.
    #[must_use]
    pub fn of(token: &str) -> Self {
        let digest = Sha256::digest(token.as_bytes());
        let mut short = [0; 16];
        short.copy_from_slice(&digest[..16]);
        Self(short)
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fingerprint(..)")
    }
}

/// A note, written before a refresh token is sent, that it is being spent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Journal {
    /// When it was sent, by the wall clock.
    pub attempted_at: Timestamp,
    /// When it was sent, by the boot clock.
    pub boot: BootTime,
    /// Which boot that was.
    pub boot_id: BootId,
    /// Which attempt with this token it was, from 1.
    pub attempt: u32,
}

impl Journal {
    /// Whether it bears a time that is still to come: a clock was set back, or is wrong now.
    pub(crate) fn is_of_the_future(&self, now: Now) -> bool {
        if self.boot_id == now.boot_id {
            self.boot > now.boot
        } else {
            self.attempted_at > now.wall
        }
    }

    /// The same note, dated now; nobody knows by the boot clock when it was.
    pub(crate) const fn of_unknown_boot(self, now: Now) -> Self {
        Self { attempted_at: now.wall, boot_id: BootId::UNKNOWN, ..self }
    }
}

/// A refusal that is remembered, so that the same dead token is not sent again and again.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Refusal {
    /// Which refresh token was refused.
    pub token: Fingerprint,
    /// When.
    pub at: Timestamp,
    /// Until when nobody asks again on his own.
    pub until: Timestamp,
    /// How many times it has been refused.
    pub count: u32,
    /// Whether the token was lost in a rotation whose answer never arrived.
    pub rotation_lost: bool,
    /// What the server called it.
    pub code: String,
}

/// A token with its life.
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_structs, reason = "two parts, both needed")]
pub struct Timed<T> {
    /// The token.
    pub token: T,
    /// When it came and when it ends.
    pub life: Life,
}

/// Everything that is kept about one session.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Record {
    /// How many refresh tokens this lineage has had, from 1.
    pub seq: u64,
    /// The access token.
    pub access: Option<Timed<AccessToken>>,
    /// The ID token.
    pub id: Option<Timed<IdToken>>,
    /// The refresh token.
    pub refresh: Option<RefreshToken>,
    /// How the access token is presented: `Bearer`.
    pub token_type: String,
    /// How the user signed in, as the server calls it.
    pub auth_method: Option<String>,
    /// The scope, where the server said one.
    pub scope: Option<String>,
    /// Who the user is: `sub`, by the reading of the protocol.
    pub user: Option<String>,
    /// Whether the refresh token is being spent.
    pub journal: Option<Journal>,
    /// Why the newest set is not handed out.
    pub held: Option<Unfit>,
    /// Whether the refresh token has been refused.
    pub refusal: Option<Refusal>,
    /// Whether this lineage has been seen to rotate, whatever the provider declares.
    pub rotates: bool,
    /// An access token that a resource server refused.
    pub rejected: Option<Fingerprint>,
    /// Whether the access token came from an exchange, and not from a sign-in.
    pub exchanged: bool,
    /// When a flight found that the server cannot be reached, if nothing was sent since.
    pub(crate) unreachable: Option<Now>,
    /// Fields of a newer cotter, carried along.
    pub(crate) unknown: Vec<(u8, SecretBytes)>,
}

impl Record {
    /// A second copy, made on purpose.
    pub(crate) fn duplicate(&self) -> Self {
        Self {
            seq: self.seq,
            access: self.access.clone(),
            id: self.id.clone(),
            refresh: self.refresh.as_ref().map(RefreshToken::duplicate),
            token_type: self.token_type.clone(),
            auth_method: self.auth_method.clone(),
            scope: self.scope.clone(),
            user: self.user.clone(),
            journal: self.journal,
            held: self.held,
            refusal: self.refusal.clone(),
            rotates: self.rotates,
            rejected: self.rejected,
            exchanged: self.exchanged,
            unreachable: self.unreachable,
            unknown: self.unknown.iter().map(|(tag, value)| (*tag, value.duplicate())).collect(),
        }
    }

    /// Whether what was received bears this fingerprint.
    pub(crate) fn refresh_is(&self, fingerprint: Fingerprint) -> bool {
        self.refresh.as_ref().is_some_and(|token| Fingerprint::of(token.expose()) == fingerprint)
    }

    /// Every token in it, for whoever has to cut them out of a text.
    pub(crate) fn secrets(&self) -> Vec<&str> {
        let access = self.access.as_ref().map(|access| access.token.expose());
        let id = self.id.as_ref().map(|id| id.token.expose());
        [self.refresh.as_ref().map(RefreshToken::expose), access, id]
            .into_iter()
            .flatten()
            .collect()
    }

    /// Whether this is the access token of the record.
    pub(crate) fn access_is(&self, token: &AccessToken) -> bool {
        self.access.as_ref().is_some_and(|access| access.token == *token)
    }

    /// The fingerprint of the refresh token.
    pub(crate) fn refresh_fingerprint(&self) -> Option<Fingerprint> {
        self.refresh.as_ref().map(|token| Fingerprint::of(token.expose()))
    }

    /// The refusal that binds the stored refresh token and has not lapsed.
    pub(crate) fn standing_refusal(&self, now: Now) -> Option<&Refusal> {
        let refusal = self.refusal.as_ref()?;
        // A clock that was set back does not make a refusal last for ever: twice as long at most.
        let lasts = refusal.until.saturating_since(refusal.at);
        let lapsed = now.wall >= refusal.until || now.wall < refusal.at.saturating_sub(lasts);
        (!lapsed && self.refresh_is(refusal.token)).then_some(refusal)
    }

    /// Whether somebody found, after `began`, that the server cannot be reached: what a flight that
    /// has waited since then would only find again. A note from the future says nothing.
    pub(crate) fn was_unreachable(&self, began: Now, now: Now) -> bool {
        self.unreachable.is_some_and(|then| {
            if then.boot_id == now.boot_id {
                began.boot < then.boot && then.boot <= now.boot
            } else {
                began.wall < then.wall && then.wall <= now.wall
            }
        })
    }

    /// The bytes to store.
    #[must_use]
    pub fn encode(&self) -> SecretBytes {
        let mut out = Writer::new(self.encoded_length());
        out.field(tag::SEQ, &self.seq.to_be_bytes());
        if let Some(access) = &self.access {
            out.field(tag::ACCESS, access.token.expose().as_bytes());
            out.field(tag::ACCESS_LIFE, &life_bytes(&access.life));
        }
        if let Some(id) = &self.id {
            out.field(tag::ID, id.token.expose().as_bytes());
            out.field(tag::ID_LIFE, &life_bytes(&id.life));
        }
        if let Some(refresh) = &self.refresh {
            out.field(tag::REFRESH, refresh.expose().as_bytes());
        }
        out.field(tag::TOKEN_TYPE, self.token_type.as_bytes());
        let texts = [
            (tag::AUTH_METHOD, &self.auth_method),
            (tag::SCOPE, &self.scope),
            (tag::USER, &self.user),
        ];
        for (tag, text) in texts {
            if let Some(text) = text {
                out.field(tag, text.as_bytes());
            }
        }
        if let Some(journal) = &self.journal {
            out.field(tag::JOURNAL, &journal_bytes(journal));
        }
        if let Some(held) = self.held {
            out.field(tag::HELD, &[held.code()]);
        }
        if let Some(refusal) = &self.refusal {
            out.field(tag::REFUSAL, &refusal_bytes(refusal));
        }
        if self.rotates {
            out.field(tag::ROTATES, &[1]);
        }
        if let Some(rejected) = &self.rejected {
            out.field(tag::REJECTED, &rejected.0);
        }
        if self.exchanged {
            out.field(tag::EXCHANGED, &[1]);
        }
        if let Some(unreachable) = &self.unreachable {
            out.field(tag::UNREACHABLE, &moment_bytes(unreachable));
        }
        for (tag, value) in &self.unknown {
            out.field(*tag, value.expose());
        }
        out.bytes
    }

    /// An upper bound, so that encoding never moves a secret.
    fn encoded_length(&self) -> usize {
        let tokens = [
            self.access.as_ref().map_or(0, |access| access.token.expose().len()),
            self.id.as_ref().map_or(0, |id| id.token.expose().len()),
            self.refresh.as_ref().map_or(0, |refresh| refresh.expose().len()),
            self.token_type.len(),
            self.auth_method.as_ref().map_or(0, String::len),
            self.scope.as_ref().map_or(0, String::len),
            self.user.as_ref().map_or(0, String::len),
            self.refusal.as_ref().map_or(0, |refusal| refusal.code.len()),
            self.unknown.iter().map(|(_, value)| value.len() + 5).sum(),
        ];
        512 + tokens.iter().sum::<usize>()
    }

    /// Reads stored bytes of any version so far.
    ///
    /// # Errors
    /// `TooNew` for a version of the future, `Damaged` for anything that `encode` cannot have
    /// written.
    pub fn decode(bytes: &SecretBytes) -> Result<Self, StoreError> {
        match bytes.expose().split_first() {
            Some((&VERSION, fields)) => Self::decode_fields(fields).ok_or_else(damaged),
            Some((&newer, _)) if newer > VERSION => Err(StoreError::new(
                StoreErrorKind::TooNew,
                "the record was written by a newer version",
            )
            .with_hint("update this program; the record was left as it is")),
            _ => Err(damaged()),
        }
    }

    fn decode_fields(mut fields: &[u8]) -> Option<Self> {
        let mut record = Self::default();
        let mut access = (None, None);
        let mut id = (None, None);
        let mut seen = [false; 256];
        while !fields.is_empty() {
            let (tag, value) = take_field(&mut fields)?;
            if core::mem::replace(&mut seen[usize::from(tag)], true) {
                return None;
            }
            match tag {
                tag::SEQ => record.seq = u64::from_be_bytes(value.try_into().ok()?),
                tag::ACCESS => access.0 = Some(AccessToken::new(text(value)?)),
                tag::ACCESS_LIFE => access.1 = Some(read_life(value)?),
                tag::ID => id.0 = Some(IdToken::new(text(value)?)),
                tag::ID_LIFE => id.1 = Some(read_life(value)?),
                tag::REFRESH => record.refresh = Some(RefreshToken::new(text(value)?)),
                tag::TOKEN_TYPE => record.token_type = text(value)?.to_owned(),
                tag::AUTH_METHOD => record.auth_method = Some(text(value)?.to_owned()),
                tag::SCOPE => record.scope = Some(text(value)?.to_owned()),
                tag::USER => record.user = Some(text(value)?.to_owned()),
                tag::JOURNAL => record.journal = Some(read_journal(value)?),
                tag::HELD => {
                    let [code] = value else { return None };
                    record.held = Some(Unfit::from_code(*code)?);
                }
                tag::REFUSAL => record.refusal = Some(read_refusal(value)?),
                tag::ROTATES => record.rotates = value == [1],
                tag::REJECTED => record.rejected = Some(Fingerprint(value.try_into().ok()?)),
                tag::EXCHANGED => record.exchanged = value == [1],
                tag::UNREACHABLE => record.unreachable = Some(read_moment(value)?),
                unknown => record.unknown.push((unknown, SecretBytes::from(value))),
            }
        }
        record.access = timed(access)?;
        record.id = timed(id)?;
        // What was written had a sequence number and at least one token.
        let whole = record.seq > 0 && (record.access.is_some() || record.refresh.is_some());
        whole.then_some(record)
    }
}

mod tag {
    pub(super) const SEQ: u8 = 1;
    pub(super) const ACCESS: u8 = 2;
    pub(super) const ACCESS_LIFE: u8 = 3;
    pub(super) const ID: u8 = 4;
    pub(super) const ID_LIFE: u8 = 5;
    pub(super) const REFRESH: u8 = 6;
    pub(super) const TOKEN_TYPE: u8 = 7;
    pub(super) const AUTH_METHOD: u8 = 8;
    pub(super) const SCOPE: u8 = 9;
    pub(super) const USER: u8 = 10;
    pub(super) const JOURNAL: u8 = 11;
    pub(super) const HELD: u8 = 12;
    pub(super) const REFUSAL: u8 = 13;
    pub(super) const ROTATES: u8 = 14;
    pub(super) const REJECTED: u8 = 15;
    pub(super) const EXCHANGED: u8 = 16;
    pub(super) const UNREACHABLE: u8 = 17;
}

struct Writer {
    bytes: SecretBytes,
}

impl Writer {
    fn new(capacity: usize) -> Self {
        let mut bytes = SecretBytes::with_capacity(capacity);
        bytes.extend_from_slice(&[VERSION]);
        Self { bytes }
    }

    fn field(&mut self, tag: u8, value: &[u8]) {
        // Values are tokens and names that were read into memory: far below 4 GiB.
        let length = u32::try_from(value.len()).unwrap_or(u32::MAX);
        self.bytes.extend_from_slice(&[tag]);
        self.bytes.extend_from_slice(&length.to_be_bytes());
        self.bytes.extend_from_slice(value);
    }
}

fn damaged() -> StoreError {
    StoreError::new(StoreErrorKind::Damaged, "the stored record is damaged")
        .with_hint("sign in again to replace it, or sign out to remove it")
}

fn take_field<'a>(bytes: &mut &'a [u8]) -> Option<(u8, &'a [u8])> {
    let (&tag, rest) = bytes.split_first()?;
    let (length, rest) = rest.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    let (value, rest) = rest.split_at_checked(length)?;
    *bytes = rest;
    Some((tag, value))
}

fn text(value: &[u8]) -> Option<&str> {
    core::str::from_utf8(value).ok()
}

/// A token and its life stand together or not at all.
fn timed<T>(parts: (Option<T>, Option<Life>)) -> Option<Option<Timed<T>>> {
    match parts {
        (Some(token), Some(life)) => Some(Some(Timed { token, life })),
        (None, None) => Some(None),
        _ => None,
    }
}

fn life_bytes(life: &Life) -> [u8; 48] {
    let (wall, boot, boot_id) = (life.received_at, life.received_boot, life.boot_id);
    let mut out = [0; 48];
    out[..32].copy_from_slice(&moment_bytes(&Now { wall, boot, boot_id }));
    out[32..40].copy_from_slice(&life.ends_at.as_unix_millis().to_be_bytes());
    let total = u64::try_from(life.total.as_millis()).unwrap_or(u64::MAX);
    out[40..].copy_from_slice(&total.to_be_bytes());
    out
}

fn read_life(value: &[u8]) -> Option<Life> {
    let value: &[u8; 48] = value.try_into().ok()?;
    let received = read_moment(&part::<32>(value, 0)?)?;
    Some(Life {
        received_at: received.wall,
        received_boot: received.boot,
        boot_id: received.boot_id,
        ends_at: Timestamp::from_unix_millis(i64::from_be_bytes(part(value, 32)?)),
        total: Duration::from_millis(u64::from_be_bytes(part(value, 40)?)),
    })
}

fn journal_bytes(journal: &Journal) -> [u8; 36] {
    let (wall, boot, boot_id) = (journal.attempted_at, journal.boot, journal.boot_id);
    let mut out = [0; 36];
    out[..32].copy_from_slice(&moment_bytes(&Now { wall, boot, boot_id }));
    out[32..].copy_from_slice(&journal.attempt.to_be_bytes());
    out
}

fn read_journal(value: &[u8]) -> Option<Journal> {
    let value: &[u8; 36] = value.try_into().ok()?;
    let attempted = read_moment(&part::<32>(value, 0)?)?;
    Some(Journal {
        attempted_at: attempted.wall,
        boot: attempted.boot,
        boot_id: attempted.boot_id,
        attempt: u32::from_be_bytes(part(value, 32)?),
    })
}

/// How every moment of a record begins, and a moment by itself: 32 bytes.
fn moment_bytes(moment: &Now) -> [u8; 32] {
    let mut out = [0; 32];
    out[..8].copy_from_slice(&moment.wall.as_unix_millis().to_be_bytes());
    out[8..16].copy_from_slice(&moment.boot.as_millis().to_be_bytes());
    out[16..].copy_from_slice(moment.boot_id.as_bytes());
    out
}

fn read_moment(value: &[u8]) -> Option<Now> {
    let value: &[u8; 32] = value.try_into().ok()?;
    Some(Now {
        wall: Timestamp::from_unix_millis(i64::from_be_bytes(part(value, 0)?)),
        boot: BootTime::from_millis(u64::from_be_bytes(part(value, 8)?)),
        boot_id: BootId::from_bytes(part(value, 16)?),
    })
}

fn refusal_bytes(refusal: &Refusal) -> Vec<u8> {
    let mut out = Vec::with_capacity(37 + refusal.code.len());
    out.extend_from_slice(&refusal.token.0);
    out.extend_from_slice(&refusal.at.as_unix_millis().to_be_bytes());
    out.extend_from_slice(&refusal.until.as_unix_millis().to_be_bytes());
    out.extend_from_slice(&refusal.count.to_be_bytes());
    out.push(u8::from(refusal.rotation_lost));
    out.extend_from_slice(refusal.code.as_bytes());
    out
}

fn read_refusal(value: &[u8]) -> Option<Refusal> {
    Some(Refusal {
        token: Fingerprint(part(value, 0)?),
        at: Timestamp::from_unix_millis(i64::from_be_bytes(part(value, 16)?)),
        until: Timestamp::from_unix_millis(i64::from_be_bytes(part(value, 24)?)),
        count: u32::from_be_bytes(part(value, 32)?),
        rotation_lost: *value.get(36)? == 1,
        code: text(value.get(37..)?)?.to_owned(),
    })
}

fn part<const N: usize>(value: &[u8], from: usize) -> Option<[u8; N]> {
    value.get(from..from.checked_add(N)?)?.try_into().ok()
}

#[cfg(test)]
#[path = "record_tests.rs"]
mod tests;
