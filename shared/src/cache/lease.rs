//! Leases: one computation per key at a time over all processes.
//!
//! A lease lies in Valkey, or where there is none in the table. Its holder renews it while it computes;
//! of one that died it ends by itself. Whoever finds it held looks again and again whether the entry has
//! come, and computes in the end without it: a lease saves computations, and nothing depends on it.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use backon::{BackoffBuilder as _, ExponentialBuilder};

use super::entry::{Entry, StoredEntry, Usable};
use super::key::{CacheOwner, EntryId};
use super::lookup::Seen;
use super::statistics::CacheTier;
use super::{Inner, UNSHARED_FOR};
use crate::ids::unprefixed;
use crate::stores::cache::{Claim, LeaseEnd, Reading};

/// The first and the longest pause between two looks.
const PAUSES: (Duration, Duration) = (Duration::from_millis(10), Duration::from_millis(400));
/// How often a lease is renewed in its life.
const RENEWALS: u32 = 3;

/// What came of waiting for one's turn.
pub(super) enum Turn {
    /// To compute while others wait.
    Ours(Lease),
    /// Somebody has computed it meanwhile.
    Found(Arc<StoredEntry>, CacheTier),
    /// To compute although others may.
    Without,
    /// To compute although others do: what comes of it is nobody else's to have.
    Unshared,
}

/// The right to compute while others wait. When it is dropped it is given back.
pub(super) struct Lease {
    inner: Arc<Inner>,
    owner: CacheOwner,
    id: EntryId,
    holder: String,
    place: Place,
    is_held: bool,
}

/// Where a lease lies.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Valkey,
    Table,
}

impl Inner {
    /// Waits for a turn to compute, or for what another has computed meanwhile.
    pub(super) async fn turn(
        self: &Arc<Self>,
        seen: &Seen,
        judge: &(impl Fn(&Entry) -> Usable + Sync),
    ) -> Turn {
        let begun = Instant::now();
        let mut pauses = ExponentialBuilder::default()
            .with_min_delay(PAUSES.0)
            .with_max_delay(PAUSES.1)
            .without_max_times()
            .with_jitter()
            .build();
        loop {
            let (claim, lease, entry) = self.claim(seen).await;
            let is_good = |stored: &Arc<StoredEntry>| {
                seen.admits(stored) && judge(&stored.entry) == Usable::Fresh
            };
            if let Some((stored, tier)) = entry.filter(|(stored, _)| is_good(stored)) {
                return Turn::Found(stored, tier);
            }
            match (claim, lease) {
                (Some(Claim::Granted), Some(lease)) => return Turn::Ours(lease),
                (Some(Claim::Unshared), _) => return Turn::Unshared,
                (Some(Claim::Held), _) if begun.elapsed() < self.settings.wait => {}
                _ => return Turn::Without,
            }
            tokio::time::sleep(pauses.next().unwrap_or(PAUSES.1)).await;
        }
    }

    /// A lease, if nobody holds it, and no word of it if no store has one to give; and the entry if
    /// it is there by now.
    pub(super) async fn claim(
        self: &Arc<Self>,
        seen: &Seen,
    ) -> (
        Option<Claim>,
        Option<Lease>,
        Option<(Arc<StoredEntry>, CacheTier)>,
    ) {
        let (owner, id) = (seen.owner, seen.id);
        let holder = unprefixed(self.clock.now());
        let life = self.settings.lease_life;
        if let Some(valkey) = &self.valkey {
            match valkey.claim(owner, &id, &holder, life).await {
                Ok((claim, bytes)) => {
                    let lease = self.lease_if(claim, seen, holder, Place::Valkey);
                    let read = |bytes: Vec<u8>| self.read(owner, &id, &bytes, CacheTier::Valkey);
                    let entry = bytes.and_then(read);
                    return (
                        Some(claim),
                        lease,
                        entry.map(|entry| (entry, CacheTier::Valkey)),
                    );
                }
                Err(error) => self.skip(owner, CacheTier::Valkey, &error),
            }
        }
        let now = self.clock.now();
        let claim = match self.table.claim(&id, &holder, now, life).await {
            Ok(claim) => claim,
            Err(error) => {
                self.skip(owner, CacheTier::DynamoDb, &error);
                return (None, None, None);
            }
        };
        let lease = self.lease_if(claim, seen, holder, Place::Table);
        let entry = match self.table.entry(&id, now, Reading::Consistent).await {
            Ok(Some(bytes)) => self.read(owner, &id, &bytes, CacheTier::DynamoDb),
            Ok(None) | Err(_) => None,
        };
        (
            Some(claim),
            lease,
            entry.map(|entry| (entry, CacheTier::DynamoDb)),
        )
    }

    fn lease_if(
        self: &Arc<Self>,
        claim: Claim,
        seen: &Seen,
        holder: String,
        place: Place,
    ) -> Option<Lease> {
        (claim == Claim::Granted).then(|| Lease {
            inner: Arc::clone(self),
            owner: seen.owner,
            id: seen.id,
            holder,
            place,
            is_held: true,
        })
    }

    async fn settle(
        &self,
        (owner, id): (CacheOwner, EntryId),
        (holder, place): (&str, Place),
        end: LeaseEnd,
    ) {
        let now = self.clock.now();
        // A lease that cannot be settled ends by itself.
        match (place, &self.valkey) {
            (Place::Valkey, Some(valkey)) => {
                let _ = valkey.settle(owner, &id, holder, end).await;
            }
            _ => {
                let _ = match end {
                    LeaseEnd::GivenBack => self.table.release(&id, holder).await,
                    LeaseEnd::LivesOn(life) => {
                        let renewed = self.table.renew(&id, holder, now.plus(life));
                        renewed.await.map(drop)
                    }
                    LeaseEnd::Unshared(life) => {
                        self.table.release_unshared(&id, holder, now, life).await
                    }
                };
            }
        }
    }
}

impl Lease {
    /// Does `work`, and keeps the lease alive meanwhile.
    pub(super) async fn hold_during<T>(&self, work: impl Future<Output = T>) -> T {
        tokio::select! {
            biased;
            done = work => done,
            never = self.renew() => match never {},
        }
    }

    async fn renew(&self) -> Infallible {
        let life = self.inner.settings.lease_life;
        loop {
            tokio::time::sleep(life / RENEWALS).await;
            self.end(LeaseEnd::LivesOn(life)).await;
        }
    }

    /// Who holds it in Valkey, to be given back with what is put there.
    pub(super) fn holder_in_valkey(&self) -> Option<&str> {
        (self.place == Place::Valkey).then_some(&*self.holder)
    }

    pub(super) async fn give_back(mut self) {
        self.is_held = false;
        self.end(LeaseEnd::GivenBack).await;
    }

    /// Nothing came of it that others may have: nobody need wait for it for a while.
    pub(super) async fn give_back_unshared(mut self) {
        self.is_held = false;
        self.end(LeaseEnd::Unshared(UNSHARED_FOR)).await;
    }

    async fn end(&self, end: LeaseEnd) {
        let holder = (&*self.holder, self.place);
        self.inner.settle((self.owner, self.id), holder, end).await;
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return;
        };
        if std::mem::replace(&mut self.is_held, false) {
            let (inner, of) = (Arc::clone(&self.inner), (self.owner, self.id));
            let (holder, place) = (std::mem::take(&mut self.holder), self.place);
            runtime.spawn(async move {
                inner
                    .settle(of, (&holder, place), LeaseEnd::GivenBack)
                    .await;
            });
        }
    }
}
