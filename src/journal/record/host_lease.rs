//! Records of host leases: of no network and without a revision.

use super::field::{decode_text, encode_text};
use super::object::flag;
use super::{Head, RecordError, RecordKind, finish};
use crate::journal::reader::Reader;
use crate::model::{Effect, HostLeaseRow, HostName, NetworkHandle, ProjectId, Revision};
use addrd_protocol::message::OnEnd;

const RELEASE: u8 = 1;
const OVERDUE: u8 = 1 << 1;

pub(super) fn encode_put(row: &HostLeaseRow, out: &mut Vec<u8>) {
    let mut head = Head::bare(RecordKind::HostLeasePut, NetworkHandle(0), Revision(0));
    head.flags = flag(row.on_end == OnEnd::Release, RELEASE) | flag(row.overdue, OVERDUE);
    let start = head.write(out);
    encode_name(&row.of, out);
    out.extend_from_slice(&row.since.to_be_bytes());
    out.extend_from_slice(&row.life.to_be_bytes());
    out.extend_from_slice(&row.deadline.to_be_bytes());
    finish(out, start);
}

pub(super) fn encode_gone(of: &HostName, life: u64, out: &mut Vec<u8>) {
    let head = Head::bare(RecordKind::HostLeaseGone, NetworkHandle(0), Revision(0));
    let start = head.write(out);
    encode_name(of, out);
    out.extend_from_slice(&life.to_be_bytes());
    finish(out, start);
}

pub(super) fn decode_put(head: &Head, body: &mut Reader<'_>) -> Result<Effect, RecordError> {
    head.only(RELEASE | OVERDUE, 0)?;
    let of = decode_name(head, body)?;
    let (since, life) = (body.u64()?, body.u64()?);
    if since == 0 || since > life {
        return Err(RecordError::Field("life"));
    }
    let release = head.flags & RELEASE != 0;
    let on_end = if release { OnEnd::Release } else { OnEnd::Report };
    let (deadline, overdue) = (body.u64()?, head.flags & OVERDUE != 0);
    Ok(Effect::HostLeasePut(Box::new(HostLeaseRow { of, since, life, deadline, on_end, overdue })))
}

pub(super) fn decode_gone(head: &Head, body: &mut Reader<'_>) -> Result<Effect, RecordError> {
    head.only(0, 0)?;
    let of = Box::new(decode_name(head, body)?);
    Ok(Effect::HostLeaseGone { of, life: body.u64()? })
}

fn encode_name(of: &HostName, out: &mut Vec<u8>) {
    out.extend_from_slice(of.project.as_bytes());
    encode_text(&of.manager, out);
    encode_text(&of.host, out);
}

fn decode_name(head: &Head, body: &mut Reader<'_>) -> Result<HostName, RecordError> {
    if (head.network, head.revision) != (NetworkHandle(0), Revision(0)) {
        return Err(RecordError::Field("network"));
    }
    Ok(HostName {
        project: ProjectId::from_bytes(body.array()?),
        manager: decode_text(body, "manager")?,
        host: decode_text(body, "host")?,
    })
}
