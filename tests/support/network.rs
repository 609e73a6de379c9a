//! Networks that tests allocate from, made through the client.

use super::state::{Hold, Key};
use addrd_client::protocol::message::{
    AllocationFilter, AllocationState, NetworkCreate, Strategy, SubnetCreate, SubnetKind,
};
use addrd_client::protocol::{NetworkId, Prefix, Setting, SubnetId, Text};
use addrd_client::{Client, Error};
use std::collections::BTreeMap;

/// A subnet pool, by the id that stands where a network's does: its owners hold prefixes.
pub(crate) const POOLED: NetworkId = NetworkId::from_u128(0x15);
/// Length of those prefixes.
pub(crate) const POOLED_LENGTH: u8 = 28;

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

/// Everything that is held in a network, and that its counts agree with it (I6).
///
/// # Panics
/// When the list shows a key twice, or something that is not held.
pub(crate) async fn held(client: &Client, network: NetworkId) -> BTreeMap<Key, Hold> {
    let (client, size) = match network == POOLED {
        true => (&client.for_pools(), 1 << (32 - POOLED_LENGTH)),
        false => (client, 1),
    };
    let mut pages = client.allocations(network, AllocationFilter::default());
    let mut found = BTreeMap::new();
    while let Some(one) = pages.next().await.expect("a list goes on") {
        assert_eq!(one.network_id, network);
        assert_eq!(one.state, AllocationState::Allocated, "{one:?}");
        let key = Key { network, owner: one.owner, slot: one.slot };
        let label = one.label.as_ref().map(|label| label.as_str().to_owned());
        let hold = Hold { address: one.address, revision: one.revision, label };
        assert!(found.insert(key, hold).is_none(), "{key:?} is listed twice");
    }
    let usage = client.usage(network, None).await.expect("counts are given");
    let mut counted = 0;
    for one in &usage.subnets {
        let sum = one.free + one.held + one.allocated + one.quarantined + one.excluded + one.pinned;
        assert_eq!(sum, one.pool_size, "counts of a subnet: {one:?}");
        counted += one.allocated + one.used_outside;
    }
    assert_eq!(counted, size * found.len() as u128, "counts and list disagree");
    found
}
