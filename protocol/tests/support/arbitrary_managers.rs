//! Managers and reconciliations made from bytes.

use super::{Made, Source};
use addrd_protocol::message::*;
use addrd_protocol::{Opcode, Text, text};

/// A text that is not empty.
fn filled(s: &mut Source, most: usize) -> Text {
    let text = s.text_of(most);
    if text.is_empty() { s.name() } else { text }
}

made_by! {
    Reconcile = |s| {
        let parts = s.up_to(1_024).max(1) as u16;
        Self {
            manager: filled(s, text::MANAGER_BYTES_MAX), host: filled(s, text::TEXT_BYTES_MAX),
            call: s.number() as u64 | 1, part: s.up_to(u64::from(parts) - 1) as u16, parts,
            grace_ms: s.up_to(86_400_000).max(1_000) as u32, dry_run: s.make(),
            live: s.list(6),
        }
    };
}

made_by! {
    RenewHost = |s| Self {
        manager: filled(s, text::MANAGER_BYTES_MAX), host: filled(s, text::TEXT_BYTES_MAX),
        lease_ms: s.lease_ms(), on_end: s.make(), begin: s.make(),
        life: s.make(),
    };
    EndHost = |s| Self {
        manager: filled(s, text::MANAGER_BYTES_MAX), host: filled(s, text::TEXT_BYTES_MAX),
        on_end: s.make(), life: s.make(),
    };
    HostLeaseList = |s| Self {
        manager: filled(s, text::MANAGER_BYTES_MAX), limit: s.up_to(1_000) as u32, after: s.make(),
    };
    HostLease = |s| Self {
        host: filled(s, text::TEXT_BYTES_MAX), time_left_ms: s.make(), following: s.make(),
        life: s.make(), state: s.make(), on_end: s.make(),
    };
}

made_of_fields! {
    RenewedHost { time_left_ms, following, life, was }
    EndedHost { following, was, more }
    HostLeasePage { items = |s| s.list(4), more }
    Live { owner, slot, instance }
    Reconciled {
        call, complete, parts_missing, too_early, releasing, more, listed, elsewhere,
        other_instance, suspects, released,
    }
    SuspectList { manager = |s| s.maybe(Source::manager), host, cursor }
    Suspects { allocations = |s| s.list(4), more, next }
    ManagerList {
        limit = |s| s.up_to(1_000) as u32, manager = |s| s.maybe(Source::manager), after,
    }
    ManagerUse { name, hosts, allocations }
    ManagerPage { items = |s| s.list(4), more }
}

/// A body of every reply of this room with status `OK`.
pub(super) fn reply(opcode: Opcode, s: &mut Source) -> Option<Reply> {
    Some(match opcode {
        Opcode::RECONCILE => Reply::Reconciled(s.make()),
        Opcode::SUSPECT_LIST => Reply::Suspects(s.make()),
        Opcode::MANAGER_LIST => Reply::Managers(s.make()),
        Opcode::RENEW_HOST => Reply::RenewedHost(s.make()),
        Opcode::END_HOST => Reply::EndedHost(s.make()),
        Opcode::HOST_LEASE_LIST => Reply::HostLeases(s.make()),
        _ => return super::arbitrary_principals::reply(opcode, s),
    })
}
