//! Questions about history and their answers made from bytes.

use super::{Made, Source};
use addrd_protocol::message::*;

const KINDS: [HistoryKind; 8] = [
    HistoryKind::Held,
    HistoryKind::Allocated,
    HistoryKind::Changed,
    HistoryKind::Resting,
    HistoryKind::Released,
    HistoryKind::RestEnded,
    HistoryKind::ReleaseHeld,
    HistoryKind::Transferred,
];

made_by! {
    HistoryKind = |s| s.pick(&KINDS);
    History = |s| {
        let by_owner: bool = s.make();
        let from_ms: u64 = s.make();
        let ends: bool = s.make();
        Self {
            subject: match by_owner {
                true => HistorySubject::Owner(s.make()),
                false => HistorySubject::Address(s.make()),
            },
            slot: if by_owner { s.make() } else { None },
            oldest_first: s.make(),
            from_ms,
            to_ms: if ends { from_ms.saturating_add(s.make()) } else { 0 },
            limit: s.up_to(1_000) as u32,
            cursor: s.make(),
        }
    };
    HistoryEntry = |s| {
        let address: std::net::IpAddr = s.make();
        let bits = if address.is_ipv4() { 32 } else { 128 };
        Self {
            time_ms: s.make(), position: s.make(), incarnation: s.make(), kind: s.make(),
            revision: s.make(), fence: s.make(), address, length: s.up_to(bits) as u8,
            network_id: s.make(), subnet_id: s.make(), project_id: s.make(), owner: s.make(),
            slot: s.make(), instance: s.make(), ends_ms: s.make(), owner_name: s.make(),
            label: s.make(), host: s.make(), manager: s.maybe(Source::manager),
            network_project: s.make(), trace: s.make(), token: s.make(),
        }
    };
}

made_of_fields! {
    HistoryPage { position, reach_ms, incomplete, items = |s| s.list(4), next }
}
