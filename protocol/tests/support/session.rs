//! The whole session of SPEC.md section 14: create, allocate, repeat, release, repeat.

use crate::samples::{NETWORK, SUBNET, text};
use addrd_protocol::codec::{encode_reply, encode_request};
use addrd_protocol::message::allocate::AllocatedAddress;
use addrd_protocol::message::*;
use addrd_protocol::opcode::NetworkRule;
use addrd_protocol::*;
use bytes::BytesMut;

/// First revision of the network: the tick of its creation, shifted by 20 bits.
const BASE: u64 = 1_763_910_000_000 << 20;

fn owner() -> OwnerId {
    OwnerId::from_text("web-1")
}

fn requests() -> Vec<Request> {
    let hello = Hello {
        version_min: 1,
        version_max: 1,
        features: 0,
        session: SessionId::from_u128(0x9999_9999_9999_4999_8999_9999_9999_9999),
        epoch: 1,
        server_id: None,
        client: Text::new("example/1.0").ok(),
        manager: None,
        host: None,
        token: None,
    };
    let network = NetworkCreate { name: Text::new("blue").ok(), ..NetworkCreate::default() };
    let subnet = SubnetCreate {
        subnet_id: SUBNET,
        cidr: "10.0.0.0/24".parse().unwrap(),
        kind: SubnetKind::Broadcast,
        strategy: Strategy::Default,
        enable_dhcp: false,
        gateway: Setting::Unset,
        pools: Setting::Unset,
        dns_servers: Vec::new(),
        routes: Vec::new(),
        name: None,
        description: None,
        from_pool: None,
        quarantine_ms: None,
        service: Default::default(),
    };
    let named = AllocateExtras { owner_name: Some(text("web-1")), ..AllocateExtras::default() };
    let allocate = Allocate {
        owner: owner(),
        slot: Slot(0),
        instance: Instance(0),
        family: FamilyChoice::One,
        strategy: Strategy::Default,
        length: None,
        flags: AllocateFlags::default(),
        extras: Some(Box::new(named)),
    };
    let target = Target::Key { owner: owner(), slot: Slot(0) };
    let release = Release { target, fences: Fences::default(), any: false };
    vec![
        Request::Hello(Box::new(hello)),
        Request::NetworkCreate(Box::new(network)),
        Request::SubnetCreate(Box::new(subnet)),
        Request::Allocate(allocate.clone()),
        Request::Allocate(allocate),
        Request::Release(release.clone()),
        Request::Release(release),
    ]
}

/// What the client sends.
pub(crate) fn request_bytes() -> Vec<u8> {
    let mut out = BytesMut::new();
    for (request_id, request) in (1..).zip(requests()) {
        let opcode = request.opcode();
        let network = match opcode.network_rule() {
            NetworkRule::None => NetworkId::NIL,
            _ => NETWORK,
        };
        let header = RequestHeader {
            opcode,
            request_id,
            timeout_ms: 0,
            project: ProjectId::DEFAULT,
            network,
            pool: false,
            network_project: None,
            restoring: false,
        };
        encode_request(&header, &request, &mut out).unwrap();
    }
    out.to_vec()
}

fn hello_reply() -> HelloReply {
    HelloReply {
        version: 1,
        role: 0,
        adopting: false,
        features: 0,
        server_id: ServerId::from_u128(0x5555_5555_5555_4555_8555_5555_5555_5555),
        incarnation: Incarnation(0),
        position: Seq(0),
        frame_bytes_max: 65_536,
        batch_bytes_max: 1_048_576,
        batch_items_max: 1_024,
        credit: 256,
        idle_ms: 300_000,
        server: None,
    }
}

fn network() -> Network {
    Network {
        network_id: NETWORK,
        project_id: ProjectId::DEFAULT,
        revision: Revision(BASE + 1),
        subnets: 0,
        allocations: 0,
        deleting: false,
        repeated: false,
        shared: false,
        name: Text::new("blue").ok(),
        description: None,
        scope_v4: None,
        scope_v6: None,
    }
}

fn subnet() -> Subnet {
    let range = |first: &str, last: &str| {
        Range::new(first.parse().unwrap(), last.parse().unwrap()).unwrap()
    };
    Subnet {
        subnet_id: SUBNET,
        network_id: NETWORK,
        revision: Revision(BASE + 2),
        cidr: "10.0.0.0/24".parse().unwrap(),
        kind: SubnetKind::Broadcast,
        strategy: Strategy::Default,
        enable_dhcp: false,
        deleting: false,
        repeated: false,
        allocations: 0,
        gateway: "10.0.0.1".parse().ok(),
        pools: vec![range("10.0.0.2", "10.0.0.254")],
        dns_servers: Vec::new(),
        routes: Vec::new(),
        exclusions: Vec::new(),
        name: None,
        description: None,
        live_inside: Vec::new(),
        overlaps: Vec::new(),
        quarantine_ms: 30_000,
        subnet_pool_id: None,
        service: Default::default(),
        filling: None,
    }
}

fn allocated(repeated: bool) -> Allocated {
    let first = AllocatedAddress {
        address: "10.0.0.2".parse().unwrap(),
        length: 32,
        subnet_length: 24,
        subnet_id: SUBNET,
        slot: Slot(0),
        revision: Revision(BASE + 3),
        state: AllocationState::Allocated,
        time_left_ms: 0,
        repeated,
        was_preferred: false,
        from_quarantine: false,
        taken_over: false,
    };
    Allocated { first, second: None, settings: None }
}

/// What the server sends.
pub(crate) fn reply_bytes() -> Vec<u8> {
    let released = Released {
        address: "10.0.0.2".parse().unwrap(),
        length: 32,
        subnet_id: SUBNET,
        revision: Revision(BASE + 4),
        state: AllocationState::Quarantined,
    };
    let replies = [
        (Opcode::HELLO, Status::OK, Reply::Hello(Box::new(hello_reply()))),
        (Opcode::NETWORK_CREATE, Status::OK, Reply::Network(Box::new(network()))),
        (Opcode::SUBNET_CREATE, Status::OK, Reply::Subnet(Box::new(subnet()))),
        (Opcode::ALLOCATE, Status::OK, Reply::Allocated(allocated(false))),
        (Opcode::ALLOCATE, Status::OK, Reply::Allocated(allocated(true))),
        (Opcode::RELEASE, Status::OK, Reply::Released(released)),
        (Opcode::RELEASE, Status::NOT_HELD, Reply::Empty),
    ];
    let mut out = BytesMut::new();
    for (request_id, (opcode, status, reply)) in (1..).zip(&replies) {
        encode_reply(*opcode, request_id, *status, reply, &mut out);
    }
    out.to_vec()
}
