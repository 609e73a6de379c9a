//! The state of a worker's networks and the small steps that change it. Every step is taken by
//! absorbing an effect or by undoing one; decisions lie elsewhere.

use super::accounts::Accounts;
use super::departed::Departed;
use super::free_map::MapStore;
use super::growth::{Passes, shift_of};
use super::index::{Index, split_mix};
use super::ledger::{KeyOf, Ledger};
use super::levels::{Levels, use_of};
use super::network::{Network, family_index};
use super::ports::Ports;
use super::rests::Rests;
use super::slab::{Arena, NIL};
use super::subnet::{Subnet, last_of};
use super::totals::Totals;
use super::undo::Undo;
use crate::limits::{RECORDS_FULL_PERCENT, RESTART_GRACE_MS};
use crate::model::{
    Family, Incarnation, JobId, JobRow, NetworkHandle, NetworkId, OwnerId, ProjectId, Seq, Slot,
    SubnetHandle, SubnetId, Tick,
};
use addrd_protocol::Status;
use addrd_protocol::message::{Failure, Reply, TransactionItem};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// What a shard is made with.
#[derive(Clone, Copy, Debug)]
pub struct ShardSettings {
    /// Seed of hashes and random choices: random, and a secret.
    pub seed: u64,
    /// Most records (networks, subnets, ports, allocations); creation ends at 95 % of it.
    pub records_max: u64,
}

/// When and where a request is applied.
#[derive(Clone, Copy, Debug)]
pub struct At {
    /// The server's time.
    pub tick: Tick,
    /// Durable position told by lists.
    pub position: Seq,
    /// Restores that the data has seen.
    pub incarnation: Incarnation,
}

/// Project and network of a request's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Scope {
    /// Never all zero: the default project has an id.
    pub project: ProjectId,
    /// All zero = none.
    pub network: NetworkId,
    /// The network is a subnet pool.
    pub pool: bool,
    /// The project of the network, if it is another one, which shares it; never the same.
    pub network_project: Option<ProjectId>,
    /// What the request makes was there before.
    pub restoring: bool,
}

impl Scope {
    /// The project that the network belongs to.
    #[inline]
    #[must_use]
    pub fn home(&self) -> ProjectId {
        self.network_project.unwrap_or(self.project)
    }

    /// The project that asks, if the network is another's.
    #[inline]
    #[must_use]
    pub fn guest(&self) -> Option<ProjectId> {
        self.network_project.map(|_| self.project)
    }

    /// Where an item of a transaction is.
    #[must_use]
    pub fn of_item(project: ProjectId, item: &TransactionItem) -> Self {
        Self {
            project,
            network: item.network,
            pool: item.pool,
            network_project: item.network_project.filter(|home| *home != project),
            restoring: false,
        }
    }

    /// Whether both are about the same network or pool, whoever asks.
    #[inline]
    #[must_use]
    pub fn is_beside(&self, other: &Self) -> bool {
        self.network == other.network && self.pool == other.pool && self.home() == other.home()
    }
}

/// Status of class done and a reply, or a refusal.
pub type Answer = Result<(Status, Reply), Box<Failure>>;

/// Counts for metrics and limits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ShardCounters {
    /// Networks.
    pub networks: u64,
    /// Subnets.
    pub subnets: u64,
    /// Live allocations.
    pub allocations: u64,
    /// Resting blocks and addresses.
    pub resting: u64,
    /// Jobs known, running or finished.
    pub jobs: u64,
    /// Jobs that are not finished.
    pub jobs_running: u64,
    /// Bytes of memory, estimated: all slabs and indexes, without texts.
    pub memory_bytes: u64,
}

/// A subnet in the order over all networks of the shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Everywhere {
    pub(super) project: ProjectId,
    pub(super) family: Family,
    pub(super) base: u128,
    pub(super) length: u8,
    pub(super) subnet: u32,
}

/// Far enough apart for what is drawn from one state.
const RANDOM_STEP: u64 = 0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(4);

/// The networks of one worker.
#[derive(Debug)]
pub struct Shard {
    pub(super) networks: Arena<Network>,
    pub(super) subnets: Arena<Subnet>,
    pub(super) ledger: Ledger,
    pub(super) maps: MapStore,
    pub(super) jobs: BTreeMap<JobId, JobRow>,
    /// Finished jobs, the first finished first.
    pub(super) finished: VecDeque<JobId>,
    pub(super) undo: Undo,
    pub(super) ports: Ports,
    pub(super) departed: Departed,
    pub(super) accounts: Accounts,
    pub(super) rests: Rests,
    /// Open holds.
    pub(super) holds: u64,
    /// When the use of subnets was sampled.
    pub(super) passes: Passes,
    /// Levels of use, and whose has changed.
    pub(super) levels: Levels,
    networks_by_id: Index,
    networks_by_handle: Index,
    network_names: Index,
    subnets_by_id: Index,
    subnets_by_handle: Index,
    subnet_names: Index,
    /// Networks by project and id.
    pub(super) ordered: BTreeMap<(ProjectId, NetworkId), u32>,
    /// Shared networks by id and project.
    pub(super) lent: BTreeMap<(NetworkId, ProjectId), u32>,
    /// Projects that have something on networks of others: allocations and ports of each.
    pub(super) guests: BTreeMap<ProjectId, u64>,
    /// Projects that exist, besides the default one.
    pub(super) projects: BTreeSet<ProjectId>,
    /// Subnets of all networks by project, family and prefix.
    pub(super) everywhere: BTreeSet<Everywhere>,
    /// Subnets of each family and prefix length.
    pub(super) lengths: [[u32; 129]; 2],
    random: u64,
    /// Room for reading ahead.
    pub(super) ahead: super::prefetch::Ahead,
    /// The network that was found last: most requests ask for it again.
    last_network: u32,
    /// The project that the request at hand is of, where it need not be that of the network; only
    /// its own allocations are then found and shown.
    pub(super) acting: Option<ProjectId>,
    /// The time of the request at hand.
    pub(super) now: Tick,
    /// Which life of the data the request at hand is decided in.
    pub(super) incarnation: Incarnation,
    /// Why leases go on for longer than they say.
    pub(super) leniency: super::leniency::Leniency,
    /// No lease ends: the clock is in doubt.
    pub(super) expiry_stopped: bool,
    /// How long leases go on at least after a time in which nobody could renew, ms.
    pub(super) restart_grace_ms: u64,
    /// Rests that the operation at hand may still take away.
    pub(super) rest_budget: usize,
    /// What the request at hand makes was there before.
    pub(super) restoring: bool,
    /// Adoption mode: nothing is chosen here, since not all who hold something may be known.
    pub(super) adopting: bool,
    /// It tells of the ends of host leases, and writes of them what only one shard has to.
    pub(super) tells_hosts: bool,
    /// Ends that were not told yet: as many as a slice looks at.
    pub(super) host_ends: Vec<super::host_leases::HostEnd>,
    /// Allocations that ended with a lease and were not counted yet.
    pub(super) ended: u32,
    /// Which of the server's shards it is, from 0; those of one server differ.
    pub(super) number: u16,
    /// Which run of the server it lives in: no two runs have the same.
    pub(super) run: u64,
    /// Records at which creation ends.
    records_most: u64,
}

impl Shard {
    /// Without networks, the only one of its server.
    #[must_use]
    pub fn new(settings: ShardSettings) -> Self {
        Self::numbered(settings, 0)
    }

    /// Without networks, as one of several: each has another number, from 0.
    #[must_use]
    pub fn numbered(settings: ShardSettings, number: u16) -> Self {
        let mut random = settings.seed;
        Self {
            networks: Arena::new(),
            subnets: Arena::new(),
            ledger: Ledger::new(split_mix(&mut random)),
            maps: MapStore::new(),
            jobs: BTreeMap::new(),
            finished: VecDeque::new(),
            undo: Undo::default(),
            ports: Ports::new(),
            departed: Departed::default(),
            accounts: Accounts::new(),
            rests: Rests::default(),
            holds: 0,
            passes: Passes::default(),
            levels: Levels::default(),
            networks_by_id: Index::new(),
            networks_by_handle: Index::new(),
            network_names: Index::new(),
            subnets_by_id: Index::new(),
            subnets_by_handle: Index::new(),
            subnet_names: Index::new(),
            ordered: BTreeMap::new(),
            lent: BTreeMap::new(),
            guests: BTreeMap::new(),
            projects: BTreeSet::new(),
            everywhere: BTreeSet::new(),
            lengths: [[0; 129]; 2],
            random,
            ahead: super::prefetch::Ahead::default(),
            last_network: NIL,
            acting: None,
            now: Tick(0),
            incarnation: Incarnation(1),
            leniency: Default::default(),
            expiry_stopped: false,
            restart_grace_ms: RESTART_GRACE_MS,
            rest_budget: 0,
            restoring: false,
            adopting: false,
            tells_hosts: true,
            host_ends: Vec::new(),
            ended: 0,
            number,
            run: 0,
            records_most: settings.records_max / 100 * RECORDS_FULL_PERCENT,
        }
    }

    /// Says which run of the server it lives in: a number that no other run has, the same for all of its shards. Clients
    /// see it in cursors.
    pub const fn set_run(&mut self, run: u64) {
        self.run = run;
    }

    /// Begins or ends adoption mode.
    pub const fn set_adopting(&mut self, adopting: bool) {
        self.forget_marks();
        self.adopting = adopting;
    }

    /// Whether owners re-take what they hold, and nothing is chosen here.
    #[must_use]
    pub const fn is_adopting(&self) -> bool {
        self.adopting
    }

    /// Counts and the memory that they take.
    #[must_use]
    pub fn counters(&self) -> ShardCounters {
        ShardCounters {
            networks: self.networks().into(),
            subnets: self.subnets.count().into(),
            allocations: self.allocations(),
            resting: self.resting(),
            jobs: self.jobs.len() as u64,
            jobs_running: (self.jobs.len() - self.finished.len()) as u64,
            memory_bytes: self.memory_bytes() as u64,
        }
    }

    /// Networks.
    #[must_use]
    pub fn networks(&self) -> u32 {
        self.networks.count()
    }

    /// Subnets.
    #[must_use]
    pub fn subnets(&self) -> u32 {
        self.subnets.count()
    }

    /// Live allocations.
    #[must_use]
    pub fn allocations(&self) -> u64 {
        u64::from(self.ledger.count()) - self.resting()
    }

    /// Resting blocks and addresses.
    #[must_use]
    pub fn resting(&self) -> u64 {
        self.rests.count() as u64
    }

    /// Networks, subnets, ports, allocations and what rests.
    #[must_use]
    pub fn records(&self) -> u64 {
        let objects = [self.networks.count(), self.subnets.count(), self.ports.count()];
        // A rest stands in as many orders again as an allocation takes.
        let places = u64::from(self.ledger.count()) + self.rests.count() as u64;
        places + objects.into_iter().map(u64::from).sum::<u64>()
    }

    /// Bytes of slabs and indexes; texts and what a subnet owns elsewhere are estimated.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        /// What a subnet has besides its place: attributes, pools, pieces, its place in orders.
        const SUBNET_BYTES: usize = 640;
        /// What a network has besides its place: its place in orders.
        const NETWORK_BYTES: usize = 160;
        let indexes = [
            &self.networks_by_id,
            &self.networks_by_handle,
            &self.network_names,
            &self.subnets_by_id,
            &self.subnets_by_handle,
            &self.subnet_names,
        ];
        self.networks.bytes()
            + self.networks.count() as usize * NETWORK_BYTES
            + self.subnets.bytes()
            + self.subnets.count() as usize * SUBNET_BYTES
            + self.ledger.bytes()
            + self.maps.bytes()
            + self.ports.bytes()
            + self.rests.bytes()
            + indexes.iter().map(|index| index.bytes()).sum::<usize>()
    }

    /// A state from which a random number can be made; written into effects by whoever does.
    #[inline]
    pub(super) const fn random_state(&mut self) -> u64 {
        self.random = self.random.wrapping_add(RANDOM_STEP);
        self.random
    }

    /// Records at which creation ends.
    pub(super) const fn records_most(&self) -> u64 {
        self.records_most
    }

    /// Like [`Shard::find_network`], and remembers it.
    #[inline]
    pub(super) fn seek_network(&mut self, project: ProjectId, id: NetworkId) -> Option<u32> {
        let last = self.networks.get(self.last_network);
        if last.is_some_and(|network| network.id == id && network.project == project) {
            return Some(self.last_network);
        }
        let found = self.find_network(project, id)?;
        self.last_network = found;
        Some(found)
    }

    // Finding.

    #[inline]
    pub(super) fn find_network(&self, project: ProjectId, id: NetworkId) -> Option<u32> {
        let hash = self.network_hash(project, id);
        self.networks_by_id.find(hash, |at| {
            let network = self.networks.at(at);
            network.id == id && network.project == project
        })
    }

    pub(super) fn find_network_handle(&self, handle: NetworkHandle) -> Option<u32> {
        let hash = self.ledger.hasher.hash(handle.0.into(), 0);
        self.networks_by_handle.find(hash, |at| self.networks.at(at).handle == handle)
    }

    pub(super) fn find_network_name(&self, project: ProjectId, name: &str) -> Option<u32> {
        let hash = self.name_hash(project.0.as_u128(), name);
        self.network_names.find(hash, |at| {
            let network = self.networks.at(at);
            network.project == project && network.name.as_deref() == Some(name)
        })
    }

    pub(super) fn find_subnet(&self, network: u32, id: SubnetId) -> Option<u32> {
        let hash = self.ledger.hasher.hash(id.0.as_u128(), network.into());
        self.subnets_by_id.find(hash, |at| {
            let subnet = self.subnets.at(at);
            subnet.network == network && subnet.row.id == id
        })
    }

    pub(super) fn find_subnet_handle(&self, network: u32, handle: SubnetHandle) -> Option<u32> {
        let hash = self.ledger.hasher.hash(handle.0.into(), network.into());
        self.subnets_by_handle.find(hash, |at| {
            let subnet = self.subnets.at(at);
            subnet.network == network && subnet.handle == handle
        })
    }

    pub(super) fn find_subnet_name(&self, network: u32, name: &str) -> Option<u32> {
        let hash = self.name_hash(network.into(), name);
        self.subnet_names.find(hash, |at| {
            let subnet = self.subnets.at(at);
            subnet.network == network && subnet.row.name.as_deref() == Some(name)
        })
    }

    /// The subnet of a network that has an address.
    pub(super) fn find_subnet_with(&self, network: u32, address: &std::net::IpAddr) -> Option<u32> {
        use super::order::Key;
        let number = addrd_protocol::prefix::number_of(address);
        let family = Family::of(address);
        let key = self.networks.at(network).order.last_before(Key::behind(family, number))?;
        self.subnets.at(key.subnet()).prefix().contains(address).then(|| key.subnet())
    }

    /// The whole key of an owner's slot in a network.
    #[inline]
    pub(super) fn key_of(&self, network: u32, owner: OwnerId, slot: Slot) -> KeyOf {
        self.key_for(network, self.acting, owner, slot)
    }

    /// The same, of another project than the network's if one is given.
    #[inline]
    pub(super) fn key_for(
        &self,
        network: u32,
        project: Option<ProjectId>,
        owner: OwnerId,
        slot: Slot,
    ) -> KeyOf {
        let of = self.networks.at(network);
        let other = project.filter(|project| *project != of.project);
        KeyOf {
            network,
            project: other.unwrap_or(of.project),
            key_salt: super::ledger::key_salt(&self.ledger.hasher, of.key_salt, other),
            owner_salt: other.map_or(of.owner_salt, |project| self.owner_salt(project)),
            owner,
            slot,
        }
    }

    /// The allocation that covers an offset: a block, or a single address.
    pub(super) fn find_covering(&self, subnet: u32, offset: u128) -> Option<u32> {
        if let Some(found) = self.ledger.find_at(subnet, offset) {
            return Some(found);
        }
        let mut orders = self.subnets.at(subnet).block_orders;
        while orders != 0 {
            let order = orders.trailing_zeros() as u8;
            let first = offset & !last_of(0, order);
            let found = self.ledger.find_at(subnet, first);
            if let Some(found) = found.filter(|&at| self.ledger.at(at).block_bits == order) {
                return Some(found);
            }
            orders &= orders - 1;
        }
        None
    }

    // Hashes.

    pub(super) fn network_hash(&self, project: ProjectId, id: NetworkId) -> u64 {
        self.ledger.hasher.hash(id.0.as_u128(), project.0.as_u128() as u64)
    }

    pub(super) fn owner_salt(&self, project: ProjectId) -> u64 {
        super::ledger::owner_salt(&self.ledger.hasher, project)
    }

    fn name_hash(&self, of: u128, name: &str) -> u64 {
        self.ledger.hasher.text(name, self.ledger.hasher.hash(of, 2))
    }

    // Changing: objects.

    /// Enters a network into the indexes.
    pub(super) fn add_network(&mut self, network: Network) -> u32 {
        let (project, id, handle) = (network.project, network.id, network.handle);
        let at = self.networks.insert(network);
        let hasher = self.ledger.hasher;
        let networks = &self.networks;
        let by_id = |at| {
            let network = networks.at(at);
            hasher.hash(network.id.0.as_u128(), network.project.0.as_u128() as u64)
        };
        self.networks_by_id.insert(by_id(at), at, by_id);
        let by_handle = |at| hasher.hash(networks.at(at).handle.0.into(), 0);
        debug_assert_eq!(networks.at(at).handle, handle);
        self.networks_by_handle.insert(by_handle(at), at, by_handle);
        self.ordered.insert((project, id), at);
        self.enter_network_name(at);
        at
    }

    /// Enters the name of a network, if it has one.
    pub(super) fn enter_network_name(&mut self, at: u32) {
        let (hasher, networks) = (self.ledger.hasher, &self.networks);
        let hash_of = |at| {
            let network = networks.at(at);
            let salt = hasher.hash(network.project.0.as_u128(), 2);
            hasher.text(network.name.as_deref().unwrap_or_default(), salt)
        };
        if networks.at(at).name.is_some() {
            self.network_names.insert(hash_of(at), at, hash_of);
        }
    }

    /// Takes out the name of a network, if it has one.
    pub(super) fn leave_network_name(&mut self, at: u32) {
        let network = self.networks.at(at);
        if let Some(name) = &network.name {
            let hash = self.name_hash(network.project.0.as_u128(), name);
            self.network_names.remove(hash, at);
        }
    }

    /// Takes out a network that has no subnets.
    pub(super) fn remove_network(&mut self, at: u32) {
        self.leave_network_name(at);
        let network = self.networks.at(at);
        let by_id = self.network_hash(network.project, network.id);
        let by_handle = self.ledger.hasher.hash(network.handle.0.into(), 0);
        let key = (network.project, network.id);
        self.networks_by_id.remove(by_id, at);
        self.networks_by_handle.remove(by_handle, at);
        if self.ordered.get(&key) == Some(&at) {
            self.ordered.remove(&key);
        }
        let lent = (key.1, key.0);
        if self.lent.get(&lent) == Some(&at) {
            self.lent.remove(&lent);
        }
        self.networks.remove(at);
    }

    /// Enters a subnet into the indexes and into its network.
    pub(super) fn add_subnet(&mut self, subnet: Subnet) -> u32 {
        let network = subnet.network;
        let at = self.subnets.insert(subnet);
        let (hasher, subnets) = (self.ledger.hasher, &self.subnets);
        let by_id = |at| {
            let subnet = subnets.at(at);
            hasher.hash(subnet.row.id.0.as_u128(), subnet.network.into())
        };
        self.subnets_by_id.insert(by_id(at), at, by_id);
        let by_handle = |at| {
            let subnet = subnets.at(at);
            hasher.hash(subnet.handle.0.into(), subnet.network.into())
        };
        self.subnets_by_handle.insert(by_handle(at), at, by_handle);
        self.enter_subnet_name(at);
        let place = self.everywhere_of(at);
        self.everywhere.insert(place);
        self.lengths[family_index(place.family)][usize::from(place.length)] += 1;
        let subnet = self.subnets.at(at);
        let counts = Totals::of(subnet, &self.maps);
        let of = self.networks.at_mut(network);
        of.add_subnet(subnet.key(at), &counts);
        self.accounts.count_subnet(of.account, true);
        at
    }

    /// Enters the name of a subnet, if it has one.
    pub(super) fn enter_subnet_name(&mut self, at: u32) {
        let (hasher, subnets) = (self.ledger.hasher, &self.subnets);
        let hash_of = |at| {
            let subnet = subnets.at(at);
            let salt = hasher.hash(subnet.network.into(), 2);
            hasher.text(subnet.row.name.as_deref().unwrap_or_default(), salt)
        };
        if subnets.at(at).row.name.is_some() {
            self.subnet_names.insert(hash_of(at), at, hash_of);
        }
    }

    /// Takes out the name of a subnet, if it has one.
    pub(super) fn leave_subnet_name(&mut self, at: u32) {
        let subnet = self.subnets.at(at);
        if let Some(name) = &subnet.row.name {
            let hash = self.name_hash(subnet.network.into(), name);
            self.subnet_names.remove(hash, at);
        }
    }

    /// Takes out a subnet that has no allocations.
    pub(super) fn remove_subnet(&mut self, at: u32) {
        self.leave_subnet_name(at);
        let place = self.everywhere_of(at);
        self.everywhere.remove(&place);
        self.lengths[family_index(place.family)][usize::from(place.length)] -= 1;
        let subnet = self.subnets.at_mut(at);
        let counts = Totals::of(subnet, &self.maps);
        subnet.map.clear(&mut self.maps);
        debug_assert!(subnet.rests.is_none(), "what rested was taken out before");
        let (network, key) = (subnet.network, subnet.key(at));
        let salt = u64::from(network);
        let by_id = self.ledger.hasher.hash(subnet.row.id.0.as_u128(), salt);
        let by_handle = self.ledger.hasher.hash(subnet.handle.0.into(), salt);
        let of = self.networks.at_mut(network);
        of.usable[family_index(place.family)] -= u32::from(subnet.is_usable());
        of.remove_subnet(key, &counts);
        self.levels.moved(self.subnets.at(at).row.level, 0);
        self.accounts.count_subnet(of.account, false);
        self.subnets_by_id.remove(by_id, at);
        self.subnets_by_handle.remove(by_handle, at);
        self.subnets.remove(at);
    }

    pub(super) fn everywhere_of(&self, at: u32) -> Everywhere {
        let subnet = self.subnets.at(at);
        Everywhere {
            project: subnet.project,
            family: subnet.family,
            base: subnet.base,
            length: subnet.row.prefix.length(),
            subnet: at,
        }
    }

    // Changing: offsets.

    /// Counts a block as taken or free everywhere but in the ledger.
    #[inline]
    pub(super) fn occupy(&mut self, at: u32, offset: u128, order: u8, taken: bool) {
        let subnet = self.subnets.at_mut(at);
        if taken {
            subnet.map.take(&mut self.maps, offset, order);
            subnet.allocations += 1;
        } else {
            subnet.map.release(&mut self.maps, offset, order);
            subnet.allocations -= 1;
        }
        let network = self.networks.at_mut(subnet.network);
        let totals = network.totals_mut(subnet.family);
        if order == 0 {
            totals.count_single(subnet.pieces.count_single(offset, taken), taken);
        } else {
            totals.count(&subnet.pieces.count(offset, last_of(offset, order), taken), taken);
            count_block(subnet, order, taken);
        }
        if subnet.bounds.is_passed(subnet.pieces.free()) {
            self.levels.note(at, &mut subnet.is_crossed);
        }
        let room = subnet.room_now(&self.maps);
        subnet.counted = network.revision;
        network.allocations = if taken { network.allocations + 1 } else { network.allocations - 1 };
        if room != subnet.room {
            subnet.room = room;
            network.set_room(subnet.key(at), room);
        }
    }

    /// Cuts a subnet's pieces anew after its pools, exclusions, pins or flags changed, and brings
    /// its room and the sums of its network up to date.
    pub(super) fn recut(&mut self, at: u32) {
        let subnet = self.subnets.at_mut(at);
        let (before, used_before) = (Totals::of(subnet, &self.maps), use_of(subnet).0);
        subnet.cut(&self.maps);
        let (after, used_after) = (Totals::of(subnet, &self.maps), use_of(subnet).0);
        subnet.samples.shift(used_before, used_after, shift_of(subnet));
        subnet.room = subnet.room_now(&self.maps);
        let (key, room) = (subnet.key(at), subnet.room);
        let network = self.networks.at_mut(subnet.network);
        subnet.counted = network.revision;
        network.set_room(key, room);
        let totals = network.totals_mut(key.family);
        totals.subtract(&before);
        totals.add(&after);
        self.bind_level(at);
    }
}

pub(super) fn count_block(subnet: &mut Subnet, order: u8, taken: bool) {
    if taken {
        subnet.blocks += 1;
        subnet.block_orders |= 1_u128.checked_shl(order.into()).unwrap_or(0);
    } else {
        subnet.blocks -= 1;
        if subnet.blocks == 0 {
            subnet.block_orders = 0;
        }
    }
}
