//! Networks that tests allocate from, made through the client.

use super::state::{Hold, Key};
use super::terms::{End, after};
use addrd_client::protocol::message::{
    Allocation, AllocationFilter, AllocationState, NetworkCreate, Strategy, SubnetCreate,
    SubnetKind,
};
use addrd_client::protocol::{NetworkId, Prefix, ProjectId, Setting, SubnetId, Text};
use addrd_client::{Client, Error};
use std::collections::{BTreeMap, BTreeSet};

/// A subnet pool, by the id that stands where a network's does: its owners hold prefixes.
pub(crate) const POOLED: NetworkId = NetworkId::from_u128(0x15);
/// Length of those prefixes.
pub(crate) const POOLED_LENGTH: u8 = 28;

/// A network that all of [`PROJECTS`] use; its owners are the same in each of them.
pub(crate) const LENT: NetworkId = NetworkId::from_u128(0x17);

/// The manager of all hosts of clients.
pub(crate) const MANAGER: &str = "cni";

/// The host of a client.
pub(crate) fn host_name(number: u64) -> Text {
    text(&format!("h{number}"))
}

/// A text of a test.
///
/// # Panics
/// When it is too long.
pub(crate) fn text(text: &str) -> Text {
    Text::new(text).expect("a text of a test is short")
}

/// A prefix of a test.
///
/// # Panics
/// When it is none.
pub(crate) fn prefix(text: &str) -> Prefix {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error:?}"))
}

/// Creates a network.
///
/// # Errors
/// Those of the client.
pub(crate) async fn create(client: &Client, network: NetworkId, name: &str) -> Result<(), Error> {
    let create = NetworkCreate { name: Some(text(name)), ..NetworkCreate::default() };
    client.network_create(network, create).await.map(|_| ())
}

/// A subnet with everything else by default; its id follows from network and prefix.
pub(crate) fn subnet(network: NetworkId, cidr: &str, strategy: Strategy) -> SubnetCreate {
    let id = uuid::Uuid::new_v5(&network.0, cidr.as_bytes());
    SubnetCreate {
        subnet_id: SubnetId(id),
        cidr: prefix(cidr),
        kind: SubnetKind::Broadcast,
        strategy,
        enable_dhcp: false,
        gateway: Setting::Unset,
        pools: Setting::Unset,
        dns_servers: Vec::new(),
        routes: Vec::new(),
        name: None,
        description: None,
        from_pool: None,
        quarantine_ms: Some(0),
        service: Default::default(),
    }
}

/// A network with subnets, each with the strategy `next`.
///
/// # Panics
/// When the server refuses.
pub(crate) async fn network(client: &Client, number: u128, cidrs: &[&str]) -> NetworkId {
    let network = NetworkId::from_u128(number);
    create(client, network, &format!("net-{number}")).await.expect("a network is made");
    for cidr in cidrs {
        let made = client.subnet_create(network, subnet(network, cidr, Strategy::Next)).await;
        made.expect("a subnet is made");
    }
    network
}

/// Projects that use [`LENT`]: the one it belongs to, and its guests.
pub(crate) const PROJECTS: [ProjectId; 3] =
    [ProjectId::DEFAULT, ProjectId::from_u128(0x21), ProjectId::from_u128(0x22)];

/// Everything that is held in a network by all projects, and that its counts agree with it (I6). Each
/// project lists its own; the network's sees where the guests are and whose that is. Nothing of it may end.
///
/// # Panics
/// When the list shows a key twice, or something that is not held.
pub(crate) async fn held(client: &Client, network: NetworkId) -> BTreeMap<Key, Hold> {
    let (found, counted) = held_and_counted(client, network).await;
    assert!(found.values().all(|hold| hold.end == End::Never), "{found:?}");
    assert_eq!(counted, found.len() as u128, "counts and list disagree");
    found
}

/// Everything that is held in a network, until when (`until`: ns that are left), and how many are counted. What has
/// ended counts until that is written, so they may be more.
///
/// # Panics
/// As [`held`], and when fewer are counted.
pub(crate) async fn held_and_counted(
    client: &Client,
    network: NetworkId,
) -> (BTreeMap<Key, Hold>, u128) {
    let projects = if network == LENT { &PROJECTS[..] } else { &PROJECTS[..1] };
    let (client, size) = match network == POOLED {
        true => (&client.for_pools(), 1 << (32 - POOLED_LENGTH)),
        false => (client, 1),
    };
    let usage = client.usage(network, None).await.expect("counts are given");
    let mut counted = 0;
    for one in &usage.subnets {
        let sum = one.free + one.held + one.allocated + one.quarantined + one.excluded + one.pinned;
        assert_eq!(sum, one.pool_size, "counts of a subnet: {one:?}");
        counted += one.held + one.allocated + one.used_outside;
    }
    assert_eq!(counted % size, 0, "whole blocks are held: {usage:?}");
    let (mut found, mut of_guests) = (BTreeMap::new(), BTreeSet::new());
    for project in projects {
        let client = client.in_project(*project).on_networks_of(ProjectId::DEFAULT);
        let mut pages = client.allocations(network, AllocationFilter::default());
        while let Some(one) = pages.next().await.expect("a list goes on") {
            assert_eq!(one.network_id, network);
            if one.project_id != *project {
                let is_shown = of_guests.insert((one.project_id, one.address, one.revision));
                assert!(*project == ProjectId::DEFAULT && is_shown, "{project} sees {one:?}");
                continue;
            }
            let key = Key { project: *project, network, owner: one.owner, slot: one.slot };
            let before = found.insert(key, hold_of(&one));
            assert!(before.is_none(), "{key:?} is listed twice");
        }
    }
    let guests = found.iter().filter(|(key, _)| key.project != ProjectId::DEFAULT);
    let guests = guests.map(|(key, hold)| (key.project, hold.address, hold.revision));
    assert_eq!(of_guests, guests.collect(), "what the network's project sees of its guests");
    let counted = counted / size;
    assert!(found.len() as u128 <= counted, "{} are listed, {counted} counted", found.len());
    (found, counted)
}

fn hold_of(one: &Allocation) -> Hold {
    let end = match (one.state, one.time_left_ms) {
        (AllocationState::Held, _) => End::Held(None),
        (AllocationState::Allocated, _) if one.follows_host => End::Host,
        (AllocationState::Allocated, 0) => End::Never,
        (AllocationState::Allocated, _) => End::Lease,
        (state, _) => panic!("{state:?}: {one:?}"),
    };
    // What follows a host that only reports has no end.
    let is_endless = one.time_left_ms == 0 && matches!(end, End::Never | End::Host);
    let until = if is_endless { u64::MAX } else { after(0, one.time_left_ms) };
    let label = one.label.as_ref().map(|label| label.as_str().to_owned());
    Hold { label, end, until, ..Hold::endless(one.address, one.revision) }
}
