//! Leases of prefixes: time passes, some are renewed, what is over is free again.

use super::*;
use addrd_protocol::message::{Allocate, Renew};

impl Machine {
    /// When the lease that a request asks for ends.
    pub(super) fn until(&self, request: &Allocate) -> Option<u64> {
        let lease_ms = request.extras.as_deref()?.lease_ms?;
        Some(self.world.at.tick.0 + lease_ms)
    }

    /// Time passes, and what is over is ended in slices.
    pub(super) fn pass(&mut self) {
        let objects = 1 + self.dice.roll(4) as usize;
        let ms = self.dice.roll(6_000);
        self.world.wait(ms);
        let World { catalogue, at, log, .. } = &mut self.world;
        while catalogue.step_expiry(at, objects, log) {}
        let now = at.tick.0;
        for known in self.model.pools.values_mut() {
            known.taken.retain(|taken| taken.until.is_none_or(|until| until > now));
        }
    }

    /// A lease goes on if there is one.
    pub(super) fn renew(&mut self) {
        let (number, project, owner) = (self.a_pool(), self.number(PROJECTS), self.number(6));
        let lease_ms = 1_000 + self.dice.roll(10_000);
        let now = self.world.at.tick.0;
        let Some(known) = self.model.pools.get_mut(&number) else { return };
        let seen = known.is_seen_by(project);
        let own = |taken: &&mut Taken| taken.project == project && taken.by == By::Owner(owner);
        let held = known.taken.iter_mut().find(own);
        let expected = seen && held.is_some();
        let left = held.and_then(|held| {
            held.until = held.until.map(|_| now + lease_ms);
            held.until.map(|until| until - now)
        });
        let target = release(1_000 + owner).target;
        let request = Request::Renew(Renew { target, fences: Fences::default(), lease_ms });
        if let Some(Reply::Renewed(done)) = self.ask(&in_pool(project, number), &request, expected)
        {
            assert_eq!(done.time_left_ms, left.unwrap_or(0));
        }
    }
}
