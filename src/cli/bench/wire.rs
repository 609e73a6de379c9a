//! Frames of the operations that make load as templates, and replies by fixed offsets (SPEC.md sections
//! 2 and 9). Everything else goes through the codec, with which the tests here compare.

use addrd_client::plain_allocate;
use addrd_client::protocol::codec::{REPLY_BYTES_MAX, encode_request};
use addrd_client::protocol::message::{
    Fences, PortCreate, PortDelete, PortUpdate, Release, Request, RequestHeader, SubnetCreate,
    SubnetDelete, Target,
};
use addrd_client::protocol::{
    NetworkId, OwnerId, PortId, ProjectId, Revision, Setting, Slot, Status, SubnetId,
};
use bytes::BytesMut;

const REQUEST_ID_AT: usize = 8;
const NETWORK_AT: usize = 40;
/// The owner stands at the same place in allocate and release: after 8 bytes of flags and the like.
const OWNER_AT: usize = 72;
/// The id of a port, or of a subnet that is created, comes first.
const THING_AT: usize = 64;
/// That of a subnet that is deleted, after flags and revision.
const DELETED_SUBNET_AT: usize = 80;
const REPLY_REQUEST_ID_AT: usize = 8;
const REPLY_STATUS_AT: usize = 16;
const REPLY_RETRY_AT: usize = 20;
const REPLY_HEADER_BYTES: usize = 24;

/// A request whose id, network and owner are still to be filled in.
#[derive(Debug)]
pub(super) struct Template {
    frame: Vec<u8>,
    /// Where the owner, or the id of the port or subnet, stands.
    owner_at: usize,
}

/// What a worker needs of a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) request_id: u64,
    pub(super) status: Status,
    pub(super) retry_after_ms: u32,
}

impl Template {
    /// Any single address for an owner, slot 0.
    pub(super) fn allocate(project: ProjectId) -> Self {
        Self::of(project, &Request::Allocate(plain_allocate(OwnerId::from_u128(1))), OWNER_AT)
    }

    /// A port with one address of each family.
    pub(super) fn port_create(project: ProjectId) -> Self {
        let create = PortCreate::of(PortId::from_u128(1));
        Self::of(project, &Request::PortCreate(Box::new(create)), THING_AT)
    }

    /// Deletes a port.
    pub(super) fn port_delete(project: ProjectId) -> Self {
        let (port_id, expected) = (PortId::from_u128(1), Revision(0));
        Self::of(project, &Request::PortDelete(PortDelete { port_id, expected }), THING_AT)
    }

    /// Gives a port one address of each family, or takes all of its addresses away.
    pub(super) fn port_update(project: ProjectId, has_addresses: bool) -> Self {
        let fixed_ips = if has_addresses { Setting::Null } else { Setting::Value(Vec::new()) };
        let update = PortUpdate {
            port_id: PortId::from_u128(1),
            expected: Revision(0),
            allow_gateway: false,
            mac: None,
            fixed_ips,
            host: Setting::Unset,
            device_owner: Setting::Unset,
            description: Setting::Unset,
        };
        Self::of(project, &Request::PortUpdate(Box::new(update)), THING_AT)
    }

    /// A subnet of this length from a subnet pool.
    pub(super) fn subnet_create(project: ProjectId, create: SubnetCreate) -> Self {
        Self::of(project, &Request::SubnetCreate(Box::new(create)), THING_AT)
    }

    /// Deletes a subnet with nothing in it.
    pub(super) fn subnet_delete(project: ProjectId) -> Self {
        let (subnet_id, expected) = (SubnetId::from_u128(1), Revision(0));
        let delete = SubnetDelete { subnet_id, force: false, expected };
        Self::of(project, &Request::SubnetDelete(delete), DELETED_SUBNET_AT)
    }

    /// What an owner holds in slot 0.
    pub(super) fn release(project: ProjectId) -> Self {
        let target = Target::Key { owner: OwnerId::from_u128(1), slot: Slot(0) };
        Self::of(
            project,
            &Request::Release(Release { target, fences: Fences::default(), any: false }),
            OWNER_AT,
        )
    }

    fn of(project: ProjectId, request: &Request, owner_at: usize) -> Self {
        let mut frame = BytesMut::new();
        let network = NetworkId::from_u128(1);
        let header = RequestHeader {
            opcode: request.opcode(),
            request_id: 1,
            timeout_ms: 0,
            project,
            network,
            pool: false,
            network_project: None,
            restoring: false,
        };
        let written = encode_request(&header, request, &mut frame);
        debug_assert!(written.is_ok(), "a plain request fits");
        Self { frame: frame.to_vec(), owner_at }
    }

    /// Appends the request for an owner of a network.
    #[inline]
    pub(super) fn append(
        &self,
        out: &mut Vec<u8>,
        request_id: u64,
        network: NetworkId,
        owner: OwnerId,
    ) {
        let start = out.len();
        out.extend_from_slice(&self.frame);
        let Some(frame) = out.get_mut(start..) else { return };
        put(frame, REQUEST_ID_AT, &request_id.to_be_bytes());
        put(frame, NETWORK_AT, network.as_bytes());
        put(frame, self.owner_at, owner.as_bytes());
    }
}

#[inline]
fn put<const N: usize>(frame: &mut [u8], at: usize, bytes: &[u8; N]) {
    if let Some(place) = frame.get_mut(at..at + N) {
        place.copy_from_slice(bytes);
    }
}

/// The reply at the front of a buffer and its bytes; `None` while it is not whole.
///
/// # Errors
/// A length that no reply has.
#[inline]
pub(super) fn answer(buffer: &[u8]) -> Result<Option<(Answer, usize)>, String> {
    let Some((length, _)) = buffer.split_first_chunk::<4>() else { return Ok(None) };
    let length = u32::from_be_bytes(*length);
    let size = length as usize;
    if size < REPLY_HEADER_BYTES || length > REPLY_BYTES_MAX {
        return Err(format!("a reply of {length} bytes"));
    }
    let Some(frame) = buffer.get(..size) else { return Ok(None) };
    let answer = Answer {
        request_id: u64::from_be_bytes(take(frame, REPLY_REQUEST_ID_AT)),
        status: Status(u16::from_be_bytes(take(frame, REPLY_STATUS_AT))),
        retry_after_ms: u32::from_be_bytes(take(frame, REPLY_RETRY_AT)),
    };
    Ok(Some((answer, size)))
}

/// Bytes at a fixed place of a header that is known to be whole.
#[inline]
fn take<const N: usize>(frame: &[u8], at: usize) -> [u8; N] {
    frame.get(at..).and_then(|rest| rest.first_chunk()).copied().unwrap_or([0; N])
}

#[cfg(test)]
mod tests {
    use super::*;
    use addrd_client::protocol::codec::{decode_request_slice, encode_failure, encode_reply};
    use addrd_client::protocol::message::{Failure, Reply};
    use addrd_client::protocol::{Opcode, Text};

    #[test]
    fn templates_are_what_the_codec_reads() {
        let (network, owner) = (NetworkId::from_u128(7), OwnerId::from_u128(9));
        let templates = [
            Template::allocate(ProjectId::DEFAULT),
            Template::release(ProjectId::DEFAULT),
            Template::port_create(ProjectId::DEFAULT),
            Template::port_delete(ProjectId::DEFAULT),
            Template::port_update(ProjectId::DEFAULT, true),
            Template::port_update(ProjectId::DEFAULT, false),
            Template::subnet_delete(ProjectId::DEFAULT),
        ];
        for template in templates {
            let mut out = Vec::new();
            template.append(&mut out, 77, network, owner);
            let (header, body) = decode_request_slice(&out).unwrap();
            assert_eq!((header.request_id, header.network), (77, network));
            let named = match body.unwrap() {
                Request::Allocate(allocate) => allocate.owner,
                Request::PortCreate(create) => OwnerId(create.port_id.0),
                Request::PortDelete(delete) => OwnerId(delete.port_id.0),
                Request::PortUpdate(update) => OwnerId(update.port_id.0),
                Request::SubnetDelete(delete) => OwnerId(delete.subnet_id.0),
                Request::Release(Release { target: Target::Key { owner, slot }, .. }) => {
                    assert_eq!(slot, Slot(0));
                    owner
                }
                other => panic!("{other:?}"),
            };
            assert_eq!(named, owner);
        }
    }

    #[test]
    fn answers_are_what_the_codec_writes() {
        let mut out = BytesMut::new();
        encode_reply(Opcode::PING, 5, Status::OK, &Reply::Empty, &mut out);
        let first = out.len();
        let failure = Failure {
            status: Status::BUSY,
            retry_after_ms: 3,
            item: None,
            field: None,
            message: Text::default(),
            details: Vec::new(),
        };
        encode_failure(Opcode::ALLOCATE, 6, &failure, &mut out);
        let ok = Answer { request_id: 5, status: Status::OK, retry_after_ms: 0 };
        assert_eq!(answer(&out), Ok(Some((ok, first))));
        let busy = Answer { request_id: 6, status: Status::BUSY, retry_after_ms: 3 };
        assert_eq!(answer(&out[first..]), Ok(Some((busy, out.len() - first))));
        assert_eq!(answer(&out[first..out.len() - 1]), Ok(None));
        assert_eq!(answer(&out[..3]), Ok(None));
        assert!(answer(&[0xff; 24]).is_err() && answer(&[0; 24]).is_err());
    }
}
