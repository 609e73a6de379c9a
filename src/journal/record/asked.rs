//! Records of who asked: of no network and without a revision, all of one size.

use super::{Head, RecordError, RecordKind, finish};
use crate::journal::reader::Reader;
use crate::limits::ASKED_RECORD_BYTES;
use crate::model::{Asked, Asker, Effect, NetworkHandle, PrincipalId, Revision};
use addrd_protocol::Opcode;

const OPERATOR: u8 = 1;
const PRINCIPAL: u8 = 1 << 1;

pub(super) fn encode(asked: &Asked, out: &mut Vec<u8>) {
    let mut head = Head::bare(RecordKind::Asked, NetworkHandle(0), Revision(0));
    let (flags, id) = match asked.by {
        Asker::Nobody => (0, PrincipalId::NIL),
        Asker::Operator => (OPERATOR, PrincipalId::NIL),
        Asker::Principal(id) => (PRINCIPAL, id),
    };
    head.flags = flags;
    let start = head.write(out);
    out.extend_from_slice(id.as_bytes());
    out.extend_from_slice(&asked.opcode.map_or(0, |opcode| opcode.0).to_be_bytes());
    debug_assert_eq!(out.get(start..).map(<[u8]>::len), Some(ASKED_RECORD_BYTES));
    finish(out, start);
}

pub(super) fn decode(head: &Head, body: &mut Reader<'_>) -> Result<Effect, RecordError> {
    head.only(OPERATOR | PRINCIPAL, 0)?;
    if (head.network, head.revision) != (NetworkHandle(0), Revision(0)) {
        return Err(RecordError::Field("network"));
    }
    let id = PrincipalId::from_bytes(body.array()?);
    let by = match (head.flags, id.is_nil()) {
        (0, true) => Asker::Nobody,
        (OPERATOR, true) => Asker::Operator,
        (PRINCIPAL, false) => Asker::Principal(id),
        _ => return Err(RecordError::Field("asker")),
    };
    let opcode = match body.u16()? {
        0 => None,
        // One that this server doesn't know was written by a newer one, and is told as a number.
        number => Some(Opcode(number)),
    };
    if by == Asker::Nobody && opcode.is_some() {
        return Err(RecordError::Field("asker"));
    }
    Ok(Effect::Asked(Asked { by, opcode }))
}
