//! What records say of what is gone, made at random.

use super::*;

pub(super) fn held_by() -> impl Strategy<Value = HeldBy> {
    (any::<u128>(), any::<u16>(), prop::option::of(any::<u128>())).prop_map(
        |(owner, slot, project)| HeldBy {
            owner: OwnerId::from_u128(owner),
            slot: Slot(slot),
            project: project.map(ProjectId::from_u128),
        },
    )
}

pub(super) fn thing_was(thing: Thing) -> ThingWas {
    match thing {
        Thing::Segment => ThingWas::Segment(SegmentId::from_u128(7)),
        Thing::Host => ThingWas::Host,
        Thing::Port => {
            ThingWas::Port { id: PortId::from_u128(9), project: Some(ProjectId::from_u128(8)) }
        }
        Thing::Pin => ThingWas::Pin {
            subnet: SubnetHandle(4),
            offset: 1 << 70,
            owner: OwnerId::from_u128(5),
            slot: Slot(2),
        },
    }
}
