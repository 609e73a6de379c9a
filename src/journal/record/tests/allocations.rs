//! Golden records of allocations that have more than a plain one.

use super::*;

pub(super) fn golden_full() -> AllocationRow {
    let extras = AllocationExtras {
        deadline: Some(1),
        quarantine_end: Some(2),
        project: Some(ProjectId::from_u128(3)),
        port: Some(Uuid::from_u128(4)),
        token: Some(Uuid::from_u128(5)),
        item: None,
        principal: Some(6),
        trace: Some(Uuid::from_u128(7)),
        former: None,
        follows: None,
        manager: golden_text("m"),
        host: golden_text("hh"),
        label: golden_text("k=v"),
        owner_name: golden_text("web-1"),
    };
    let place =
        AllocationPlace { network: NETWORK, subnet: SUBNET, offset: 1 << 100, block_bits: 4 };
    AllocationRow {
        place,
        revision: Revision(9),
        slot: Slot(0x0a0b),
        instance: Instance(0x0c0d),
        state: AllocationState::Quarantined,
        moves_cursor: false,
        extras: Some(Box::new(extras)),
        ..plain(0)
    }
}

/// Held as an item of a token.
fn golden_item() -> AllocationRow {
    let token = Some(Uuid::from_u128(5));
    let extras = AllocationExtras { deadline: Some(1), token, item: Some(6), ..Default::default() };
    AllocationRow { state: AllocationState::Held, extras: Some(Box::new(extras)), ..plain(0) }
}

/// Of a guest's until now, and of the network's own project from now on.
fn golden_transferred() -> AllocationRow {
    let project = Some(ProjectId::from_u128(3));
    let former = HeldBy { owner: OwnerId::from_u128(8), slot: Slot(2), project };
    let extras = AllocationExtras { former: Some(Box::new(former)), ..AllocationExtras::default() };
    AllocationRow { extras: Some(Box::new(extras)), ..plain(0) }
}

/// Names and effects, behind those of the other kinds.
pub(super) fn effects() -> Vec<(&'static str, Effect)> {
    vec![
        ("allocation-transferred", Effect::AllocationPut(golden_transferred())),
        ("allocation-item", Effect::AllocationPut(golden_item())),
    ]
}
