//! Leases of prefixes from pools: renewals, and the end of what is over. Reads no clock: the time is that of
//! the request or slice at hand.
//!
//! A prefix is free only once the effect that ends its lease is absorbed. From its deadline on it counts as
//! ended: it is not shown, and a request that comes across it (the same key, the exact prefix) ends it first.
//!
//! Source: docs/decisions/0018-leases.md, docs/decisions/0034-leases-of-prefixes.md.

use super::pool::block_of;
use super::{Catalogue, Tee};
use crate::allocator::Shard;
use crate::allocator::leases::any_left;
use crate::allocator::refusal::Refused;
use crate::allocator::shard::At;
use crate::model::{EffectSink, NetworkHandle, Prefix, ProjectId, SubnetHandle, Tick};
use addrd_protocol::message::release::Target;
use addrd_protocol::message::{Renew, RenewOwner, Renewed, RenewedOwner};

impl Catalogue {
    /// Lets the shard of prefixes decide, and notes what follows from its effects, also from those that stay
    /// behind a refusal: leases that it came across and ended.
    pub(super) fn prefixes_decide<T, S: EffectSink>(
        &mut self,
        sink: &mut S,
        decide: impl FnOnce(&mut Shard, &mut Tee<'_, S>) -> T,
    ) -> T {
        let mut tee = Tee::new(sink);
        let done = decide(&mut self.prefixes, &mut tee);
        let kept = tee.into_kept();
        self.note_all(&kept);
        done
    }

    /// A reading of the clock, as [`Shard::notice_time`].
    pub fn notice_time(&mut self, at: &At, refused: Tick) {
        self.prefixes.notice_time(at, refused);
    }

    /// The time of the request at hand.
    pub(super) fn set_time(&mut self, at: &At) {
        self.prefixes.set_time(at);
    }

    /// As [`Shard::stop_expiry`].
    pub const fn stop_expiry(&mut self, stopped: bool) {
        self.prefixes.stop_expiry(stopped);
    }

    /// As [`Shard::set_restart_grace`].
    pub const fn set_restart_grace(&mut self, ms: u64) {
        self.prefixes.set_restart_grace(ms);
    }

    /// As [`Shard::grant_restart_grace`].
    pub fn grant_restart_grace(&mut self, now: Tick) {
        self.prefixes.grant_restart_grace(now);
    }

    /// Prefixes that have a lease.
    #[must_use]
    pub fn leases(&self) -> u64 {
        self.prefixes.leases()
    }

    /// When [`Catalogue::step_expiry`] has something to look at next.
    #[must_use]
    pub fn next_expiry(&self) -> Option<Tick> {
        self.prefixes.next_expiry()
    }

    /// Ends leases that are over, of at most `objects` that it looks at; whether there may be more.
    pub fn step_expiry(&mut self, at: &At, objects: usize, sink: &mut impl EffectSink) -> bool {
        self.prefixes_decide(sink, |prefixes, tee| prefixes.step_expiry(at, objects, tee))
    }

    /// Renews the lease of one prefix.
    pub(super) fn renew_prefix(
        &mut self,
        pool: NetworkHandle,
        network: u32,
        request: &Renew,
        sink: &mut impl EffectSink,
    ) -> Result<Renewed, Refused> {
        self.check_own(pool, network, "target", &request.target)?;
        self.prefixes_decide(sink, |prefixes, tee| prefixes.renew(network, request, tee))
    }

    /// Renews what an owner has in a pool. Nothing has changed if it is refused.
    pub(super) fn renew_prefixes_of(
        &mut self,
        network: u32,
        request: &RenewOwner,
        sink: &mut impl EffectSink,
    ) -> Result<RenewedOwner, Refused> {
        self.prefixes_decide(sink, |prefixes, tee| prefixes.renew_owner(network, request, tee))
    }

    /// Renews what an owner has in all pools. Nothing has changed if it is refused.
    pub(super) fn renew_in_all_pools(
        &mut self,
        project: ProjectId,
        request: &RenewOwner,
        sink: &mut impl EffectSink,
    ) -> Result<RenewedOwner, Refused> {
        let counts = self.prefixes_decide(sink, |prefixes, tee| {
            prefixes.renew_everywhere(project, request, tee)
        })?;
        any_left(counts, "the owner holds no prefix of a subnet pool any more")
    }

    /// Ends what a key has, and what overlaps the exact prefix that a request names, if its lease is over.
    ///
    /// Of several that overlap it one is ended; the others have their turn within a second.
    pub(super) fn end_what_is_over(
        &mut self,
        pool: NetworkHandle,
        network: u32,
        key: &Target,
        exact: Option<Prefix>,
        sink: &mut impl EffectSink,
    ) {
        // A key always names its allocation, or nothing.
        let held = self.prefixes.find_target(network, key).ok().flatten();
        let in_the_way = exact.and_then(|exact| {
            let (block, _) = self.pools.get(&pool)?.overlapping(block_of(&exact))?;
            let subnet = self.prefixes.find_subnet_handle(network, SubnetHandle(0))?;
            self.prefixes.ledger.find_at(subnet, block.base)
        });
        let in_the_way = in_the_way.filter(|at| held != Some(*at));
        self.prefixes_decide(sink, |prefixes, tee| {
            for at in [held, in_the_way].into_iter().flatten() {
                prefixes.end_if_over(at, tee);
            }
        });
    }
}
