//! Records of networks, subnets, exclusions and jobs: rare, with lists and texts.

use super::catalogue::{self, decode_ref, encode_ref};
use super::field::{
    decode_address, decode_prefix, decode_range, decode_text, encode_address, encode_prefix,
    encode_range, encode_text, exclusion_mode, ipv6_mode, job_kind, strategy, subnet_kind,
};
use super::level::{self, decode_stored, encode_stored};
use super::{Head, RecordError, RecordKind, finish};
use crate::journal::reader::Reader;
use crate::model::{
    Effect, ExclusionRow, JobId, JobRow, NetworkHandle, NetworkId, NetworkRow, ProjectId, Revision,
    SegmentId, SubnetHandle, SubnetId, SubnetRow, Text, Tick,
};
use addrd_protocol::message::subnet::{DNS_SERVERS_MAX, POOLS_MAX, ROUTES_MAX, SERVICE_TYPES_MAX};
use addrd_protocol::message::{Exclusion, Route, Service};

const DELETING: u8 = 1;
const SHARED: u8 = 1 << 1;
const ENABLE_DHCP: u8 = 1 << 1;
const FINISHED: u8 = 1;

const NAME: u16 = 1;
const DESCRIPTION: u16 = 1 << 1;
const GATEWAY: u16 = 1 << 2;
const POOLS: u16 = 1 << 3;
const DNS_SERVERS: u16 = 1 << 4;
const ROUTES: u16 = 1 << 5;
// Of networks.
const SCOPE_V4: u16 = 1 << 8;
const SCOPE_V6: u16 = 1 << 9;
// Of subnets.
const RA_MODE: u16 = 1 << 6;
const ADDRESS_MODE: u16 = 1 << 7;
const SERVICE_TYPES: u16 = 1 << 8;
const SEGMENT: u16 = 1 << 9;
const FROM_POOL: u16 = 1 << 10;
const QUARANTINE: u16 = 1 << 11;
const LEVEL: u16 = 1 << 12;
const REASON: u16 = 1;

pub(super) fn encode(effect: &Effect, out: &mut Vec<u8>) {
    match effect {
        Effect::NetworkPut(row) => network_put(row, out),
        Effect::NetworkGone { network, revision } => {
            let head = Head::bare(RecordKind::NetworkGone, *network, *revision);
            let start = head.write(out);
            finish(out, start);
        }
        Effect::SubnetPut(row) => subnet_put(row, out),
        Effect::SubnetGone { network, subnet, revision } => {
            let head = Head::bare(RecordKind::SubnetGone, *network, *revision);
            let start = head.write(out);
            out.extend_from_slice(&subnet.0.to_be_bytes());
            finish(out, start);
        }
        Effect::ExclusionPut(row) => exclusion_put(row, out),
        Effect::ExclusionGone { network, subnet, revision, first } => {
            let head = Head::bare(RecordKind::ExclusionGone, *network, *revision);
            let start = head.write(out);
            out.extend_from_slice(&subnet.0.to_be_bytes());
            out.extend_from_slice(&first.to_be_bytes());
            finish(out, start);
        }
        Effect::JobPut(row) => job_put(row, out),
        Effect::JobGone { network, revision, job } => {
            let head = Head::bare(RecordKind::JobGone, *network, *revision);
            let start = head.write(out);
            out.extend_from_slice(&job.0.to_be_bytes());
            finish(out, start);
        }
        Effect::ProjectPut(row) => catalogue::encode_project(row, out),
        Effect::ScopePut(row) => catalogue::encode_scope(row, out),
        Effect::PoolPut(row) => catalogue::encode_pool(row, out),
        Effect::ObjectGone { object, revision } => {
            let head = Head::bare(RecordKind::ObjectGone, *object, *revision);
            let start = head.write(out);
            finish(out, start);
        }
        Effect::Adoption { since } => {
            let head = Head::bare(RecordKind::Adoption, NetworkHandle(0), Revision(0));
            let start = head.write(out);
            out.extend_from_slice(&since.0.to_be_bytes());
            finish(out, start);
        }
        Effect::LevelPut(row) => level::encode_level(row, out),
        other => super::encode(other, out),
    }
}

pub(super) fn decode(head: &Head, body: &mut Reader<'_>) -> Result<Effect, RecordError> {
    let Head { network, revision, .. } = *head;
    match head.kind {
        RecordKind::NetworkPut => return decode_network(head, body),
        RecordKind::SubnetPut => return decode_subnet(head, body),
        RecordKind::ExclusionPut => return decode_exclusion(head, body),
        RecordKind::JobPut => return decode_job(head, body),
        RecordKind::ProjectPut => return catalogue::decode_project(head, body),
        RecordKind::ScopePut => return catalogue::decode_scope(head, body),
        RecordKind::PoolPut => return catalogue::decode_pool(head, body),
        RecordKind::LevelPut => return level::decode_level(head, body),
        _ => head.only(0, 0)?,
    }
    Ok(match head.kind {
        RecordKind::SubnetGone => {
            Effect::SubnetGone { network, subnet: SubnetHandle(body.u32()?), revision }
        }
        RecordKind::ExclusionGone => {
            let subnet = SubnetHandle(body.u32()?);
            Effect::ExclusionGone { network, subnet, revision, first: body.u128()? }
        }
        RecordKind::JobGone => Effect::JobGone { network, revision, job: JobId(body.u64()?) },
        RecordKind::ObjectGone => Effect::ObjectGone { object: network, revision },
        RecordKind::NetworkGone => Effect::NetworkGone { network, revision },
        RecordKind::Adoption if (network, revision) != (NetworkHandle(0), Revision(0)) => {
            return Err(RecordError::Field("network"));
        }
        RecordKind::Adoption => Effect::Adoption { since: Tick(body.u64()?) },
        _ => return Err(RecordError::UnknownKind(head.kind as u8)),
    })
}

impl Head {
    pub(super) const fn bare(kind: RecordKind, network: NetworkHandle, revision: Revision) -> Self {
        Self { kind, flags: 0, presence: 0, network, revision }
    }
}

pub(super) const fn flag(present: bool, bit: u8) -> u8 {
    if present { bit } else { 0 }
}

pub(super) const fn presence(present: bool, bit: u16) -> u16 {
    if present { bit } else { 0 }
}

fn texts(name: Option<&Text>, description: Option<&Text>, out: &mut Vec<u8>) {
    for text in [name, description].into_iter().flatten() {
        encode_text(text, out);
    }
}

fn decode_texts(
    head: &Head,
    body: &mut Reader<'_>,
) -> Result<(Option<Text>, Option<Text>), RecordError> {
    let name = head.has(NAME).then(|| decode_text(body, "name")).transpose()?;
    let description =
        head.has(DESCRIPTION).then(|| decode_text(body, "description")).transpose()?;
    Ok((name, description))
}

fn network_put(row: &NetworkRow, out: &mut Vec<u8>) {
    let mut head = Head::bare(RecordKind::NetworkPut, row.network, row.revision);
    head.flags = flag(row.deleting, DELETING) | flag(row.shared, SHARED);
    head.presence =
        presence(row.name.is_some(), NAME) | presence(row.description.is_some(), DESCRIPTION);
    head.presence |=
        presence(row.scope_v4.is_some(), SCOPE_V4) | presence(row.scope_v6.is_some(), SCOPE_V6);
    let start = head.write(out);
    out.extend_from_slice(row.project.as_bytes());
    out.extend_from_slice(row.id.as_bytes());
    texts(row.name.as_ref(), row.description.as_ref(), out);
    for scope in [&row.scope_v4, &row.scope_v6].into_iter().flatten() {
        encode_ref(scope, out);
    }
    finish(out, start);
}

fn decode_network(head: &Head, body: &mut Reader<'_>) -> Result<Effect, RecordError> {
    head.only(DELETING | SHARED, NAME | DESCRIPTION | SCOPE_V4 | SCOPE_V6)?;
    let project = ProjectId::from_bytes(body.array()?);
    let id = NetworkId::from_bytes(body.array()?);
    let (name, description) = decode_texts(head, body)?;
    let scope_v4 = if head.has(SCOPE_V4) { Some(decode_ref(body)?) } else { None };
    let scope_v6 = if head.has(SCOPE_V6) { Some(decode_ref(body)?) } else { None };
    Ok(Effect::NetworkPut(Box::new(NetworkRow {
        network: head.network,
        revision: head.revision,
        project,
        id,
        deleting: head.flags & DELETING != 0,
        shared: head.flags & SHARED != 0,
        name,
        description,
        scope_v4,
        scope_v6,
    })))
}

fn subnet_put(row: &SubnetRow, out: &mut Vec<u8>) {
    let mut head = Head::bare(RecordKind::SubnetPut, row.network, row.revision);
    head.flags = flag(row.deleting, DELETING) | flag(row.enable_dhcp, ENABLE_DHCP);
    head.presence = presence(row.name.is_some(), NAME)
        | presence(row.description.is_some(), DESCRIPTION)
        | presence(row.gateway.is_some(), GATEWAY)
        | presence(!row.pools.is_empty(), POOLS)
        | presence(!row.dns_servers.is_empty(), DNS_SERVERS)
        | presence(!row.routes.is_empty(), ROUTES)
        | presence(row.pool.is_some(), FROM_POOL)
        | presence(row.quarantine_ms != 0, QUARANTINE)
        | presence(row.level != 0, LEVEL)
        | presence(row.service.ipv6_ra_mode.is_some(), RA_MODE)
        | presence(row.service.ipv6_address_mode.is_some(), ADDRESS_MODE)
        | presence(!row.service.service_types.is_empty(), SERVICE_TYPES)
        | presence(row.service.segment_id.is_some(), SEGMENT);
    let start = head.write(out);
    out.extend_from_slice(&row.subnet.0.to_be_bytes());
    out.extend_from_slice(row.id.as_bytes());
    encode_prefix(&row.prefix, out);
    out.extend_from_slice(&[row.kind as u8, row.strategy as u8]);
    texts(row.name.as_ref(), row.description.as_ref(), out);
    if let Some(gateway) = &row.gateway {
        encode_address(gateway, out);
    }
    list(&row.pools, POOLS_MAX, out, encode_range);
    list(&row.dns_servers, DNS_SERVERS_MAX, out, encode_address);
    list(&row.routes, ROUTES_MAX, out, |route, out| {
        encode_prefix(&route.destination, out);
        encode_address(&route.next_hop, out);
    });
    let service = &row.service;
    let modes = [service.ipv6_ra_mode, service.ipv6_address_mode];
    out.extend(modes.into_iter().flatten().map(|mode| mode as u8));
    list(&service.service_types, SERVICE_TYPES_MAX, out, encode_text);
    if let Some(segment) = &service.segment_id {
        out.extend_from_slice(segment.as_bytes());
    }
    if let Some(pool) = &row.pool {
        encode_ref(pool, out);
    }
    if row.quarantine_ms != 0 {
        out.extend_from_slice(&row.quarantine_ms.to_be_bytes());
    }
    encode_stored(row.level, out);
    finish(out, start);
}

/// u8 count, then the items; nothing at all if there are none.
pub(super) fn list<T>(items: &[T], max: usize, out: &mut Vec<u8>, each: impl Fn(&T, &mut Vec<u8>)) {
    if items.is_empty() {
        return;
    }
    assert!(items.len() <= max, "a list of {} items, at most {max}", items.len());
    out.push(u8::try_from(items.len()).unwrap_or(u8::MAX));
    for item in items {
        each(item, out);
    }
}

pub(super) fn decode_list<T>(
    body: &mut Reader<'_>,
    max: usize,
    field: &'static str,
    each: impl Fn(&mut Reader<'_>) -> Result<T, RecordError>,
) -> Result<Vec<T>, RecordError> {
    let count = usize::from(body.u8()?);
    if count == 0 || count > max {
        return Err(RecordError::Field(field));
    }
    (0..count).map(|_| each(body)).collect()
}

fn decode_subnet(head: &Head, body: &mut Reader<'_>) -> Result<Effect, RecordError> {
    let lists = GATEWAY | POOLS | DNS_SERVERS | ROUTES;
    let service = RA_MODE | ADDRESS_MODE | SERVICE_TYPES | SEGMENT | FROM_POOL | QUARANTINE | LEVEL;
    head.only(DELETING | ENABLE_DHCP, NAME | DESCRIPTION | lists | service)?;
    let subnet = SubnetHandle(body.u32()?);
    let id = SubnetId::from_bytes(body.array()?);
    let prefix = decode_prefix(body)?;
    let kind = subnet_kind(body.u8()?)?;
    let strategy = strategy(body.u8()?)?;
    let (name, description) = decode_texts(head, body)?;
    let mut row = SubnetRow {
        network: head.network,
        subnet,
        revision: head.revision,
        id,
        prefix,
        kind,
        strategy,
        enable_dhcp: head.flags & ENABLE_DHCP != 0,
        deleting: head.flags & DELETING != 0,
        gateway: None,
        pools: Vec::new(),
        dns_servers: Vec::new(),
        routes: Vec::new(),
        name,
        description,
        pool: None,
        quarantine_ms: 0,
        service: Service::default(),
        level: 0,
    };
    decode_subnet_lists(head, body, &mut row)?;
    row.service = decode_service(head, body)?;
    if head.has(FROM_POOL) {
        row.pool = Some(decode_ref(body)?);
    }
    if head.has(QUARANTINE) {
        row.quarantine_ms = body.u64()?;
        if row.quarantine_ms == 0 {
            return Err(RecordError::Field("quarantine"));
        }
    }
    row.level = decode_stored(head, LEVEL, body)?;
    Ok(Effect::SubnetPut(Box::new(row)))
}

fn decode_subnet_lists(
    head: &Head,
    body: &mut Reader<'_>,
    row: &mut SubnetRow,
) -> Result<(), RecordError> {
    if head.has(GATEWAY) {
        row.gateway = Some(decode_address(body)?);
    }
    if head.has(POOLS) {
        row.pools = decode_list(body, POOLS_MAX, "pools", decode_range)?;
    }
    if head.has(DNS_SERVERS) {
        row.dns_servers = decode_list(body, DNS_SERVERS_MAX, "DNS servers", decode_address)?;
    }
    if head.has(ROUTES) {
        row.routes = decode_list(body, ROUTES_MAX, "routes", |body| {
            Ok(Route { destination: decode_prefix(body)?, next_hop: decode_address(body)? })
        })?;
    }
    Ok(())
}

fn decode_service(head: &Head, body: &mut Reader<'_>) -> Result<Service, RecordError> {
    let mut service = Service::default();
    if head.has(RA_MODE) {
        service.ipv6_ra_mode = Some(ipv6_mode(body.u8()?)?);
    }
    if head.has(ADDRESS_MODE) {
        service.ipv6_address_mode = Some(ipv6_mode(body.u8()?)?);
    }
    if head.has(SERVICE_TYPES) {
        let text = |body: &mut Reader<'_>| decode_text(body, "service types");
        service.service_types = decode_list(body, SERVICE_TYPES_MAX, "service types", text)?;
    }
    if head.has(SEGMENT) {
        service.segment_id = Some(SegmentId::from_bytes(body.array()?));
    }
    Ok(service)
}

fn exclusion_put(row: &ExclusionRow, out: &mut Vec<u8>) {
    let mut head = Head::bare(RecordKind::ExclusionPut, row.network, row.revision);
    head.presence = presence(row.exclusion.reason.is_some(), REASON);
    let start = head.write(out);
    out.extend_from_slice(&row.subnet.0.to_be_bytes());
    out.push(row.exclusion.mode as u8);
    encode_range(&row.exclusion.range, out);
    if let Some(reason) = &row.exclusion.reason {
        encode_text(reason, out);
    }
    finish(out, start);
}

fn decode_exclusion(head: &Head, body: &mut Reader<'_>) -> Result<Effect, RecordError> {
    head.only(0, REASON)?;
    let subnet = SubnetHandle(body.u32()?);
    let mode = exclusion_mode(body.u8()?)?;
    let range = decode_range(body)?;
    let reason = head.has(REASON).then(|| decode_text(body, "reason")).transpose()?;
    Ok(Effect::ExclusionPut(Box::new(ExclusionRow {
        network: head.network,
        subnet,
        revision: head.revision,
        exclusion: Exclusion { range, mode, reason },
    })))
}

fn job_put(row: &JobRow, out: &mut Vec<u8>) {
    let mut head = Head::bare(RecordKind::JobPut, row.network, row.revision);
    head.flags = flag(row.finished, FINISHED);
    let start = head.write(out);
    out.extend_from_slice(&row.job.0.to_be_bytes());
    out.extend_from_slice(row.project.as_bytes());
    out.extend_from_slice(row.network_id.as_bytes());
    out.extend_from_slice(row.subnet_id.as_bytes());
    out.push(row.kind as u8);
    out.extend_from_slice(&row.done.to_be_bytes());
    out.extend_from_slice(&row.total.to_be_bytes());
    out.extend_from_slice(&row.cursor.0.to_be_bytes());
    out.extend_from_slice(&row.until.0.to_be_bytes());
    finish(out, start);
}

fn decode_job(head: &Head, body: &mut Reader<'_>) -> Result<Effect, RecordError> {
    head.only(FINISHED, 0)?;
    Ok(Effect::JobPut(JobRow {
        network: head.network,
        revision: head.revision,
        job: JobId(body.u64()?),
        project: ProjectId::from_bytes(body.array()?),
        network_id: NetworkId::from_bytes(body.array()?),
        subnet_id: SubnetId::from_bytes(body.array()?),
        kind: job_kind(body.u8()?)?,
        finished: head.flags & FINISHED != 0,
        done: body.u64()?,
        total: body.u64()?,
        cursor: Revision(body.u64()?),
        until: Revision(body.u64()?),
    }))
}
