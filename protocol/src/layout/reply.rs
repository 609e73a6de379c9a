//! Which reply body belongs to which operation.

use super::{Layout, Read};
use crate::error::{DecodeError, Fault};
use crate::message::Reply;
use crate::opcode::Opcode;
use crate::wire::{Reader, Writer};

/// Reads the body of a reply with status `OK` up to its end.
#[inline]
pub(crate) fn read_reply(opcode: Opcode, reader: &mut Reader<'_>) -> Read<Reply> {
    match opcode {
        Opcode::ALLOCATE => Layout::read(reader).map(Reply::Allocated),
        Opcode::RELEASE => Layout::read(reader).map(Reply::Released),
        Opcode::HELLO => Layout::read(reader).map(Reply::Hello),
        Opcode::PING => reader.no_tags().map(|()| Reply::Empty),
        Opcode::SERVER_STATUS => Layout::read(reader).map(Reply::ServerStatus),
        Opcode::CLOCK_ACCEPT => Layout::read(reader).map(Reply::ClockAccepted),
        Opcode::SERVER_ADOPT => Layout::read(reader).map(Reply::Adoption),
        Opcode::BACKUP_READ => Layout::read(reader).map(Reply::BackupBlock),
        Opcode::WATCH => Layout::read(reader).map(Reply::Watching),
        Opcode::EVENTS => Layout::read(reader).map(Reply::Events),
        Opcode::WATCH_END => Layout::read(reader).map(Reply::WatchEnd),
        Opcode::UNWATCH => reader.no_tags().map(|()| Reply::Empty),
        Opcode::HISTORY => Layout::read(reader).map(Reply::History),
        Opcode::JOB_GET => Layout::read(reader).map(Reply::Job),
        Opcode::JOB_LIST => Layout::read(reader).map(Reply::Jobs),
        Opcode::NETWORK_CREATE
        | Opcode::NETWORK_GET
        | Opcode::NETWORK_UPDATE
        | Opcode::NETWORK_FIND => Layout::read(reader).map(Reply::Network),
        Opcode::NETWORK_LIST => Layout::read(reader).map(Reply::Networks),
        Opcode::NETWORK_DELETE | Opcode::SUBNET_DELETE => read_deleted(reader),
        Opcode::SUBNET_CREATE
        | Opcode::SUBNET_GET
        | Opcode::SUBNET_UPDATE
        | Opcode::SUBNET_EXCLUDE
        | Opcode::SUBNET_INCLUDE => Layout::read(reader).map(Reply::Subnet),
        Opcode::SUBNET_LIST => Layout::read(reader).map(Reply::Subnets),
        Opcode::USAGE => Layout::read(reader).map(Reply::Usage),
        Opcode::FREE_RANGES => Layout::read(reader).map(Reply::FreeRanges),
        Opcode::SUBNET_ONBOARD => Layout::read(reader).map(Reply::Pool),
        Opcode::ALLOCATION_UPDATE | Opcode::ALLOCATION_GET | Opcode::TRANSFER => {
            Layout::read(reader).map(Reply::Allocation)
        }
        Opcode::BATCH | Opcode::TRANSACTION => Layout::read(reader).map(Reply::Batch),
        Opcode::ALLOCATION_LIST => Layout::read(reader).map(Reply::Allocations),
        Opcode::LOOKUP => Layout::read(reader).map(Reply::Lookups),
        Opcode::RENEW => Layout::read(reader).map(Reply::Renewed),
        Opcode::RENEW_OWNER => Layout::read(reader).map(Reply::RenewedOwner),
        Opcode::HOLD_CONFIRM | Opcode::HOLD_CANCEL | Opcode::HOLD_RELEASE => {
            Layout::read(reader).map(Reply::HoldEnded)
        }
        Opcode::RECONCILE => Layout::read(reader).map(Reply::Reconciled),
        Opcode::SUSPECT_LIST => Layout::read(reader).map(Reply::Suspects),
        Opcode::MANAGER_LIST => Layout::read(reader).map(Reply::Managers),
        Opcode::RENEW_HOST => Layout::read(reader).map(Reply::RenewedHost),
        Opcode::END_HOST => Layout::read(reader).map(Reply::EndedHost),
        Opcode::HOST_LEASE_LIST => Layout::read(reader).map(Reply::HostLeases),
        Opcode(0x0400..=0x04ff) => read_catalogue(opcode, reader),
        Opcode(0x0500..=0x05ff) => read_port_room(opcode, reader),
        Opcode(value) => Err(DecodeError::new(Fault::Unknown { value: value.into() }, "opcode")),
    }
}

/// Replies about projects, address scopes and subnet pools.
fn read_catalogue(opcode: Opcode, reader: &mut Reader<'_>) -> Read<Reply> {
    match opcode {
        Opcode::PROJECT_CREATE | Opcode::PROJECT_GET | Opcode::PROJECT_UPDATE => {
            Layout::read(reader).map(Reply::Project)
        }
        Opcode::PROJECT_LIST => Layout::read(reader).map(Reply::Projects),
        Opcode::SCOPE_CREATE | Opcode::SCOPE_GET | Opcode::SCOPE_UPDATE => {
            Layout::read(reader).map(Reply::Scope)
        }
        Opcode::SCOPE_LIST => Layout::read(reader).map(Reply::Scopes),
        Opcode::POOL_CREATE | Opcode::POOL_GET | Opcode::POOL_UPDATE => {
            Layout::read(reader).map(Reply::Pool)
        }
        Opcode::POOL_LIST => Layout::read(reader).map(Reply::Pools),
        Opcode::POOL_PREVIEW => Layout::read(reader).map(Reply::Previewed),
        Opcode::PRINCIPAL_CREATE
        | Opcode::PRINCIPAL_GET
        | Opcode::PRINCIPAL_UPDATE
        | Opcode::TOKEN_CREATE
        | Opcode::TOKEN_REVOKE => Layout::read(reader).map(Reply::Principal),
        Opcode::PRINCIPAL_LIST => Layout::read(reader).map(Reply::Principals),
        Opcode::PROJECT_DELETE
        | Opcode::SCOPE_DELETE
        | Opcode::POOL_DELETE
        | Opcode::PRINCIPAL_DELETE => reader.no_tags().map(|()| Reply::Empty),
        Opcode(value) => Err(DecodeError::new(Fault::Unknown { value: value.into() }, "opcode")),
    }
}

/// Replies to operations on segments, ports and pins.
fn read_port_room(opcode: Opcode, reader: &mut Reader<'_>) -> Read<Reply> {
    match opcode {
        Opcode::SEGMENT_CREATE
        | Opcode::SEGMENT_GET
        | Opcode::SEGMENT_UPDATE
        | Opcode::SEGMENT_HOSTS => Layout::read(reader).map(Reply::Segment),
        Opcode::SEGMENT_LIST => Layout::read(reader).map(Reply::Segments),
        Opcode::HOST_LIST => Layout::read(reader).map(Reply::Hosts),
        Opcode::PORT_CREATE | Opcode::PORT_GET | Opcode::PORT_UPDATE => {
            Layout::read(reader).map(Reply::Port)
        }
        Opcode::PORT_LIST => Layout::read(reader).map(Reply::Ports),
        Opcode::PIN_CREATE => Layout::read(reader).map(Reply::Pin),
        Opcode::PIN_LIST => Layout::read(reader).map(Reply::Pins),
        Opcode::SEGMENT_DELETE | Opcode::PORT_DELETE | Opcode::PIN_DELETE => {
            reader.no_tags().map(|()| Reply::Empty)
        }
        Opcode(value) => Err(DecodeError::new(Fault::Unknown { value: value.into() }, "opcode")),
    }
}

/// A deletion is done (0), or it became a job (1) that follows as an item.
fn read_deleted(reader: &mut Reader<'_>) -> Read<Reply> {
    let became_job = reader.bool("became_job")?;
    reader.zero::<7>("reserved")?;
    let jobs = reader.items(usize::from(became_job), super::job::JOB_BYTES, Layout::read)?;
    reader.no_tags()?;
    Ok(jobs.into_iter().next().map_or(Reply::Empty, Reply::Job))
}

/// Whether a reply is one that the operation has.
#[inline]
pub(crate) fn belongs(opcode: Opcode, reply: &Reply) -> bool {
    match reply {
        Reply::Allocated(_) => opcode == Opcode::ALLOCATE,
        Reply::Released(_) => opcode == Opcode::RELEASE,
        Reply::Hello(_) => opcode == Opcode::HELLO,
        Reply::Empty => may_be_empty(opcode),
        Reply::ServerStatus(_) => opcode == Opcode::SERVER_STATUS,
        Reply::ClockAccepted(_) => opcode == Opcode::CLOCK_ACCEPT,
        Reply::Adoption(_) => opcode == Opcode::SERVER_ADOPT,
        Reply::BackupBlock(_) => opcode == Opcode::BACKUP_READ,
        Reply::Watching(_) => opcode == Opcode::WATCH,
        Reply::Events(_) => opcode == Opcode::EVENTS,
        Reply::WatchEnd(_) => opcode == Opcode::WATCH_END,
        Reply::History(_) => opcode == Opcode::HISTORY,
        Reply::Job(_) => {
            matches!(opcode, Opcode::JOB_GET | Opcode::NETWORK_DELETE | Opcode::SUBNET_DELETE)
        }
        Reply::Jobs(_) => opcode == Opcode::JOB_LIST,
        Reply::Network(_) => matches!(
            opcode,
            Opcode::NETWORK_CREATE
                | Opcode::NETWORK_GET
                | Opcode::NETWORK_UPDATE
                | Opcode::NETWORK_FIND
        ),
        Reply::Networks(_) => opcode == Opcode::NETWORK_LIST,
        Reply::Subnet(_) => matches!(
            opcode,
            Opcode::SUBNET_CREATE
                | Opcode::SUBNET_GET
                | Opcode::SUBNET_UPDATE
                | Opcode::SUBNET_EXCLUDE
                | Opcode::SUBNET_INCLUDE
        ),
        Reply::Subnets(_) => opcode == Opcode::SUBNET_LIST,
        Reply::Usage(_) => opcode == Opcode::USAGE,
        Reply::FreeRanges(_) => opcode == Opcode::FREE_RANGES,
        Reply::Allocation(_) => {
            matches!(opcode, Opcode::ALLOCATION_UPDATE | Opcode::ALLOCATION_GET | Opcode::TRANSFER)
        }
        Reply::Batch(_) => opcode.has_items(),
        Reply::Allocations(_) => opcode == Opcode::ALLOCATION_LIST,
        Reply::Lookups(_) => opcode == Opcode::LOOKUP,
        Reply::Renewed(_) => opcode == Opcode::RENEW,
        Reply::RenewedOwner(_) => opcode == Opcode::RENEW_OWNER,
        Reply::HoldEnded(_) => {
            matches!(opcode, Opcode::HOLD_CONFIRM | Opcode::HOLD_CANCEL | Opcode::HOLD_RELEASE)
        }
        Reply::Project(_) => {
            matches!(opcode, Opcode::PROJECT_CREATE | Opcode::PROJECT_GET | Opcode::PROJECT_UPDATE)
        }
        Reply::Projects(_) => opcode == Opcode::PROJECT_LIST,
        Reply::Scope(_) => {
            matches!(opcode, Opcode::SCOPE_CREATE | Opcode::SCOPE_GET | Opcode::SCOPE_UPDATE)
        }
        Reply::Scopes(_) => opcode == Opcode::SCOPE_LIST,
        Reply::Pool(_) => {
            matches!(
                opcode,
                Opcode::POOL_CREATE
                    | Opcode::POOL_GET
                    | Opcode::POOL_UPDATE
                    | Opcode::SUBNET_ONBOARD
            )
        }
        Reply::Pools(_) => opcode == Opcode::POOL_LIST,
        Reply::Previewed(_) => opcode == Opcode::POOL_PREVIEW,
        _ => belongs_to_ports_or_managers(opcode, reply),
    }
}

/// The same for segments, ports and pins, and for managers.
fn belongs_to_ports_or_managers(opcode: Opcode, reply: &Reply) -> bool {
    match reply {
        Reply::Principal(_) => matches!(
            opcode,
            Opcode::PRINCIPAL_CREATE
                | Opcode::PRINCIPAL_GET
                | Opcode::PRINCIPAL_UPDATE
                | Opcode::TOKEN_CREATE
                | Opcode::TOKEN_REVOKE
        ),
        Reply::Principals(_) => opcode == Opcode::PRINCIPAL_LIST,
        Reply::Reconciled(_) => opcode == Opcode::RECONCILE,
        Reply::Suspects(_) => opcode == Opcode::SUSPECT_LIST,
        Reply::Managers(_) => opcode == Opcode::MANAGER_LIST,
        Reply::RenewedHost(_) => opcode == Opcode::RENEW_HOST,
        Reply::EndedHost(_) => opcode == Opcode::END_HOST,
        Reply::HostLeases(_) => opcode == Opcode::HOST_LEASE_LIST,
        Reply::Segment(_) => matches!(
            opcode,
            Opcode::SEGMENT_CREATE
                | Opcode::SEGMENT_GET
                | Opcode::SEGMENT_UPDATE
                | Opcode::SEGMENT_HOSTS
        ),
        Reply::Segments(_) => opcode == Opcode::SEGMENT_LIST,
        Reply::Hosts(_) => opcode == Opcode::HOST_LIST,
        Reply::Port(_) => {
            matches!(opcode, Opcode::PORT_CREATE | Opcode::PORT_GET | Opcode::PORT_UPDATE)
        }
        Reply::Ports(_) => opcode == Opcode::PORT_LIST,
        Reply::Pin(_) => opcode == Opcode::PIN_CREATE,
        Reply::Pins(_) => opcode == Opcode::PIN_LIST,
        _ => false,
    }
}

/// Whether an operation can be done without more to say.
const fn may_be_empty(opcode: Opcode) -> bool {
    matches!(
        opcode,
        Opcode::PING
            | Opcode::UNWATCH
            | Opcode::NETWORK_DELETE
            | Opcode::SUBNET_DELETE
            | Opcode::PROJECT_DELETE
            | Opcode::PRINCIPAL_DELETE
            | Opcode::SCOPE_DELETE
            | Opcode::POOL_DELETE
            | Opcode::SEGMENT_DELETE
            | Opcode::PORT_DELETE
            | Opcode::PIN_DELETE
    )
}

/// Appends the body of a reply with status `OK`.
#[inline]
pub(crate) fn write_reply(opcode: Opcode, reply: &Reply, writer: &mut Writer<'_>) {
    let is_deletion = matches!(opcode, Opcode::NETWORK_DELETE | Opcode::SUBNET_DELETE);
    match reply {
        Reply::Allocated(body) => body.write(writer),
        Reply::Released(body) => body.write(writer),
        Reply::Job(body) if is_deletion => {
            writer.slice(&[1, 0, 0, 0, 0, 0, 0, 0]);
            writer.item(|w| body.write(w));
        }
        Reply::Empty if is_deletion => writer.slice(&[0; 8]),
        Reply::Empty => {}
        Reply::Hello(body) => body.write(writer),
        Reply::ServerStatus(body) => body.write(writer),
        Reply::ClockAccepted(body) => body.write(writer),
        Reply::Adoption(body) => body.write(writer),
        Reply::BackupBlock(body) => body.write(writer),
        Reply::Watching(body) => body.write(writer),
        Reply::Events(body) => body.write(writer),
        Reply::WatchEnd(body) => body.write(writer),
        Reply::History(body) => body.write(writer),
        Reply::Job(body) => body.write(writer),
        Reply::Jobs(body) => body.write(writer),
        Reply::Network(body) => body.write(writer),
        Reply::Networks(body) => body.write(writer),
        Reply::Subnet(body) => body.write(writer),
        Reply::Subnets(body) => body.write(writer),
        Reply::Usage(body) => body.write(writer),
        Reply::FreeRanges(body) => body.write(writer),
        Reply::Allocation(body) => body.write(writer),
        Reply::Batch(body) => body.write(writer),
        Reply::Allocations(body) => body.write(writer),
        Reply::Lookups(body) => body.write(writer),
        Reply::Renewed(body) => body.write(writer),
        Reply::RenewedOwner(body) => body.write(writer),
        Reply::HoldEnded(body) => body.write(writer),
        Reply::Reconciled(body) => body.write(writer),
        Reply::Suspects(body) => body.write(writer),
        Reply::Managers(body) => body.write(writer),
        Reply::RenewedHost(body) => body.write(writer),
        Reply::EndedHost(body) => body.write(writer),
        Reply::HostLeases(body) => body.write(writer),
        Reply::Project(body) => body.write(writer),
        Reply::Projects(body) => body.write(writer),
        Reply::Principal(body) => body.write(writer),
        Reply::Principals(body) => body.write(writer),
        Reply::Scope(body) => body.write(writer),
        Reply::Scopes(body) => body.write(writer),
        Reply::Pool(body) => body.write(writer),
        Reply::Pools(body) => body.write(writer),
        Reply::Previewed(body) => body.write(writer),
        Reply::Segment(body) => body.write(writer),
        Reply::Segments(body) => body.write(writer),
        Reply::Hosts(body) => body.write(writer),
        Reply::Port(body) => body.write(writer),
        Reply::Ports(body) => body.write(writer),
        Reply::Pin(body) => body.write(writer),
        Reply::Pins(body) => body.write(writer),
    }
}
