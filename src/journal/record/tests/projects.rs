//! Projects with all that a record of theirs can have.

use super::{NETWORK, REVISION, golden_text, text, uuid};
use crate::model::{NetworkHandle, ProjectId, ProjectRow, Revision};
use addrd_protocol::message::Quotas;
use proptest::prelude::*;

pub(super) fn project() -> impl Strategy<Value = ProjectRow> {
    let texts = (prop::option::of(text()), prop::option::of(text()));
    let quotas = prop::array::uniform6(prop::option::of(any::<u64>()));
    (any::<u32>(), any::<u64>(), uuid(), texts, quotas).prop_map(
        |(handle, revision, id, (name, description), quotas)| {
            let [addresses, prefixes, networks, subnets, ports, resting] = quotas;
            ProjectRow {
                handle: NetworkHandle(handle),
                revision: Revision(revision),
                id: ProjectId(id),
                name,
                description,
                quotas: Quotas { addresses, prefixes, networks, subnets, ports, resting },
            }
        },
    )
}

pub(super) fn golden_project() -> ProjectRow {
    ProjectRow {
        handle: NETWORK,
        revision: REVISION,
        id: ProjectId::from_u128(1),
        name: golden_text("p"),
        description: golden_text("d"),
        quotas: Quotas {
            addresses: Some(1),
            prefixes: Some(2),
            networks: Some(3),
            subnets: Some(4),
            ports: Some(5),
            resting: Some(6),
        },
    }
}
