//! Everything that a shard promises to keep, in an order of its own, to compare two shards by.

use super::Shard;
use crate::model::{
    AllocationRow, ExclusionRow, HostRow, JobRow, NetworkRow, PinRow, PortRow, Revision,
    SegmentRow, SubnetRow,
};

/// The state of a shard as rows.
#[derive(Clone, Debug, PartialEq)]
pub struct Snapshot {
    /// Networks by handle, with the revision of their last record.
    pub networks: Vec<(NetworkRow, Revision)>,
    /// Subnets by network and handle, with the place where `next` goes on.
    pub subnets: Vec<(SubnetRow, u128)>,
    /// Exclusions by subnet and address; revision 0, since the state does not keep theirs.
    pub exclusions: Vec<ExclusionRow>,
    /// Allocations by place.
    pub allocations: Vec<AllocationRow>,
    /// Segments by network and the revision at which they were made; so are the three below.
    pub segments: Vec<SegmentRow>,
    /// Mappings of hosts.
    pub hosts: Vec<HostRow>,
    /// Ports.
    pub ports: Vec<PortRow>,
    /// Pins.
    pub pins: Vec<PinRow>,
    /// Jobs by number.
    pub jobs: Vec<JobRow>,
}

impl Snapshot {
    /// The state of two shards as that of one.
    #[must_use]
    pub fn join(mut self, other: Self) -> Self {
        self.networks.extend(other.networks);
        self.subnets.extend(other.subnets);
        self.exclusions.extend(other.exclusions);
        self.allocations.extend(other.allocations);
        self.segments.extend(other.segments);
        self.hosts.extend(other.hosts);
        self.ports.extend(other.ports);
        self.pins.extend(other.pins);
        self.jobs.extend(other.jobs);
        self.sort();
        self
    }

    fn sort(&mut self) {
        self.networks.sort_by_key(|(row, _)| row.network);
        self.subnets.sort_by_key(|(row, _)| (row.network, row.subnet));
        self.exclusions.sort_by_key(|row| (row.network, row.subnet, row.exclusion.range));
        self.allocations.sort_by_key(|row| row.place);
        self.segments.sort_by_key(|row| (row.network, row.created));
        self.hosts.sort_by_key(|row| (row.network, row.created));
        self.ports.sort_by_key(|row| (row.network, row.created));
        self.pins.sort_by_key(|row| (row.network, row.created));
        self.jobs.sort_by_key(|row| row.job);
    }
}

impl Shard {
    /// The whole state as rows; takes time and memory proportional to it.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let network = |at: u32| {
            let of = self.networks.at(at);
            (NetworkRow { revision: of.attributes, ..self.network_row(at) }, of.revision)
        };
        let networks = self.networks.iter().map(|(at, _)| network(at)).collect();
        let subnets = self
            .subnets
            .iter()
            .map(|(_, subnet)| (SubnetRow::clone(&subnet.row), subnet.cursor))
            .collect();
        let exclusions = self
            .subnets
            .iter()
            .flat_map(|(_, subnet)| {
                subnet.exclusions.iter().map(|exclusion| ExclusionRow {
                    network: subnet.network_handle,
                    subnet: subnet.handle,
                    revision: Revision(0),
                    exclusion: exclusion.clone(),
                })
            })
            .collect();
        let allocations =
            self.ledger.live().map(|at| self.ledger.row_of(&self.subnets, at)).collect();
        let jobs = self.jobs.values().copied().collect();
        let plans = || self.networks.iter().filter_map(|(_, network)| network.plan.as_deref());
        let mut all = Snapshot {
            networks,
            subnets,
            exclusions,
            allocations,
            segments: plans().flat_map(|plan| plan.segments.values().cloned()).collect(),
            hosts: plans().flat_map(|plan| plan.hosts.values().cloned()).collect(),
            ports: self.ports.iter().map(|(at, _)| self.port_row(at)).collect(),
            pins: plans().flat_map(|plan| plan.pins.values().map(|pin| pin.row.clone())).collect(),
            jobs,
        };
        all.sort();
        all
    }
}
