//! What a request costs of a rate: work, not frames, so that one large request is worth as much as the small ones
//! that it stands for. Pure.
//!
//! Source: docs/decisions/0041-rates-and-shares.md.

use crate::limits::{COST_ALL_WORKERS, COST_LIST_OBJECTS, COST_RENDEZVOUS, COST_UNREADABLE_BYTES};
use addrd_protocol::Opcode;
use addrd_protocol::message::Request;
use addrd_protocol::message::list::PAGE_OBJECTS_MAX;

/// Units of a request, whatever becomes of it.
///
/// Units: a change or a look at one thing is 1; what has items is one an item; a list is 1 and one for each
/// [`COST_LIST_OBJECTS`] objects that it asks for; what all workers do or wait for is more.
pub(super) fn cost_of(request: &Request) -> u64 {
    match request {
        Request::Allocate(_) | Request::Release(_) => 1,
        Request::Batch(batch) => items(batch.items.len()),
        Request::Transaction(all) => items(all.items.len()),
        Request::Reconcile(part) => COST_ALL_WORKERS + items(part.live.len()),
        // Each worker does its part.
        Request::RenewOwner(_) | Request::RenewHost(_) | Request::EndHost(_) => COST_ALL_WORKERS,
        // All workers stand still meanwhile, or a whole block is read.
        Request::NetworkCreate(_)
        | Request::NetworkDelete(_)
        | Request::SubnetOnboard(_)
        | Request::BackupRead(_) => COST_RENDEZVOUS,
        other => wanted_of(other).map_or(1, list),
    }
}

/// Units of a frame of so many bytes that can't be read.
pub(super) fn cost_of_unreadable(frame_bytes: usize) -> u64 {
    1 + (frame_bytes / COST_UNREADABLE_BYTES) as u64
}

/// Whether it frees something or lets it go on: it has a burst of its own, so that a rate ends no lease.
pub(super) const fn lets_go(opcode: Opcode) -> bool {
    matches!(
        opcode,
        Opcode::RELEASE
            | Opcode::RENEW
            | Opcode::RENEW_OWNER
            | Opcode::RENEW_HOST
            | Opcode::HOLD_CONFIRM
            | Opcode::HOLD_CANCEL
            | Opcode::HOLD_RELEASE
    )
}

fn items(count: usize) -> u64 {
    count.max(1) as u64
}

fn list(wanted: u32) -> u64 {
    // Without a wish the server gives as many as it likes.
    let objects = if wanted == 0 { PAGE_OBJECTS_MAX } else { wanted.min(PAGE_OBJECTS_MAX) };
    1 + u64::from(objects / COST_LIST_OBJECTS)
}

/// Objects that a list asks for, 0 = as many as the server likes; `None`: it is no list.
fn wanted_of(request: &Request) -> Option<u32> {
    let wanted = match request {
        Request::JobList(list) => list.page.limit,
        Request::NetworkList(list) => list.page.limit,
        Request::SubnetList(list) => list.page.limit,
        Request::AllocationList(list) => list.page.limit,
        Request::ProjectList(list) => list.page.limit,
        Request::PrincipalList(list) => list.page.limit,
        Request::ScopeList(list) => list.page.limit,
        Request::PoolList(list) => list.page.limit,
        Request::SegmentList(list) => list.page.limit,
        Request::HostList(list) => list.page.limit,
        Request::PortList(list) => list.page.limit,
        Request::PinList(list) => list.page.limit,
        Request::ManagerList(list) => list.limit,
        Request::HostLeaseList(list) => list.limit,
        Request::FreeRanges(list) => list.limit,
        Request::History(list) => list.limit,
        // These have no wish in them. The first two find what has a name or an owner: a few, as a rule.
        Request::Lookup(_) | Request::NetworkFind(_) => COST_LIST_OBJECTS,
        Request::Usage(_) | Request::SuspectList(_) => 0,
        _ => return None,
    };
    Some(wanted)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{allocate_request, release_request};
    use super::*;
    use addrd_protocol::message::{
        AllocationList, Batch, BatchItem, BatchMode, HostLeaseList, PageRequest, Ping,
    };

    #[test]
    fn a_request_costs_the_work_that_it_asks_for() {
        assert_eq!(cost_of(&allocate_request()), 1);
        assert_eq!(cost_of(&Request::Ping(Ping {})), 1);
        let Request::Release(release) = release_request() else { unreachable!("made so") };
        for count in [0, 1, 1_000] {
            let items = vec![BatchItem::Release(release.clone()); count];
            let batch = Batch { mode: BatchMode::Independent, items };
            assert_eq!(cost_of(&Request::Batch(Box::new(batch))), count.max(1) as u64);
        }
        for (limit, cost) in [(1, 1), (63, 1), (64, 2), (1_000, 16), (0, 16), (u32::MAX, 16)] {
            let page = PageRequest { limit, ..PageRequest::default() };
            let list = AllocationList { page, ..AllocationList::default() };
            assert_eq!(cost_of(&Request::AllocationList(Box::new(list))), cost, "{limit}");
            let manager = addrd_protocol::Text::new("m").unwrap();
            let list = HostLeaseList { manager, limit, after: None };
            assert_eq!(cost_of(&Request::HostLeaseList(Box::new(list))), cost, "{limit}");
        }
        assert_eq!((cost_of_unreadable(64), cost_of_unreadable(1 << 20)), (1, 4_097));
    }

    /// A new list must be named above, else it costs what one object does.
    #[test]
    fn whatever_may_be_answered_with_a_page_costs_more_than_one() {
        use super::super::answers::reply_bytes_max;
        use addrd_protocol::codec::{REPLY_BYTES_MAX, decode_request_slice};
        let vectors = include_str!("../../protocol/vectors/requests.json");
        let vectors: serde_json::Value = serde_json::from_str(vectors).unwrap();
        let mut lists = 0;
        for vector in vectors.as_array().unwrap() {
            let hex: Vec<u8> =
                vector["hex"].as_str().unwrap().bytes().filter(u8::is_ascii_hexdigit).collect();
            let digit = |digit: u8| (digit as char).to_digit(16).unwrap() as u8;
            let bytes = hex.chunks(2).map(|pair| digit(pair[0]) << 4 | digit(pair[1]));
            let bytes = bytes::Bytes::from(bytes.collect::<Vec<u8>>());
            let (header, request) = decode_request_slice(&bytes).unwrap();
            if reply_bytes_max(header.opcode, bytes.len()) == REPLY_BYTES_MAX as usize {
                assert!(wanted_of(&request.unwrap()).is_some(), "{}", vector["name"]);
                lists += 1;
            }
        }
        assert!(lists > 20, "{lists}");
    }
}
