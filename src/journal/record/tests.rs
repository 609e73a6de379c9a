//! Round trip of any effect, strictness, sizes, and the golden file.

mod allocations;
mod asked;
mod departed;
mod hosts;
mod levels;
mod principals;
mod projects;
mod subnets;

use super::{CellMark, RecordError, cell_mark, decode, encode, skip};
use crate::limits::PLAIN_RECORD_BYTES_MAX;
use crate::model::{
    AddressScopeId, AllocationExtras, AllocationPlace, AllocationRow, Effect, ExclusionRow, Family,
    HeldBy, HostRow, Instance, JobId, JobRow, LevelRow, Mac, NetworkHandle, NetworkId, NetworkRow,
    ObjectRef, OwnerId, PinRow, PoolId, PoolRow, PortId, PortRow, Prefix, ProjectId, Range,
    Revision, ScopeRow, SegmentId, SegmentRow, Slot, SubnetHandle, SubnetId, SubnetRow, Text,
    Thing, ThingWas, Tick,
};
use addrd_protocol::message::{
    AllocationState, Exclusion, ExclusionMode, IpAllocation, Ipv6Mode, JobKind, Route, Service,
    Strategy as Choice, SubnetKind,
};
use allocations::golden_full;
use departed::{held_by, thing_was};
use projects::{golden_project, project};
use proptest::prelude::*;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use uuid::Uuid;

fn text() -> impl Strategy<Value = Text> {
    "[ -~éß]{0,80}".prop_map(|text| Text::new(&text).unwrap())
}

fn address() -> impl Strategy<Value = IpAddr> {
    prop_oneof![
        any::<u32>().prop_map(|n| IpAddr::V4(Ipv4Addr::from_bits(n))),
        any::<u128>().prop_map(|n| IpAddr::V6(Ipv6Addr::from_bits(n))),
    ]
}

fn prefix() -> impl Strategy<Value = Prefix> {
    (address(), 0_u8..=128).prop_map(|(address, length)| {
        let bits = if address.is_ipv4() { 32 } else { 128 };
        Prefix::truncated(address, length.min(bits)).unwrap()
    })
}

fn range() -> impl Strategy<Value = Range> {
    (address(), any::<u32>()).prop_map(|(first, more)| {
        let last = match first {
            IpAddr::V4(a) => IpAddr::V4(Ipv4Addr::from_bits(a.to_bits().saturating_add(more))),
            IpAddr::V6(a) => {
                IpAddr::V6(Ipv6Addr::from_bits(a.to_bits().saturating_add(u128::from(more))))
            }
        };
        Range::new(first, last).unwrap()
    })
}

fn uuid() -> impl Strategy<Value = Uuid> {
    any::<u128>().prop_map(Uuid::from_u128)
}

fn offset() -> impl Strategy<Value = u128> {
    prop_oneof![any::<u32>().prop_map(u128::from), any::<u64>().prop_map(u128::from), any::<u128>()]
}

fn place() -> impl Strategy<Value = AllocationPlace> {
    (any::<u32>(), any::<u32>(), offset(), prop_oneof![Just(0_u8), 1_u8..=128]).prop_map(
        |(network, subnet, offset, block_bits)| AllocationPlace {
            network: NetworkHandle(network),
            subnet: SubnetHandle(subnet),
            offset,
            block_bits,
        },
    )
}

fn extras() -> impl Strategy<Value = Option<Box<AllocationExtras>>> {
    let numbers = (
        prop::option::of(any::<u64>()),
        prop::option::of(any::<u64>()),
        prop::option::of(any::<u32>()),
        prop::option::of(any::<u16>()),
    );
    let ids = [(); 4].map(|()| prop::option::of(uuid()));
    let texts = [(); 4].map(|()| prop::option::of(text()));
    (numbers, ids, texts, prop::option::of(held_by())).prop_map(|(numbers, ids, texts, former)| {
        let ((deadline, quarantine_end, principal, item), [project, port, token, trace]) =
            (numbers, ids);
        let [manager, host, label, owner_name] = texts;
        let project = project.map(ProjectId);
        let extras = AllocationExtras {
            deadline,
            quarantine_end,
            project,
            port,
            token,
            item: token.and(item),
            principal,
            trace,
            follows: deadline.filter(|life| life % 3 == 1),
            former: former.map(Box::new),
            manager,
            host,
            label,
            owner_name,
        };
        (extras != AllocationExtras::default()).then(|| Box::new(extras))
    })
}

fn state() -> impl Strategy<Value = AllocationState> {
    prop_oneof![
        Just(AllocationState::Held),
        Just(AllocationState::Allocated),
        Just(AllocationState::Quarantined)
    ]
}

fn allocation() -> impl Strategy<Value = AllocationRow> {
    (
        (place(), any::<u64>(), prop::option::of(any::<u64>()), uuid(), state()),
        (prop_oneof![Just(0), any::<u16>()], prop_oneof![Just(0), any::<u64>()]),
        (any::<bool>(), prop_oneof![Just(None), extras()]),
    )
        .prop_map(|((place, changed, revision, owner, state), (slot, instance), rest)| {
            AllocationRow {
                place,
                revision: Revision(revision.unwrap_or(changed)),
                changed: Revision(changed),
                owner: OwnerId(owner),
                slot: Slot(slot),
                instance: Instance(instance),
                state,
                moves_cursor: rest.0,
                extras: rest.1,
            }
        })
}

fn network() -> impl Strategy<Value = NetworkRow> {
    let texts = (prop::option::of(text()), prop::option::of(text()));
    (any::<u32>(), any::<u64>(), uuid(), uuid(), any::<[bool; 2]>(), texts).prop_map(
        |(network, revision, project, id, [deleting, shared], (name, description))| NetworkRow {
            network: NetworkHandle(network),
            revision: Revision(revision),
            project: ProjectId(project),
            id: NetworkId(id),
            deleting,
            shared,
            name,
            description,
            scope_v4: None,
            scope_v6: None,
        },
    )
}

fn subnet() -> impl Strategy<Value = SubnetRow> {
    let route =
        (prefix(), address()).prop_map(|(destination, next_hop)| Route { destination, next_hop });
    let lists = (
        prop::collection::vec(range(), 0..=64),
        prop::collection::vec(address(), 0..=5),
        prop::collection::vec(route, 0..=20),
    );
    let choice = prop_oneof![
        Just(Choice::Default),
        Just(Choice::Lowest),
        Just(Choice::Next),
        Just(Choice::Random),
        Just(Choice::Hashed),
        Just(Choice::Exact),
        Just(Choice::Eui64),
    ];
    let kind = prop_oneof![Just(SubnetKind::Broadcast), Just(SubnetKind::Routed)];
    (
        (any::<u32>(), any::<u32>(), any::<u64>(), uuid(), prefix()),
        (kind, choice, any::<bool>(), any::<bool>(), prop::option::of(address())),
        lists,
        (prop::option::of(text()), prop::option::of(text()), service(), any::<u64>()),
    )
        .prop_map(
            |(ids, plain, (pools, dns_servers, routes), (name, description, service, rest))| {
                SubnetRow {
                    network: NetworkHandle(ids.0),
                    subnet: SubnetHandle(ids.1),
                    revision: Revision(ids.2),
                    id: SubnetId(ids.3),
                    prefix: ids.4,
                    kind: plain.0,
                    strategy: plain.1,
                    enable_dhcp: plain.2,
                    deleting: plain.3,
                    gateway: plain.4,
                    pools,
                    dns_servers,
                    routes,
                    name,
                    description,
                    pool: None,
                    quarantine_ms: rest,
                    service,
                    level: (rest % 101) as u8,
                }
            },
        )
}

fn service() -> impl Strategy<Value = Service> {
    let mode = prop_oneof![
        Just(None),
        Just(Some(Ipv6Mode::Slaac)),
        Just(Some(Ipv6Mode::Stateful)),
        Just(Some(Ipv6Mode::Stateless))
    ];
    (mode.clone(), mode, prop::collection::vec(text(), 0..=8), prop::option::of(uuid())).prop_map(
        |(ipv6_ra_mode, ipv6_address_mode, service_types, segment)| Service {
            ipv6_ra_mode,
            ipv6_address_mode,
            service_types,
            segment_id: segment.map(SegmentId),
        },
    )
}

fn port() -> impl Strategy<Value = PortRow> {
    let ip_allocation = prop_oneof![
        Just(IpAllocation::Immediate),
        Just(IpAllocation::Deferred),
        Just(IpAllocation::Unaddressed)
    ];
    let slots = prop_oneof![any::<u32>().prop_map(u128::from), any::<u128>()];
    let texts = [(); 3].map(|()| prop::option::of(text()));
    let ids = (any::<u32>(), any::<u64>(), any::<u64>(), uuid(), prop::option::of(uuid()));
    (ids, any::<u64>(), ip_allocation, slots, texts).prop_map(
        |(ids, mac, ip_allocation, slots, [host, device_owner, description])| PortRow {
            network: NetworkHandle(ids.0),
            revision: Revision(ids.1),
            created: Revision(ids.2),
            id: PortId(ids.3),
            mac: Mac::from_number(mac),
            ip_allocation,
            slots,
            project: ids.4.map(ProjectId),
            host,
            device_owner,
            description,
        },
    )
}

/// Segments, hosts, pins, and that they or ports are gone.
fn planned() -> impl Strategy<Value = Effect> {
    let ids = (any::<u32>(), any::<u64>(), any::<u64>(), uuid());
    (ids, text(), prop::option::of(text()), any::<u128>(), any::<u32>(), 0..7).prop_map(
        |((network, revision, created, id), host, text, offset, number, which)| {
            let (network, created) = (NetworkHandle(network), Revision(created));
            let revision = Revision(revision);
            match which {
                0 => Effect::SegmentPut(Box::new(SegmentRow {
                    network,
                    revision,
                    created,
                    id: SegmentId(id),
                    description: text,
                })),
                1 => Effect::HostPut(Box::new(HostRow {
                    network,
                    created,
                    segment: SegmentId(id),
                    host,
                })),
                2 => Effect::PinPut(Box::new(PinRow {
                    network,
                    created,
                    subnet: SubnetHandle(number),
                    offset,
                    owner: OwnerId(id),
                    slot: Slot(number as u16),
                    owner_name: text,
                })),
                which => {
                    let was = thing_was(Thing::ALL[which as usize - 3]);
                    Effect::ThingGone { network, revision, created, was }
                }
            }
        },
    )
}

fn exclusion() -> impl Strategy<Value = ExclusionRow> {
    let mode = prop_oneof![Just(ExclusionMode::Automatic), Just(ExclusionMode::Everyone)];
    (any::<u32>(), any::<u32>(), any::<u64>(), range(), mode, prop::option::of(text())).prop_map(
        |(network, subnet, revision, range, mode, reason)| ExclusionRow {
            network: NetworkHandle(network),
            subnet: SubnetHandle(subnet),
            revision: Revision(revision),
            exclusion: Exclusion { range, mode, reason },
        },
    )
}

fn job() -> impl Strategy<Value = JobRow> {
    let kind = prop_oneof![
        Just(JobKind::NetworkDelete),
        Just(JobKind::SubnetDelete),
        Just(JobKind::SubnetFill)
    ];
    let numbers = (any::<u32>(), any::<u64>(), any::<u64>(), any::<u64>(), any::<u64>());
    let places = (any::<u64>(), any::<u64>());
    (numbers, (uuid(), uuid(), uuid()), kind, any::<bool>(), places).prop_map(
        |((network, revision, job, done, total), ids, kind, finished, places)| JobRow {
            network: NetworkHandle(network),
            revision: Revision(revision),
            job: JobId(job),
            project: ProjectId(ids.0),
            network_id: NetworkId(ids.1),
            subnet_id: SubnetId(ids.2),
            kind,
            finished,
            done,
            total,
            cursor: Revision(places.0),
            until: Revision(places.1),
        },
    )
}

fn object_ref() -> impl Strategy<Value = ObjectRef> {
    (any::<u32>(), uuid()).prop_map(|(handle, id)| ObjectRef { handle: NetworkHandle(handle), id })
}

fn address_scope() -> impl Strategy<Value = ScopeRow> {
    (project(), uuid(), any::<bool>(), any::<bool>()).prop_map(|(row, id, is_v4, shared)| {
        ScopeRow {
            handle: row.handle,
            revision: row.revision,
            project: row.id,
            id: AddressScopeId(id),
            family: if is_v4 { Family::V4 } else { Family::V6 },
            shared,
            name: row.name,
            description: row.description,
        }
    })
}

fn pool() -> impl Strategy<Value = PoolRow> {
    let refs = (prop::option::of(object_ref()), prop::option::of(object_ref()));
    let lengths = (any::<u8>(), any::<u8>(), any::<u8>());
    let prefixes = prop::collection::vec(prefix(), 1..=128);
    (address_scope(), refs, lengths, prefixes, prop::option::of(any::<u64>()), any::<bool>())
        .prop_map(|(row, (scope, parent), lengths, prefixes, quota, is_default)| PoolRow {
            handle: row.handle,
            revision: row.revision,
            project: row.project,
            id: PoolId(row.id.0),
            family: row.family,
            prefixes,
            min_length: lengths.0,
            max_length: lengths.1,
            default_length: lengths.2,
            quota,
            scope,
            parent,
            is_default,
            shared: row.shared,
            name: row.name,
            description: row.description,
            level: lengths.0 % 101,
        })
}

fn effect() -> impl Strategy<Value = Effect> {
    let ids = (any::<u32>(), any::<u32>(), any::<u64>(), any::<u64>());
    prop_oneof![
        4 => allocation().prop_map(Effect::AllocationPut),
        2 => (place(), any::<u64>(), prop::option::weighted(0.8, held_by())).prop_map(|(place, revision, held_by)| {
            Effect::AllocationGone { place, revision: Revision(revision), held_by }
        }),
        1 => network().prop_map(|row| Effect::NetworkPut(Box::new(row))),
        2 => subnet().prop_map(|row| Effect::SubnetPut(Box::new(row))),
        1 => exclusion().prop_map(|row| Effect::ExclusionPut(Box::new(row))),
        1 => job().prop_map(Effect::JobPut),
        1 => project().prop_map(|row| Effect::ProjectPut(Box::new(row))),
        1 => principals::principal().prop_map(|row| Effect::PrincipalPut(Box::new(row))),
        1 => asked::asked().prop_map(Effect::Asked),
        1 => address_scope().prop_map(|row| Effect::ScopePut(Box::new(row))),
        2 => pool().prop_map(|row| Effect::PoolPut(Box::new(row))),
        2 => port().prop_map(|row| Effect::PortPut(Box::new(row))),
        2 => planned(),
        1 => (ids, any::<u128>(), 0..7).prop_map(|((network, subnet, revision, job), first, which)| {
            let (network, subnet) = (NetworkHandle(network), SubnetHandle(subnet));
            let revision = Revision(revision);
            match which {
                0 => Effect::NetworkGone { network, revision },
                1 => Effect::SubnetGone { network, subnet, revision },
                2 => Effect::ExclusionGone { network, subnet, revision, first },
                3 => Effect::ObjectGone { object: network, revision },
                4 => Effect::Adoption { since: Tick(revision.0) },
                5 => Effect::LevelPut(LevelRow {
                    network,
                    revision,
                    subnet: (job % 3 > 0).then_some(subnet),
                    level: (job % 101) as u8,
                    before: (job / 101 % 101) as u8,
                    used: first / 2,
                    size: first,
                }),
                _ => Effect::JobGone { network, revision, job: JobId(job) },
            }
        }),
    ]
}

proptest! {
    #[test]
    fn any_effect_reads_back_and_uses_exactly_its_bytes(
        effect in effect(),
        behind in prop::collection::vec(any::<u8>(), 0..40),
    ) {
        let mut bytes = Vec::new();
        encode(&effect, &mut bytes);
        let length = bytes.len();
        // Well below what one decision may write.
        prop_assert!(length < 16_000);
        bytes.extend_from_slice(&behind);
        prop_assert_eq!(decode(&bytes), Ok((effect, length)));
        prop_assert_eq!(skip(&bytes), Ok(length));
    }

    #[test]
    fn a_mark_says_what_the_whole_record_says(effect in effect()) {
        let mut bytes = Vec::new();
        encode(&effect, &mut bytes);
        let expected = match &effect {
            Effect::AllocationPut(row) => Some(CellMark {
                network: row.place.network,
                revision: row.changed,
                subnet: row.place.subnet,
                offset: row.place.offset,
                cursor: row.moves_cursor.then(|| row.place.cursor_behind()),
            }),
            Effect::AllocationGone { place, revision, .. } => Some(CellMark {
                network: place.network,
                revision: *revision,
                subnet: place.subnet,
                offset: place.offset,
                cursor: None,
            }),
            _ => None,
        };
        prop_assert_eq!(cell_mark(&bytes), Ok(expected));
    }

    #[test]
    fn what_decodes_has_no_other_encoding(effect in effect(), at in any::<usize>(), byte: u8) {
        let mut bytes = Vec::new();
        encode(&effect, &mut bytes);
        let at = at % bytes.len();
        bytes[at] = byte;
        if let Ok((read, length)) = decode(&bytes) {
            let mut again = Vec::new();
            encode(&read, &mut again);
            prop_assert_eq!(&again[..], &bytes[..length]);
        }
    }

    #[test]
    fn garbage_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = decode(&bytes);
    }

    #[test]
    fn a_cut_record_is_short(effect in effect(), at in any::<usize>()) {
        let mut bytes = Vec::new();
        encode(&effect, &mut bytes);
        bytes.truncate(at % bytes.len());
        prop_assert_eq!(decode(&bytes), Err(RecordError::Short));
    }
}

fn plain(offset: u128) -> AllocationRow {
    AllocationRow {
        place: AllocationPlace {
            network: NetworkHandle(3),
            subnet: SubnetHandle(1),
            offset,
            block_bits: 0,
        },
        revision: Revision(0x0001_0000_0000_0007),
        changed: Revision(0x0001_0000_0000_0007),
        owner: OwnerId::from_u128(0x0011_2233_4455_6677_8899_aabb_ccdd_eeff),
        slot: Slot(0),
        instance: Instance(0),
        state: AllocationState::Allocated,
        moves_cursor: true,
        extras: None,
    }
}

#[test]
fn a_plain_allocation_is_small() {
    for offset in [0, u128::from(u32::MAX), u128::from(u64::MAX)] {
        let mut bytes = Vec::new();
        encode(&Effect::AllocationPut(plain(offset)), &mut bytes);
        assert!(bytes.len() <= PLAIN_RECORD_BYTES_MAX, "{} bytes", bytes.len());
    }
}

#[test]
fn unknown_kinds_and_flags_are_refused() {
    let mut bytes = Vec::new();
    encode(&Effect::AllocationPut(plain(5)), &mut bytes);
    let kind = {
        let mut bad = bytes.clone();
        bad[2] = 0xfe;
        decode(&bad)
    };
    assert_eq!(kind, Err(RecordError::UnknownKind(0xfe)));
    let flags = {
        let mut bad = bytes;
        bad[3] |= 0x80;
        decode(&bad)
    };
    assert!(matches!(flags, Err(RecordError::UnknownFlag { bits: 0x80, .. })), "{flags:?}");
    // Of a put every bit has a meaning; of what is gone most have none.
    let presence = {
        let mut bad = Vec::new();
        let held_by = HeldBy { owner: OwnerId::from_u128(5), slot: Slot(0), project: None };
        let (place, revision) = (plain(5).place, REVISION);
        encode(&Effect::AllocationGone { place, revision, held_by: Some(held_by) }, &mut bad);
        bad[4] |= 0x80;
        decode(&bad)
    };
    assert!(matches!(presence, Err(RecordError::UnknownFlag { bits: 0x8000, .. })), "{presence:?}");
}

#[test]
fn records_are_as_the_golden_file_has_them() {
    let golden: Vec<_> =
        include_str!("golden.txt").lines().filter(|l| !l.starts_with('#')).collect();
    let mut lines = Vec::new();
    let all = golden_effects().into_iter().chain(allocations::effects()).chain(hosts::effects());
    let all = all.chain(principals::effects()).chain(asked::golden());
    for (name, effect) in all {
        let mut bytes = Vec::new();
        encode(&effect, &mut bytes);
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        lines.push(format!("{name} {hex}"));
        assert_eq!(decode(&bytes), Ok((effect, bytes.len())), "{name}");
    }
    assert_eq!(golden, lines, "expected:\n{}", lines.join("\n"));
}

const NETWORK: NetworkHandle = NetworkHandle(3);
const SUBNET: SubnetHandle = SubnetHandle(1);
const REVISION: Revision = Revision(0x0102_0304_0506_0708);

fn golden_text(text: &str) -> Option<Text> {
    Some(Text::new(text).unwrap())
}

fn golden_address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn golden_range() -> Range {
    Range::new(golden_address("10.0.0.2"), golden_address("10.0.0.9")).unwrap()
}

fn golden_effects() -> Vec<(&'static str, Effect)> {
    let (network, subnet, revision) = (NETWORK, SUBNET, REVISION);
    let full = golden_full();
    let held_by = HeldBy { owner: OwnerId::from_u128(5), slot: Slot(0), project: None };
    let guest_was = HeldBy { slot: Slot(3), project: Some(ProjectId::from_u128(8)), ..held_by };
    let gone = |held_by| Effect::AllocationGone { place: plain(2).place, revision, held_by };
    let gone_block =
        Effect::AllocationGone { place: full.place, revision, held_by: Some(guest_was) };
    let exclusion = Exclusion {
        range: golden_range(),
        mode: ExclusionMode::Everyone,
        reason: golden_text("r"),
    };
    let exclusion = ExclusionRow { network, subnet, revision, exclusion };
    let many_slots = PortRow { slots: 1 << 95, ..golden_port() };
    let guest = PortRow { project: Some(ProjectId::from_u128(8)), ..golden_port() };
    let shared = NetworkRow { shared: true, ..golden_network() };
    let (scope_v4, scope_v6) = (Some(golden_ref(4)), Some(golden_ref(5)));
    let scoped = NetworkRow { scope_v4, scope_v6, ..golden_network() };
    vec![
        ("network-put", Effect::NetworkPut(Box::new(golden_network()))),
        ("network-gone", Effect::NetworkGone { network, revision }),
        ("subnet-put", Effect::SubnetPut(Box::new(golden_subnet()))),
        ("subnet-gone", Effect::SubnetGone { network, subnet, revision }),
        ("exclusion-put", Effect::ExclusionPut(Box::new(exclusion))),
        ("exclusion-gone", Effect::ExclusionGone { network, subnet, revision, first: 2 }),
        ("allocation-plain-v4", Effect::AllocationPut(plain(2))),
        ("allocation-plain-v6", Effect::AllocationPut(plain(1 << 40))),
        ("allocation-full", Effect::AllocationPut(full)),
        ("allocation-gone", gone(Some(held_by))),
        ("allocation-rested", gone(None)),
        ("allocation-gone-block", gone_block),
        ("job-put", Effect::JobPut(golden_job())),
        ("job-gone", Effect::JobGone { network, revision, job: JobId(9) }),
        ("project-put", Effect::ProjectPut(Box::new(golden_project()))),
        ("scope-put", Effect::ScopePut(Box::new(golden_scope()))),
        ("pool-put", Effect::PoolPut(Box::new(golden_pool()))),
        ("object-gone", Effect::ObjectGone { object: network, revision }),
        ("adoption", Effect::Adoption { since: Tick(0x0102_0304_0506_0708) }),
        ("network-put-scoped", Effect::NetworkPut(Box::new(scoped))),
        ("subnet-put-from-pool", Effect::SubnetPut(Box::new(golden_pooled()))),
        ("subnet-put-service", Effect::SubnetPut(Box::new(subnets::golden_service()))),
        ("segment-put", Effect::SegmentPut(Box::new(golden_segment()))),
        ("host-put", Effect::HostPut(Box::new(golden_host()))),
        ("port-put", Effect::PortPut(Box::new(golden_port()))),
        ("port-put-many-slots", Effect::PortPut(Box::new(many_slots))),
        ("port-put-guest", Effect::PortPut(Box::new(guest))),
        ("network-put-shared", Effect::NetworkPut(Box::new(shared))),
        (
            "subnet-put-level",
            Effect::SubnetPut(Box::new(SubnetRow { level: 95, ..golden_subnet() })),
        ),
        ("pool-put-level", Effect::PoolPut(Box::new(PoolRow { level: 80, ..golden_pool() }))),
        ("level-put", Effect::LevelPut(levels::golden())),
        ("level-put-pool", Effect::LevelPut(LevelRow { subnet: None, ..levels::golden() })),
        ("pin-put", Effect::PinPut(Box::new(golden_pin()))),
        (
            "port-gone",
            Effect::ThingGone {
                network,
                revision,
                created: Revision(2),
                was: ThingWas::Port { id: PortId::from_u128(9), project: None },
            },
        ),
    ]
}

fn golden_ref(handle: u32) -> ObjectRef {
    ObjectRef { handle: NetworkHandle(handle), id: Uuid::from_u128(0x10 + u128::from(handle)) }
}

fn golden_pooled() -> SubnetRow {
    SubnetRow {
        pool: Some(golden_ref(6)),
        quarantine_ms: 30_000,
        pools: Vec::new(),
        dns_servers: Vec::new(),
        routes: Vec::new(),
        ..golden_subnet()
    }
}

fn golden_segment() -> SegmentRow {
    SegmentRow {
        network: NETWORK,
        revision: REVISION,
        created: Revision(2),
        id: SegmentId::from_u128(5),
        description: golden_text("rack"),
    }
}

fn golden_host() -> HostRow {
    HostRow {
        network: NETWORK,
        created: Revision(2),
        segment: SegmentId::from_u128(5),
        host: Text::new("node-7").unwrap(),
    }
}

fn golden_port() -> PortRow {
    PortRow {
        network: NETWORK,
        revision: REVISION,
        created: Revision(2),
        id: PortId::from_u128(6),
        mac: Mac([0xfa, 0x16, 0x3e, 0, 0, 1]),
        ip_allocation: IpAllocation::Immediate,
        slots: 3,
        project: None,
        host: golden_text("node-7"),
        device_owner: golden_text("compute:nova"),
        description: golden_text("d"),
    }
}

fn golden_scope() -> ScopeRow {
    ScopeRow {
        handle: NETWORK,
        revision: REVISION,
        project: ProjectId::from_u128(1),
        id: AddressScopeId::from_u128(2),
        family: Family::V6,
        shared: true,
        name: golden_text("s"),
        description: None,
    }
}

fn golden_pool() -> PoolRow {
    PoolRow {
        handle: NETWORK,
        revision: REVISION,
        project: ProjectId::from_u128(1),
        id: PoolId::from_u128(2),
        family: Family::V4,
        prefixes: vec!["10.0.0.0/8".parse().unwrap(), "192.168.0.0/16".parse().unwrap()],
        min_length: 16,
        max_length: 28,
        default_length: 24,
        quota: Some(7),
        scope: Some(golden_ref(4)),
        parent: Some(golden_ref(5)),
        is_default: true,
        shared: false,
        name: None,
        description: golden_text("d"),
        level: 0,
    }
}

fn golden_pin() -> PinRow {
    PinRow {
        network: NETWORK,
        created: Revision(2),
        subnet: SUBNET,
        offset: 9,
        owner: OwnerId::from_u128(7),
        slot: Slot(1),
        owner_name: golden_text("web-1"),
    }
}

fn golden_network() -> NetworkRow {
    NetworkRow {
        network: NETWORK,
        revision: REVISION,
        project: ProjectId::from_u128(1),
        id: NetworkId::from_u128(2),
        deleting: true,
        shared: false,
        name: golden_text("blue"),
        description: None,
        scope_v4: None,
        scope_v6: None,
    }
}

fn golden_subnet() -> SubnetRow {
    let next_hop = golden_address("fd00::1");
    SubnetRow {
        network: NETWORK,
        subnet: SUBNET,
        revision: REVISION,
        id: SubnetId::from_u128(2),
        prefix: "10.0.0.0/24".parse().unwrap(),
        kind: SubnetKind::Broadcast,
        strategy: Choice::Next,
        enable_dhcp: true,
        deleting: false,
        gateway: Some(golden_address("10.0.0.1")),
        pools: vec![golden_range()],
        dns_servers: vec![golden_address("192.0.2.1")],
        routes: vec![Route { destination: "fd00::/8".parse().unwrap(), next_hop }],
        name: None,
        description: golden_text("d"),
        pool: None,
        quarantine_ms: 0,
        service: Service::default(),
        level: 0,
    }
}

fn golden_job() -> JobRow {
    JobRow {
        network: NETWORK,
        revision: REVISION,
        job: JobId(9),
        project: ProjectId::from_u128(1),
        network_id: NetworkId::from_u128(2),
        kind: JobKind::SubnetDelete,
        subnet_id: SubnetId::from_u128(3),
        finished: true,
        done: 4,
        total: 5,
        cursor: Revision(6),
        until: Revision(7),
    }
}
