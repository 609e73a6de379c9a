//! Samples of segments, hosts, ports and pins, and of what they add to other messages.

use super::sample_replies::subnet;
use super::*;

const SEGMENT: SegmentId = SegmentId::from_u128(0x8888_8888_8888_4888_8888_8888_8888_8888);
const PORT: PortId = PortId::from_u128(0x9999_9999_9999_4999_8999_9999_9999_9999);
const MAC: Mac = Mac([0xfa, 0x16, 0x3e, 0x00, 0x0a, 0xff]);

fn wanted(subnet_id: Option<SubnetId>, address: Option<&str>) -> FixedIpWanted {
    FixedIpWanted { subnet_id, ip_address: address.map(read), slot: None }
}

pub(super) fn port_create() -> PortCreate {
    PortCreate::of(PORT)
}

fn full_port_create() -> PortCreate {
    PortCreate {
        mac: Some(MAC),
        allow_gateway: true,
        fixed_ips: Setting::Value(vec![
            wanted(Some(SUBNET), Some("10.0.0.9")),
            wanted(None, Some("fd00:64::9")),
            wanted(Some(SUBNET6), None),
        ]),
        host: some("node-7"),
        device_owner: some("compute:nova"),
        description: some("eth0 of web-1"),
        ..port_create()
    }
}

/// A port that waited for its host, with an address in slot 2.
pub(super) fn restored_port() -> PortCreate {
    let had = FixedIpWanted { slot: Some(Slot(2)), ..wanted(Some(SUBNET), Some("10.0.0.9")) };
    PortCreate {
        mac: Some(MAC),
        ip_allocation: Some(IpAllocation::Deferred),
        fixed_ips: Setting::Value(vec![had]),
        ..port_create()
    }
}

fn port_update() -> PortUpdate {
    PortUpdate {
        port_id: PORT,
        expected: Revision(0),
        allow_gateway: false,
        mac: None,
        fixed_ips: Setting::Unset,
        host: Setting::Unset,
        device_owner: Setting::Unset,
        description: Setting::Unset,
    }
}

fn full_port_update() -> PortUpdate {
    PortUpdate {
        expected: REVISION,
        allow_gateway: true,
        mac: Some(MAC),
        fixed_ips: Setting::Value(vec![wanted(Some(SUBNET), None)]),
        host: Setting::Value(text("node-8")),
        device_owner: Setting::Value(text("network:dhcp")),
        description: Setting::Value(text("moved")),
        ..port_update()
    }
}

fn null_port_update() -> PortUpdate {
    PortUpdate {
        fixed_ips: Setting::Null,
        host: Setting::Null,
        device_owner: Setting::Null,
        description: Setting::Null,
        ..port_update()
    }
}

fn segment_requests() -> Vec<(&'static str, Request)> {
    let create = |description| {
        Request::SegmentCreate(Box::new(SegmentCreate { segment_id: SEGMENT, description }))
    };
    let update = |expected, description| {
        let update = SegmentUpdate { segment_id: SEGMENT, expected, description };
        Request::SegmentUpdate(Box::new(update))
    };
    let hosts = |add, remove| {
        Request::SegmentHosts(Box::new(SegmentHosts { segment_id: SEGMENT, add, remove }))
    };
    let list = HostList { page: page(), segment_id: Some(SEGMENT), host: some("node-7") };
    vec![
        ("segment_create_plain", create(None)),
        ("segment_create_full", create(some("rack 12"))),
        ("segment_get", Request::SegmentGet(SegmentGet { segment_id: SEGMENT })),
        ("segment_list_first", Request::SegmentList(Box::default())),
        ("segment_list_next", Request::SegmentList(Box::new(SegmentList { page: page() }))),
        ("segment_update_nothing", update(Revision(0), Setting::Unset)),
        ("segment_update_full", update(REVISION, Setting::Value(text("rack 13")))),
        (
            "segment_delete",
            Request::SegmentDelete(SegmentDelete { segment_id: SEGMENT, expected: REVISION }),
        ),
        ("segment_hosts_nothing", hosts(Vec::new(), Vec::new())),
        ("segment_hosts", hosts(vec![text("node-7"), text("node-8")], vec![text("node-1")])),
        ("host_list_first", Request::HostList(Box::default())),
        ("host_list_full", Request::HostList(Box::new(list))),
    ]
}

fn port_requests() -> Vec<(&'static str, Request)> {
    let create = |create| Request::PortCreate(Box::new(create));
    let update = |update| Request::PortUpdate(Box::new(update));
    let empty = PortCreate { fixed_ips: Setting::Value(Vec::new()), ..port_create() };
    let null = PortCreate { fixed_ips: Setting::Null, ..port_create() };
    let filter = PortFilter {
        host: some("node-7"),
        device_owner: some("compute:nova"),
        mac: Some(MAC),
        changed_since: Some(REVISION),
    };
    let unaddressed = PortUpdate { fixed_ips: Setting::Value(Vec::new()), ..port_update() };
    let delete = |expected| Request::PortDelete(PortDelete { port_id: PORT, expected });
    vec![
        ("port_create_plain", create(port_create())),
        ("port_create_without_addresses", create(empty)),
        ("port_create_null", create(null)),
        ("port_create_full", create(full_port_create())),
        ("port_get", Request::PortGet(PortGet { port_id: PORT })),
        ("port_list_first", Request::PortList(Box::default())),
        ("port_list_full", Request::PortList(Box::new(PortList { page: page(), filter }))),
        ("port_update_nothing", update(port_update())),
        ("port_update_full", update(full_port_update())),
        ("port_update_nulls", update(null_port_update())),
        ("port_update_unaddressed", update(unaddressed)),
        ("port_delete_plain", delete(Revision(0))),
        ("port_delete_expected", delete(REVISION)),
        ("batch_of_ports", Request::Batch(Box::new(port_batch()))),
    ]
}

fn port_batch() -> Batch {
    let items = vec![
        BatchItem::PortCreate(Box::new(port_create())),
        BatchItem::PortUpdate(Box::new(full_port_update())),
        BatchItem::PortDelete(PortDelete { port_id: PORT, expected: Revision(0) }),
    ];
    Batch { mode: BatchMode::AllOrNothing, items }
}

fn pin_requests() -> Vec<(&'static str, Request)> {
    let create = |address, slot, owner_name| {
        let create = PinCreate { address: read(address), owner: OWNER, slot, owner_name };
        Request::PinCreate(Box::new(create))
    };
    vec![
        ("pin_create_plain", create("10.0.0.9", Slot(0), None)),
        ("pin_create_full", create("fd00:64::9", Slot(3), some("web-1"))),
        ("pin_delete", Request::PinDelete(PinDelete { address: read("10.0.0.9") })),
        ("pin_list_first", Request::PinList(Box::default())),
        (
            "pin_list_full",
            Request::PinList(Box::new(PinList { page: page(), subnet_id: Some(SUBNET) })),
        ),
    ]
}

fn service() -> Service {
    Service {
        ipv6_ra_mode: Some(Ipv6Mode::Slaac),
        ipv6_address_mode: Some(Ipv6Mode::Slaac),
        service_types: vec![text("compute:nova"), text("network:dhcp")],
        segment_id: Some(SEGMENT),
    }
}

fn other_requests() -> Vec<(&'static str, Request)> {
    let served = SubnetCreate { enable_dhcp: true, service: service(), ..subnet_create() };
    let stateful = Service {
        ipv6_ra_mode: Some(Ipv6Mode::Stateful),
        ipv6_address_mode: Some(Ipv6Mode::Stateless),
        ..Service::default()
    };
    let modes = SubnetCreate { service: stateful, ..subnet_create() };
    let change = SubnetUpdate {
        service_types: Setting::Value(vec![text("network:routed")]),
        segment_id: Setting::Value(SEGMENT),
        ..subnet_update()
    };
    let everybody =
        SubnetUpdate { service_types: Setting::Null, segment_id: Setting::Null, ..subnet_update() };
    let eui64 = AllocateExtras { subnets: vec![SUBNET6], mac: Some(MAC), ..Default::default() };
    let automatic = Allocate {
        family: FamilyChoice::V6,
        strategy: Strategy::Eui64,
        extras: Some(Box::new(eui64)),
        ..plain_allocate()
    };
    vec![
        ("subnet_create_service", Request::SubnetCreate(Box::new(served))),
        ("subnet_create_modes", Request::SubnetCreate(Box::new(modes))),
        ("subnet_update_service", Request::SubnetUpdate(Box::new(change))),
        ("subnet_update_service_nulls", Request::SubnetUpdate(Box::new(everybody))),
        ("allocate_automatic", Request::Allocate(automatic)),
    ]
}

/// Number of the first request; those of the other samples stand below.
const FIRST_REQUEST: u64 = 0x0500;

/// Requests of this room.
pub(super) fn requests() -> Vec<RequestSample> {
    let all = [segment_requests(), port_requests(), pin_requests(), other_requests()];
    let sample = |(number, (name, request)): (u64, (&str, Request))| RequestSample {
        name: name.to_owned(),
        header: header(request.opcode(), number),
        request,
    };
    (FIRST_REQUEST..).zip(all.into_iter().flatten()).map(sample).collect()
}

fn segment() -> Segment {
    Segment {
        segment_id: SEGMENT,
        network_id: NETWORK,
        revision: REVISION,
        subnets: 0,
        hosts: 0,
        repeated: false,
        description: None,
    }
}

fn full_segment() -> Segment {
    Segment { subnets: 2, hosts: 40, repeated: true, description: some("rack 12"), ..segment() }
}

fn fixed_ip() -> FixedIp {
    FixedIp {
        ip_address: read("10.0.0.9"),
        subnet_length: 24,
        subnet_id: SUBNET,
        slot: Slot(0),
        revision: REVISION,
        automatic: false,
    }
}

fn port() -> Port {
    Port {
        port_id: PORT,
        network_id: NETWORK,
        revision: REVISION,
        mac: MAC,
        ip_allocation: IpAllocation::Immediate,
        repeated: false,
        more: false,
        fixed_ips: Vec::new(),
        host: None,
        device_owner: None,
        description: None,
    }
}

fn full_port() -> Port {
    let automatic = FixedIp {
        ip_address: read("fd00:64::f816:3eff:fe00:aff"),
        subnet_length: 64,
        subnet_id: SUBNET6,
        slot: Slot(1),
        automatic: true,
        ..fixed_ip()
    };
    Port {
        repeated: true,
        fixed_ips: vec![fixed_ip(), automatic],
        host: some("node-7"),
        device_owner: some("compute:nova"),
        description: some("eth0 of web-1"),
        ..port()
    }
}

fn pin() -> Pin {
    Pin {
        address: read("10.0.0.9"),
        subnet_id: SUBNET,
        owner: OWNER,
        slot: Slot(0),
        revision: REVISION,
        held: false,
        repeated: false,
        owner_name: None,
    }
}

fn full_pin() -> Pin {
    Pin { slot: Slot(3), held: true, repeated: true, owner_name: some("web-1"), ..pin() }
}

fn object_replies() -> Vec<(&'static str, Opcode, Reply)> {
    let segment_of = |segment| Reply::Segment(Box::new(segment));
    let port_of = |port| Reply::Port(Box::new(port));
    let pin_of = |pin| Reply::Pin(Box::new(pin));
    let deferred = Port { ip_allocation: IpAllocation::Deferred, ..port() };
    let bare = Port { ip_allocation: IpAllocation::Unaddressed, ..port() };
    let served = Subnet { service: service(), filling: Some(JobId(9)), ..subnet() };
    vec![
        ("segment_create", Opcode::SEGMENT_CREATE, segment_of(segment())),
        ("segment_get", Opcode::SEGMENT_GET, segment_of(full_segment())),
        ("segment_update", Opcode::SEGMENT_UPDATE, segment_of(full_segment())),
        ("segment_hosts", Opcode::SEGMENT_HOSTS, segment_of(full_segment())),
        ("segment_delete", Opcode::SEGMENT_DELETE, Reply::Empty),
        ("port_create", Opcode::PORT_CREATE, port_of(full_port())),
        ("port_create_deferred", Opcode::PORT_CREATE, port_of(deferred)),
        ("port_get", Opcode::PORT_GET, port_of(bare)),
        ("port_update", Opcode::PORT_UPDATE, port_of(full_port())),
        ("port_delete", Opcode::PORT_DELETE, Reply::Empty),
        ("pin_create", Opcode::PIN_CREATE, pin_of(full_pin())),
        ("pin_delete", Opcode::PIN_DELETE, Reply::Empty),
        ("subnet_create_service", Opcode::SUBNET_CREATE, Reply::Subnet(Box::new(served))),
    ]
}

fn page_replies() -> Vec<(&'static str, Opcode, Reply)> {
    let position = Seq(77);
    let segments = SegmentPage { position, items: vec![segment(), full_segment()], next: cursor() };
    let mapping = HostMapping { segment_id: SEGMENT, host: text("node-7") };
    let hosts = HostPage { position, items: vec![mapping], next: None };
    let ports = PortPage { position, items: vec![port(), full_port()], next: cursor() };
    let pins = PinPage { position, items: vec![pin(), full_pin()], next: None };
    let short = Port { more: true, fixed_ips: vec![fixed_ip()], ..port() };
    let results = vec![BatchResult::Port(Box::new(short)), BatchResult::PortDeleted];
    vec![
        ("segment_list", Opcode::SEGMENT_LIST, Reply::Segments(Box::new(segments))),
        ("host_list", Opcode::HOST_LIST, Reply::Hosts(Box::new(hosts))),
        ("port_list", Opcode::PORT_LIST, Reply::Ports(Box::new(ports))),
        ("pin_list", Opcode::PIN_LIST, Reply::Pins(Box::new(pins))),
        ("batch_of_ports", Opcode::BATCH, Reply::Batch(Box::new(BatchReply { results }))),
    ]
}

/// Replies of this room.
pub(super) fn replies() -> Vec<ReplySample> {
    let all = [object_replies(), page_replies()];
    let sample = |(request_id, (name, opcode, reply)): (u64, (&str, Opcode, Reply))| ReplySample {
        name: name.to_owned(),
        opcode,
        request_id,
        status: Status::OK,
        body: ReplyOrFailure::Reply(reply),
    };
    (FIRST_REQUEST..).zip(all.into_iter().flatten()).map(sample).collect()
}
