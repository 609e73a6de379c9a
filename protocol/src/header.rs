//! Headers of requests and replies as bytes (SPEC.md section 2). Decides nothing.

use crate::error::{DecodeError, Fault};
use crate::id::{NetworkId, ProjectId};
use crate::message::RequestHeader;
use crate::opcode::{NetworkRule, Opcode};
use crate::status::Status;
use crate::wire::Reader;
use serde::{Deserialize, Serialize};

/// The only version of the protocol so far.
pub const VERSION: u8 = 1;
/// Bytes of a request's header.
pub const REQUEST_HEADER_BYTES: usize = 64;
/// Bytes of a reply's header.
pub const REPLY_HEADER_BYTES: usize = 24;
/// Flag: the body has a tail.
pub const FLAG_TAIL: u8 = 1;
/// Flag of a request: the network field carries the id of a subnet pool.
pub const FLAG_POOL: u8 = 1 << 1;
/// Flag of a request: the network belongs to another project, whose id stands behind the header.
pub const FLAG_NETWORK_PROJECT: u8 = 1 << 2;
/// Flag of a request: what it makes was there before, by rules that may have changed since.
pub const FLAG_RESTORING: u8 = 1 << 3;

/// Header of a reply, without its length.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplyHeader {
    /// Operation that is answered, or `goaway`, `error`.
    pub opcode: Opcode,
    /// As in the request; 0 = the server's own. In JSON a decimal string.
    #[serde(with = "crate::message::usage::decimal")]
    pub request_id: u64,
    /// Outcome.
    pub status: Status,
    /// Try again after this, ms; 0 = no advice.
    pub retry_after_ms: u32,
}

/// The protocol version for a client that speaks `min..=max`, if there is one.
#[must_use]
pub const fn negotiate(min: u8, max: u8) -> Option<u8> {
    if min <= VERSION && VERSION <= max { Some(VERSION) } else { None }
}

/// A request's header as 64 bytes, without the project of its network; `length` and the tail's flag
/// are put in by the caller.
#[inline]
pub(crate) fn request_bytes(header: &RequestHeader, opcode: Opcode) -> [u8; REQUEST_HEADER_BYTES] {
    let mut bytes = [0; REQUEST_HEADER_BYTES];
    let mut put = Place(&mut bytes);
    let pool = if header.pool { FLAG_POOL } else { 0 };
    let shared = if header.network_project.is_some() { FLAG_NETWORK_PROJECT } else { 0 };
    let restoring = if header.restoring { FLAG_RESTORING } else { 0 };
    put.next([0, 0, 0, 0, VERSION, pool | shared | restoring]);
    put.next(opcode.0.to_be_bytes());
    put.next(header.request_id.to_be_bytes());
    put.next(header.timeout_ms.to_be_bytes());
    put.next([0; 4]);
    put.next(*header.project.as_bytes());
    put.next(*header.network.as_bytes());
    bytes
}

/// A reply's header as 24 bytes; `length` and `flags` are put in by the caller.
#[inline]
pub(crate) fn reply_bytes(header: &ReplyHeader) -> [u8; REPLY_HEADER_BYTES] {
    let mut bytes = [0; REPLY_HEADER_BYTES];
    let mut put = Place(&mut bytes);
    put.next([0, 0, 0, 0, VERSION, 0]);
    put.next(header.opcode.0.to_be_bytes());
    put.next(header.request_id.to_be_bytes());
    put.next(header.status.0.to_be_bytes());
    put.next([0; 2]);
    put.next(header.retry_after_ms.to_be_bytes());
    bytes
}

/// Fills an array from its front; what does not fit is left out, which the sizes exclude.
struct Place<'a>(&'a mut [u8]);

impl Place<'_> {
    #[inline]
    fn next<const N: usize>(&mut self, value: [u8; N]) {
        if let Some((head, rest)) = std::mem::take(&mut self.0).split_first_chunk_mut() {
            *head = value;
            self.0 = rest;
        }
    }
}

/// Reads length, version and flags, and returns the flags.
#[inline]
fn front(reader: &mut Reader<'_>) -> Result<u8, DecodeError> {
    reader.u32("length")?;
    reader.u8("version")?;
    reader.u8("flags")
}

/// Flags and header of a request; the inner result says what is wrong with them although a reply
/// can be addressed.
#[inline]
pub(crate) fn read_request(
    outer: &mut Reader<'_>,
) -> Result<(u8, RequestHeader, Result<(), DecodeError>), DecodeError> {
    let reader = &mut outer.block::<REQUEST_HEADER_BYTES>("header")?;
    let flags = front(reader)?;
    let opcode = Opcode(reader.u16("opcode")?);
    let request_id = reader.u64("request_id")?;
    let timeout_ms = reader.u32("timeout_ms")?;
    let reserved = reader.u32("reserved")?;
    let project = ProjectId::from_bytes(reader.array("project")?);
    let network = NetworkId::from_bytes(reader.array("network")?);
    let reserved_end = reader.u64("reserved")?;
    let pool = flags & FLAG_POOL != 0;
    let mut header = RequestHeader {
        opcode,
        request_id,
        timeout_ms,
        project: named_project(project),
        network,
        pool,
        network_project: None,
        restoring: flags & FLAG_RESTORING != 0,
    };
    let fault = |fault, field| Err(DecodeError::new(fault, field));
    let verdict = if reserved != 0 || reserved_end != 0 {
        fault(Fault::Reserved, "reserved")
    } else {
        let restoring = if opcode.may_restore() { FLAG_RESTORING } else { 0 };
        let known = FLAG_TAIL | restoring | place_flags(flags, opcode);
        check_flags(flags, known)
            .and_then(|()| check_network(&header))
            .and_then(|()| read_network_project(flags, &mut header, outer))
    };
    Ok((flags, header, verdict))
}

/// All zero stands for the default project.
#[inline]
pub(crate) fn named_project(project: ProjectId) -> ProjectId {
    if project.is_nil() { ProjectId::DEFAULT } else { project }
}

/// Which flags about the network may be set: of those that the operation knows at most one.
#[inline]
const fn place_flags(flags: u8, opcode: Opcode) -> u8 {
    if flags & FLAG_POOL != 0 {
        return if opcode.may_name_pool() { FLAG_POOL } else { 0 };
    }
    if flags & FLAG_NETWORK_PROJECT != 0 && opcode.may_be_shared() {
        FLAG_NETWORK_PROJECT
    } else {
        0
    }
}

/// The project of a shared network, where the flag announces it.
#[inline]
fn read_network_project(
    flags: u8,
    header: &mut RequestHeader,
    outer: &mut Reader<'_>,
) -> Result<(), DecodeError> {
    if flags & FLAG_NETWORK_PROJECT == 0 {
        return Ok(());
    }
    if header.network.is_nil() {
        return Err(DecodeError::new(Fault::Missing, "network"));
    }
    let project = outer.block::<PROJECT_BYTES>("network_project")?.array("network_project")?;
    header.network_project = Some(named_project(ProjectId::from_bytes(project)));
    Ok(())
}

/// Bytes of the project of a shared network behind the header.
const PROJECT_BYTES: usize = 16;

#[inline]
fn check_flags(flags: u8, known: u8) -> Result<(), DecodeError> {
    match flags & !known {
        0 => Ok(()),
        value => Err(DecodeError::new(Fault::Unknown { value: value.into() }, "flags")),
    }
}

#[inline]
fn check_network(header: &RequestHeader) -> Result<(), DecodeError> {
    match (header.opcode.network_rule(), header.network.is_nil()) {
        (NetworkRule::Needed, true) => Err(DecodeError::new(Fault::Missing, "network")),
        (NetworkRule::None, false) => Err(DecodeError::new(Fault::Reserved, "network")),
        _ => Ok(()),
    }
}

/// Flags and header of a reply.
#[inline]
pub(crate) fn read_reply(
    outer: &mut Reader<'_>,
) -> Result<(u8, ReplyHeader, Result<(), DecodeError>), DecodeError> {
    let reader = &mut outer.block::<REPLY_HEADER_BYTES>("header")?;
    let flags = front(reader)?;
    let opcode = Opcode(reader.u16("opcode")?);
    let request_id = reader.u64("request_id")?;
    let status = Status(reader.u16("status")?);
    let reserved = reader.u16("reserved")?;
    let retry_after_ms = reader.u32("retry_after_ms")?;
    let header = ReplyHeader { opcode, request_id, status, retry_after_ms };
    let verdict = match reserved {
        0 => check_flags(flags, FLAG_TAIL),
        _ => Err(DecodeError::new(Fault::Reserved, "reserved")),
    };
    Ok((flags, header, verdict))
}
