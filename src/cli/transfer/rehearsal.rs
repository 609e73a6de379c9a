//! What a server would say to each line: the same deciding code over a state of its own, in which
//! everything is made that the server has and that the lines before say. Asks nobody.
//!
//! Memory: that of a server's state, about 120 bytes an allocation.

use super::line::Line;
use super::request::{Asked, Place};
use addrd::allocator::{self, Answer, At, Catalogue, Scope, Shard, ShardSettings};
use addrd::model::{Effect, EffectSink, Incarnation, Seq, Tick};
use addrd_protocol::message::release::Target;
use addrd_protocol::message::{Fences, FromPool, Release, Request, SubnetCreate};
use addrd_protocol::{NetworkId, OwnerId};

/// A state in which nothing is kept.
pub(super) struct Rehearsal {
    catalogue: Catalogue,
    shard: Shard,
    at: At,
}

impl Default for Rehearsal {
    fn default() -> Self {
        let settings = ShardSettings { seed: 0, records_max: u64::MAX };
        Self {
            catalogue: Catalogue::new(settings),
            shard: Shard::new(settings),
            at: At { tick: Tick(1), position: Seq(0), incarnation: Incarnation(0) },
        }
    }
}

impl Rehearsal {
    /// Makes what a line says, or says why it can't be.
    pub(super) fn line(&mut self, line: &Line) -> Result<(), String> {
        let Some(asked) = Asked::of(line.clone()) else { return Ok(()) };
        let restoring = asked.is_restoring();
        let answer = self.apply(&scope(&asked.place, restoring), &asked.request);
        answer.map(|_| ()).map_err(|failure| format!("{}: {}", failure.status, failure.message))
    }

    /// Makes what the server has. What has changed while the server was read may not fit: the
    /// server itself has the last word.
    pub(super) fn believe(&mut self, line: &Line) {
        if let Line::Subnet(subnet) = line
            && let Some(from) = &subnet.object.from_pool
        {
            self.give_back(subnet.project_id, from, &subnet.object);
        }
        _ = self.line(line);
    }

    /// A subnet's part of a pool may be known already, as a prefix that somebody holds.
    fn give_back(
        &mut self,
        project: addrd_protocol::ProjectId,
        from: &FromPool,
        subnet: &SubnetCreate,
    ) {
        let network = NetworkId(from.subnet_pool_id.0);
        let place = Place { project, network, home: None, pool: true };
        let fences = Fences { owner: Some(OwnerId(subnet.subnet_id.0)), ..Fences::default() };
        let target = Target::Address(subnet.cidr.first());
        let release = Release { target, fences, any: false };
        _ = self.apply(&scope(&place, false), &Request::Release(release));
    }

    fn apply(&mut self, scope: &Scope, request: &Request) -> Answer {
        let Self { catalogue, shard, at } = self;
        if allocator::is_spanning(scope, request) {
            return allocator::apply_spanning(
                catalogue,
                &mut [shard],
                at,
                scope,
                request,
                &mut Nowhere,
            );
        }
        shard.apply(at, scope, request, &mut Nowhere)
    }
}

fn scope(place: &Place, restoring: bool) -> Scope {
    let Place { project, network, home, pool } = *place;
    Scope { project, network, pool, network_project: home, restoring }
}

/// Takes effects and keeps none.
struct Nowhere;

impl EffectSink for Nowhere {
    fn push(&mut self, _effect: &Effect) {}

    fn bytes(&self) -> usize {
        0
    }

    fn truncate(&mut self, _bytes: usize) {}
}
