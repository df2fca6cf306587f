use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;

use cotter_core::Timestamp;
use sha2::{Digest, Sha256};

use crate::claims::{AccessClaims, Common, IdClaims};
use crate::keyset::KeySet;
use crate::reason::Invalid;
use crate::verifier::{AccessText, IdText, Verified, Verifier};

type Hash = [u8; 32];

/// A [`Verifier`] that remembers what it verified: the same token again costs one SHA-256 and one
/// look-up, until the token's own `exp`.
///
/// Bounded: when it is full, the token that ends first is forgotten. A token is forgotten at once
/// when the key that vouched for it leaves the set ([`replace_keys`](Self::replace_keys)). Only
/// hashes of tokens are kept, and only of valid ones: nobody can fill it with rubbish.
///
/// ```
/// # #[cfg(feature = "aws_lc_rs")] {
/// use cotter_core::Timestamp;
/// use cotter_jwt::{CachedVerifier, KeySet, Verifier};
///
/// # let vectors: serde_json::Value =
/// #     serde_json::from_str(include_str!("../tests/vectors/cotter-vectors.json")).unwrap();
/// # let (jwks, api_key_id) = (vectors["jwks"].to_string(), vectors["api_key_id"].as_str().unwrap());
/// # let token = vectors["access_token"].as_str().unwrap();
/// let verifier = Verifier::cotter(api_key_id).keys(KeySet::from_json(jwks)?);
/// let mut verifier = CachedVerifier::new(verifier, 1_000);
/// let now = Timestamp::from_unix_seconds(1_767_225_600);
/// verifier.verify_access_token(token, now)?;
/// verifier.verify_access_token(token, now)?; // no signature is checked here
///
/// verifier.replace_keys(KeySet::empty());
/// assert_eq!(verifier.verify_access_token(token, now).unwrap_err().code(), "kid_unknown");
/// # }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct CachedVerifier {
    access: Kept<AccessClaims>,
    id: Kept<IdClaims>,
    /// Tells its own verdicts from another's, which expects something else.
    own: Arc<()>,
    verifier: Verifier,
}

impl CachedVerifier {
    /// Remembers up to `capacity` tokens of each kind.
    #[must_use]
    pub fn new(verifier: Verifier, capacity: usize) -> Self {
        let own = Arc::new(());
        Self { access: Kept::new(capacity), id: Kept::new(capacity), own, verifier }
    }

    /// What judges tokens that are not remembered.
    #[must_use]
    pub const fn verifier(&self) -> &Verifier {
        &self.verifier
    }

    /// How many tokens are remembered.
    #[must_use]
    pub fn remembered(&self) -> usize {
        self.access.entries.len() + self.id.entries.len()
    }

    /// Verifies with these keys from now on, and forgets what only the old ones vouched for.
    pub fn replace_keys(&mut self, keys: impl Into<Arc<KeySet>>) {
        let keys = keys.into();
        self.access.retain(&keys);
        self.id.retain(&keys);
        self.verifier = self.verifier.clone().keys(keys);
    }

    /// Verifies an access token, or remembers that it did.
    ///
    /// # Errors
    /// [`Invalid`], with the reason.
    pub fn verify_access_token<'a>(
        &mut self,
        token: impl Into<AccessText<'a>>,
        now: Timestamp,
    ) -> Result<Arc<AccessClaims>, Invalid> {
        let judged = self.judge_access_token(token, now)?;
        self.remember_access(&judged);
        Ok(judged.claims)
    }

    /// Verifies an ID token, or remembers that it did.
    ///
    /// # Errors
    /// [`Invalid`], with the reason.
    pub fn verify_id_token<'a>(
        &mut self,
        token: impl Into<IdText<'a>>,
        now: Timestamp,
    ) -> Result<Arc<IdClaims>, Invalid> {
        let judged = self.judge_id_token(token, now)?;
        self.remember_id(&judged);
        Ok(judged.claims)
    }

    /// The first half of [`verify_access_token`](Self::verify_access_token), for a reader's lock.
    ///
    /// # Errors
    /// [`Invalid`], with the reason.
    pub fn judge_access_token<'a>(
        &self,
        token: impl Into<AccessText<'a>>,
        now: Timestamp,
    ) -> Result<Judged<AccessClaims>, Invalid> {
        let token = token.into().0;
        let hash = Sha256::digest(token).into();
        if let Some(claims) = self.access.find(&hash, now) {
            return Ok(Judged { claims, news: None });
        }
        let verified = self.verifier.access(token, now)?;
        Ok(self.judged(hash, verified, AccessClaims::common))
    }

    /// The first half of [`verify_id_token`](Self::verify_id_token), for a reader's lock.
    ///
    /// # Errors
    /// [`Invalid`], with the reason.
    pub fn judge_id_token<'a>(
        &self,
        token: impl Into<IdText<'a>>,
        now: Timestamp,
    ) -> Result<Judged<IdClaims>, Invalid> {
        let token = token.into().0;
        let hash = Sha256::digest(token).into();
        if let Some(claims) = self.id.find(&hash, now) {
            return Ok(Judged { claims, news: None });
        }
        let verified = self.verifier.id(token, now)?;
        Ok(self.judged(hash, verified, IdClaims::common))
    }

    /// The claims of an access token that is remembered.
    pub fn recall_access<'a>(
        &self,
        token: impl Into<AccessText<'a>>,
        now: Timestamp,
    ) -> Option<Arc<AccessClaims>> {
        self.access.find(&Sha256::digest(token.into().0).into(), now)
    }

    /// The claims of an ID token that is remembered.
    pub fn recall_id<'a>(
        &self,
        token: impl Into<IdText<'a>>,
        now: Timestamp,
    ) -> Option<Arc<IdClaims>> {
        self.id.find(&Sha256::digest(token.into().0).into(), now)
    }

    /// The second half of [`verify_access_token`](Self::verify_access_token). What another verifier
    /// has judged is not remembered, nor what was judged by keys that have been replaced since.
    pub fn remember_access(&mut self, judged: &Judged<AccessClaims>) {
        if let Some(news) = judged.news_for(self) {
            self.access.keep(news, &judged.claims);
        }
    }

    /// The second half of [`verify_id_token`](Self::verify_id_token), likewise.
    pub fn remember_id(&mut self, judged: &Judged<IdClaims>) {
        if let Some(news) = judged.news_for(self) {
            self.id.keep(news, &judged.claims);
        }
    }

    fn judged<C>(&self, hash: Hash, verified: Verified<C>, common: fn(&C) -> &Common) -> Judged<C> {
        let times = common(&verified.claims);
        let begins = times.nbf.max(times.iat).unwrap_or(Timestamp::EPOCH);
        let news = News {
            hash,
            key: verified.key,
            from: begins.saturating_sub(self.verifier.leeway_of()),
            until: times.exp,
        };
        let by = By { keys: *self.verifier.key_set().id(), verifier: Arc::clone(&self.own) };
        Judged { claims: Arc::new(verified.claims), news: Some((by, news)) }
    }
}

/// Claims, and perhaps news for a [`CachedVerifier`] to remember.
#[derive(Debug)]
pub struct Judged<C> {
    claims: Arc<C>,
    news: Option<(By, News)>,
}

/// Who has judged.
#[derive(Debug)]
struct By {
    keys: Hash,
    verifier: Arc<()>,
}

impl<C> Judged<C> {
    /// The claims.
    #[must_use]
    pub const fn claims(&self) -> &Arc<C> {
        &self.claims
    }

    /// Whether there is anything to remember; if not, the writer's lock can be spared.
    #[must_use]
    pub const fn is_new(&self) -> bool {
        self.news.is_some()
    }

    fn news_for(&self, cached: &CachedVerifier) -> Option<News> {
        let (by, news) = self.news.as_ref()?;
        let own = Arc::ptr_eq(&by.verifier, &cached.own);
        (own && by.keys == *cached.verifier.key_set().id()).then_some(*news)
    }
}

#[derive(Clone, Copy, Debug)]
struct News {
    hash: Hash,
    /// Which key vouched for the token.
    key: Hash,
    from: Timestamp,
    until: Timestamp,
}

#[derive(Debug)]
struct Kept<C> {
    by_end: BTreeSet<(Timestamp, Hash)>,
    capacity: usize,
    entries: BTreeMap<Hash, (News, Arc<C>)>,
}

impl<C> Kept<C> {
    const fn new(capacity: usize) -> Self {
        Self { by_end: BTreeSet::new(), capacity, entries: BTreeMap::new() }
    }

    fn find(&self, hash: &Hash, now: Timestamp) -> Option<Arc<C>> {
        let (news, claims) = self.entries.get(hash)?;
        (news.from <= now && now < news.until).then(|| Arc::clone(claims))
    }

    fn keep(&mut self, news: News, claims: &Arc<C>) {
        if self.capacity == 0 {
            return;
        }
        if self.entries.insert(news.hash, (news, Arc::clone(claims))).is_none() {
            self.by_end.insert((news.until, news.hash));
        }
        while self.entries.len() > self.capacity {
            let Some((_, first)) = self.by_end.pop_first() else { return };
            self.entries.remove(&first);
        }
    }

    fn retain(&mut self, keys: &KeySet) {
        let by_end = &mut self.by_end;
        self.entries.retain(|hash, (news, _)| {
            let stays = keys.has(&news.key);
            if !stays {
                by_end.remove(&(news.until, *hash));
            }
            stays
        });
    }
}
