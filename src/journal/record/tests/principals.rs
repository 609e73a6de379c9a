//! Principals with all that a record of theirs can have.

use super::{NETWORK, REVISION, golden_text, text, uuid};
use crate::model::{
    Effect, NetworkHandle, PrincipalId, PrincipalRow, ProjectId, Revision, TokenHash, TokenId,
    TokenRow,
};
use addrd_protocol::message::{Grant, Verbs};
use proptest::collection::vec;
use proptest::prelude::*;

fn grant() -> impl Strategy<Value = Grant> {
    (prop::option::of(1_u128..), 1_u8..64, prop::option::of(text())).prop_map(
        |(project, verbs, manager)| Grant {
            project_id: project.map(ProjectId::from_u128),
            verbs: Verbs::from_bits(verbs).unwrap(),
            manager: manager.filter(|manager| !manager.is_empty()),
        },
    )
}

fn token() -> impl Strategy<Value = TokenRow> {
    (any::<u64>(), any::<[u8; 32]>(), any::<u64>(), any::<u64>()).prop_map(
        |(id, hash, created, ends)| TokenRow {
            id: TokenId(id),
            hash: TokenHash(hash),
            created,
            ends,
        },
    )
}

pub(super) fn principal() -> impl Strategy<Value = PrincipalRow> {
    let texts = (prop::option::of(text()), prop::option::of(text()));
    let lists = (vec(grant(), 0..=64), vec(text(), 0..=8), vec(any::<u32>(), 0..=8));
    (any::<(u32, u64, bool)>(), uuid(), texts, lists, vec(token(), 0..=2)).prop_map(
        |((handle, revision, disabled), id, (name, description), lists, tokens)| PrincipalRow {
            handle: NetworkHandle(handle),
            revision: Revision(revision),
            id: PrincipalId(id),
            disabled,
            name,
            description,
            grants: lists.0,
            certificate_names: lists.1,
            unix_users: lists.2,
            tokens,
        },
    )
}

fn golden() -> PrincipalRow {
    let grant = Grant {
        project_id: Some(ProjectId::from_u128(2)),
        verbs: Verbs::ALL,
        manager: golden_text("m"),
    };
    let token = TokenRow { id: TokenId(3), hash: TokenHash([4; 32]), created: 5, ends: 6 };
    PrincipalRow {
        handle: NETWORK,
        revision: REVISION,
        id: PrincipalId::from_u128(1),
        disabled: true,
        name: golden_text("p"),
        description: golden_text("d"),
        grants: vec![grant],
        certificate_names: vec![golden_text("c").unwrap()],
        unix_users: vec![7],
        tokens: vec![token],
    }
}

pub(super) fn effects() -> [(&'static str, Effect); 1] {
    [("principal-put", Effect::PrincipalPut(Box::new(golden())))]
}
