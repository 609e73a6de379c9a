//! Jobs: forced deletions and filling new subnets, accepted by one record and worked off in slices. Knows no thread.

use super::objects::job;
use super::order::Key;
use super::pages::{Cursor, Kind, Page};
use super::refusal::{Refused, limit, refuse};
use super::shard::{At, Scope};
use super::subnets::check_page_limit;
use super::{Shard, subnets::no_subnet};
use crate::limits::{JOBS_FINISHED_MAX, JOBS_RUNNING_MAX};
use crate::model::{
    Effect, EffectSink, Family, Incarnation, JobId, JobRow, NetworkHandle, NetworkId, Revision,
    Status, SubnetId, Thing,
};
use addrd_protocol::message::list::PAGE_OBJECTS_MAX;
use addrd_protocol::message::{Job, JobGet, JobKind, JobList, JobPage, Reply};
use std::ops::Bound;

/// What a slice of jobs came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobProgress {
    /// Nothing is to be done.
    Idle,
    /// A slice was worked off; there may be more.
    Worked,
    /// This network is empty, or has subnets that are and that the catalogue has a part in:
    /// [`super::finish_network`] must end their deletion. Other jobs have nothing to do meanwhile.
    NeedsFinish(NetworkHandle),
}

impl Shard {
    /// Works off one slice of the jobs: at most `objects` allocations or subnets.
    pub fn step_jobs(
        &mut self,
        at: &At,
        objects: usize,
        sink: &mut impl EffectSink,
    ) -> JobProgress {
        if self.jobs.len() == self.finished.len() {
            return JobProgress::Idle;
        }
        self.set_time(at);
        self.act_for(None);
        let mut ready = None;
        let running = self.jobs.values().filter(|job| !job.finished);
        let mut todo = None;
        for row in running {
            match self.find_network_handle(row.network) {
                Some(network) if self.emptied_subnet(network).is_some() => {
                    ready.get_or_insert(row.network);
                }
                Some(network) if row.kind == JobKind::NetworkDelete => {
                    if !self.is_bare(network) {
                        todo = Some((network, *row));
                        break;
                    }
                    ready.get_or_insert(row.network);
                }
                Some(network) => {
                    todo = Some((network, *row));
                    break;
                }
                None => {}
            }
        }
        match (todo, ready) {
            (Some((network, row)), _) => {
                self.slice(network, row, objects.max(1), sink);
                JobProgress::Worked
            }
            (None, Some(network)) => JobProgress::NeedsFinish(network),
            (None, None) => JobProgress::Idle,
        }
    }

    fn slice(&mut self, network: u32, mut row: JobRow, objects: usize, sink: &mut impl EffectSink) {
        let mut left = objects;
        let finished = match row.kind {
            JobKind::SubnetDelete => match self.find_subnet(network, row.subnet_id) {
                Some(subnet) => self.empty_subnet(subnet, &mut left, sink),
                None => true,
            },
            JobKind::NetworkDelete => {
                while left > 0 && self.empty_first_subnet(network, &mut left, sink) {}
                while left > 0 && self.end_first_thing(network, &mut left, sink) {}
                false
            }
            JobKind::SubnetFill => self.fill_ports(network, &mut row, &mut left, sink),
        };
        let done = row.done + (objects - left) as u64;
        let revision = self.networks.at(network).next_revision();
        let row = JobRow { revision, finished, done, total: row.total.max(done), ..row };
        self.commit(&Effect::JobPut(row), sink);
        if finished {
            self.forget_finished(sink);
        }
    }

    /// A subnet that a job has emptied and that only the sequencer may delete, since the catalogue has a
    /// part in it: it comes from a pool, or its network is in an address scope.
    pub(super) fn emptied_subnet(&self, network: u32) -> Option<u32> {
        let of = self.networks.at(network);
        let is_emptied = |at: &u32| {
            let subnet = self.subnets.at(*at);
            let is_empty = subnet.allocations + subnet.resting() == 0;
            is_empty && self.is_bound(*at) && !self.has_pins_in(*at)
        };
        if of.deleting {
            let first = of.order.iter_from(Key::before(Family::V4, 0)).next();
            return first.map(|key| key.subnet()).filter(is_emptied);
        }
        let of_network =
            job_id(of.handle, Revision(0))..=job_id(of.handle, Revision(u32::MAX.into()));
        let jobs = self.jobs.range(of_network).map(|(_, row)| row);
        let jobs = jobs.filter(|row| !row.finished && row.kind == JobKind::SubnetDelete);
        jobs.filter_map(|row| self.find_subnet(network, row.subnet_id)).find(is_emptied)
    }

    fn is_bound(&self, subnet: u32) -> bool {
        let subnet = self.subnets.at(subnet);
        let of = self.networks.at(subnet.network);
        subnet.row.pool.is_some() || of.scope_v4.is_some() || of.scope_v6.is_some()
    }

    /// Empties the first subnet of a network; false if there is none or it is not empty yet.
    fn empty_first_subnet(
        &mut self,
        network: u32,
        left: &mut usize,
        sink: &mut impl EffectSink,
    ) -> bool {
        let first = Key::before(Family::V4, 0);
        let first = self.networks.at(network).order.iter_from(first).next();
        first.is_some_and(|key| self.empty_subnet(key.subnet(), left, sink))
    }

    /// Releases what is in a subnet, and deletes it once it is empty; true if it was.
    fn empty_subnet(&mut self, at: u32, left: &mut usize, sink: &mut impl EffectSink) -> bool {
        while *left > 0 {
            let Some(offset) = self.subnets.at(at).map.next_taken(&self.maps, 0) else {
                *left -= self.end_pins_in(at, *left, sink);
                if *left == 0 || self.is_bound(at) {
                    return false;
                }
                self.commit_subnet_gone(at, sink);
                *left -= 1;
                return true;
            };
            let record = self.ledger.find_at(at, offset);
            self.commit_free(record.expect("each taken offset begins an allocation"), sink);
            *left -= 1;
        }
        false
    }

    /// Ends the first port, mapping or segment of a network that has no subnets any more; false if
    /// there is none.
    pub(super) fn end_first_thing(
        &mut self,
        network: u32,
        left: &mut usize,
        sink: &mut impl EffectSink,
    ) -> bool {
        let of = self.networks.at(network);
        if of.order.count() > 0 {
            return false;
        }
        if let Some((_, &port)) = of.ports.first_key_value() {
            *left = left.saturating_sub(self.end_port(port, sink));
            return true;
        }
        let first = of.plan.as_deref().and_then(|plan| {
            let host = plan.hosts.keys().next().map(|created| (Thing::Host, *created));
            host.or_else(|| plan.segments.keys().next().map(|created| (Thing::Segment, *created)))
        });
        let Some((thing, created)) = first else { return false };
        self.commit_thing_gone(network, thing, Revision(created), sink);
        *left -= 1;
        true
    }

    /// Whether nothing lives in a network any more.
    pub(super) fn is_bare(&self, network: u32) -> bool {
        let of = self.networks.at(network);
        of.order.count() == 0 && of.ports.is_empty() && of.plan.is_none()
    }

    /// Objects of a network besides its allocations; with what rests.
    pub(super) fn objects_in(&self, network: u32) -> u64 {
        let of = self.networks.at(network);
        let planned = of
            .plan
            .as_deref()
            .map_or(0, |plan| plan.hosts.len() + plan.segments.len() + plan.pins.len());
        u64::from(of.order.count()) + of.resting() + (of.ports.len() + planned) as u64
    }

    /// Accepts the job that gives the ports there are their addresses in a new subnet.
    pub(super) fn start_filling(
        &mut self,
        network: u32,
        subnet_id: SubnetId,
        sink: &mut impl EffectSink,
    ) -> Option<JobId> {
        let total = self.networks.at(network).ports.len() as u64;
        match self.start_job(network, JobKind::SubnetFill, subnet_id, total, sink) {
            Reply::Job(job) => Some(job.job_id),
            _ => None,
        }
    }

    /// Refuses a job too many.
    pub(super) fn check_room_for_job(&self) -> Result<(), Refused> {
        let running = self.jobs.len() - self.finished.len();
        if running >= JOBS_RUNNING_MAX {
            let (count, most) = (running as u128 + 1, JOBS_RUNNING_MAX as u128);
            return Err(limit("JOBS_RUNNING_MAX", count, most));
        }
        Ok(())
    }

    /// Accepts a job by its record.
    pub(super) fn start_job(
        &mut self,
        network: u32,
        kind: JobKind,
        subnet_id: SubnetId,
        total: u64,
        sink: &mut impl EffectSink,
    ) -> Reply {
        let of = self.networks.at(network);
        let revision = of.next_revision();
        let row = JobRow {
            network: of.handle,
            revision,
            job: new_job_id(of.handle, revision, self.incarnation),
            project: of.project,
            network_id: of.id,
            kind,
            subnet_id,
            finished: false,
            done: 0,
            total,
            cursor: Revision(0),
            until: revision,
        };
        self.commit(&Effect::JobPut(row), sink);
        Reply::Job(Box::new(job(&row)))
    }

    /// The job that is deleting a subnet, or (all zero) a network.
    pub(super) fn running_job(&self, network: u32, subnet_id: SubnetId) -> Result<Reply, Refused> {
        let handle = self.networks.at(network).handle;
        let of_network = job_id(handle, Revision(0))..=job_id(handle, Revision(u32::MAX.into()));
        let mut jobs = self.jobs.range(of_network).map(|(_, row)| row);
        let found = jobs.find(|row| {
            let deletes = row.kind == JobKind::SubnetDelete && row.subnet_id == subnet_id;
            !row.finished && (deletes || row.kind == JobKind::NetworkDelete)
        });
        found.map(|row| Reply::Job(Box::new(job(row)))).ok_or_else(|| no_subnet(subnet_id))
    }

    /// Forgets the oldest finished jobs beyond the bound.
    pub(super) fn forget_finished(&mut self, sink: &mut impl EffectSink) {
        while self.finished.len() > JOBS_FINISHED_MAX {
            let Some(row) = self.finished.front().and_then(|id| self.jobs.get(id)).copied() else {
                return;
            };
            let network = self.find_network_handle(row.network);
            let revision = network.map_or(Revision(0), |at| self.networks.at(at).next_revision());
            let effect = Effect::JobGone { network: row.network, revision, job: row.job };
            self.commit(&effect, sink);
        }
    }

    /// Reads a job of the project, and of the network if one is given.
    pub(super) fn job_get(&self, scope: &Scope, request: &JobGet) -> Result<Job, Refused> {
        let row = self.jobs.get(&request.job_id).filter(|row| visible(row, scope));
        row.map(job).ok_or_else(|| {
            refuse(Status::NOT_FOUND, format_args!("there is no job {}", request.job_id))
        })
    }

    /// Lists jobs by number.
    pub(super) fn job_list(
        &self,
        at: &At,
        scope: &Scope,
        request: &JobList,
    ) -> Result<JobPage, Refused> {
        let most = check_page_limit(request.page.limit, PAGE_OBJECTS_MAX)?;
        let from = match Cursor::read(Kind::Job, at, &request.page)? {
            None => Bound::Unbounded,
            Some(cursor) => Bound::Excluded(JobId(cursor.key as u64)),
        };
        let mut page = Page::new(most);
        for (id, row) in self.jobs.range((from, Bound::Unbounded)) {
            let item = visible(row, scope).then(|| job(row));
            if !page.look_at(u128::from(id.0), item) {
                break;
            }
        }
        let (items, next) = page.finish(Kind::Job, at, Family::V4);
        Ok(JobPage { items, next })
    }
}

fn visible(row: &JobRow, scope: &Scope) -> bool {
    row.project == scope.project
        && (scope.network == NetworkId::NIL || row.network_id == scope.network)
}

/// Between the numbers that one life of the data and the next one begin at: odd, far from every simple
/// fraction of 2^32, so that numbers of a few lives lie nowhere near each other.
const JOB_LIFE_STEP: u32 = 0x9e37_79b9;

/// Number of a new job: unlike that of any other of its life while fewer than 2^32 records lie between
/// them. What a restored server makes has other numbers than what the lost one made: their revisions may be
/// the same in the half that is used here.
fn new_job_id(network: NetworkHandle, revision: Revision, life: Incarnation) -> JobId {
    let shift = life.0.wrapping_sub(1).wrapping_mul(JOB_LIFE_STEP);
    let low = (revision.0 as u32).wrapping_add(shift);
    job_id(network, Revision(low.into()))
}

/// The number with this lower half.
fn job_id(network: NetworkHandle, low: Revision) -> JobId {
    JobId(u64::from(network.0) << 32 | low.0 & u64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A restored server goes on at revisions whose lower half any earlier life may have had.
    #[test]
    fn lives_of_the_data_give_jobs_other_numbers() {
        let network = NetworkHandle(7);
        let mut all = std::collections::BTreeSet::new();
        for life in 1..=64 {
            for revision in (0..1_000).chain([u64::MAX - 5]) {
                let job = new_job_id(network, Revision(revision), Incarnation(life));
                assert_eq!(job.0 >> 32, 7, "of its network");
                assert!(all.insert(job), "life {life}, revision {revision}");
            }
        }
        let first = new_job_id(network, Revision(9), Incarnation(1));
        assert_eq!(first, job_id(network, Revision(9)));
    }
}
