//! Records of projects, address scopes and subnet pools.

use super::field::{decode_prefix, decode_text, encode_prefix, encode_text};
use super::level::{decode_stored, encode_stored};
use super::object::{decode_list, flag, list, presence};
use super::{Head, RecordError, RecordKind, finish};
use crate::journal::reader::Reader;
use crate::model::{
    AddressScopeId, Effect, Family, NetworkHandle, ObjectRef, PoolId, PoolRow, ProjectId,
    ProjectRow, ScopeRow, Text,
};
use addrd_protocol::message::Quotas;
use addrd_protocol::message::pool::POOL_PREFIXES_MAX;
use uuid::Uuid;

const SHARED: u8 = 1;
const IS_DEFAULT: u8 = 1 << 1;

const NAME: u16 = 1;
const DESCRIPTION: u16 = 1 << 1;
const QUOTA: u16 = 1 << 2;
/// All quotas of a project.
const QUOTAS: u16 = 0b11_1111 << 2;
const SCOPE: u16 = 1 << 3;
const PARENT: u16 = 1 << 4;
const LEVEL: u16 = 1 << 5;

/// Quotas of a project in the order of their presence bits, the first of which is `QUOTA`.
fn quotas_of(quotas: &Quotas) -> [Option<u64>; 6] {
    let Quotas { addresses, prefixes, networks, subnets, ports, resting } = *quotas;
    [addresses, prefixes, networks, subnets, ports, resting]
}

pub(super) fn encode_project(row: &ProjectRow, out: &mut Vec<u8>) {
    let texts = (row.name.as_ref(), row.description.as_ref());
    let mut head = head(RecordKind::ProjectPut, row.handle, row.revision, texts);
    let quotas = quotas_of(&row.quotas);
    for (place, quota) in quotas.iter().enumerate() {
        head.presence |= presence(quota.is_some(), QUOTA << place);
    }
    let start = head.write(out);
    out.extend_from_slice(row.id.as_bytes());
    quotas.iter().flatten().for_each(|quota| out.extend_from_slice(&quota.to_be_bytes()));
    encode_texts(texts, out);
    finish(out, start);
}

pub(super) fn decode_project(head: &Head, body: &mut Reader<'_>) -> Result<Effect, RecordError> {
    head.only(0, NAME | DESCRIPTION | QUOTAS)?;
    let id = ProjectId::from_bytes(body.array()?);
    let mut quota = |place: u16| match head.has(QUOTA << place) {
        true => body.u64().map(Some),
        false => Ok(None),
    };
    let quotas = Quotas {
        addresses: quota(0)?,
        prefixes: quota(1)?,
        networks: quota(2)?,
        subnets: quota(3)?,
        ports: quota(4)?,
        resting: quota(5)?,
    };
    let (name, description) = decode_texts(head, body)?;
    let (handle, revision) = (head.network, head.revision);
    Ok(Effect::ProjectPut(Box::new(ProjectRow { handle, revision, id, name, description, quotas })))
}

pub(super) fn encode_scope(row: &ScopeRow, out: &mut Vec<u8>) {
    let texts = (row.name.as_ref(), row.description.as_ref());
    let mut head = head(RecordKind::ScopePut, row.handle, row.revision, texts);
    head.flags = flag(row.shared, SHARED);
    let start = head.write(out);
    out.extend_from_slice(row.project.as_bytes());
    out.extend_from_slice(row.id.as_bytes());
    out.push(row.family as u8);
    encode_texts(texts, out);
    finish(out, start);
}

pub(super) fn decode_scope(head: &Head, body: &mut Reader<'_>) -> Result<Effect, RecordError> {
    head.only(SHARED, NAME | DESCRIPTION)?;
    let project = ProjectId::from_bytes(body.array()?);
    let id = AddressScopeId::from_bytes(body.array()?);
    let family = decode_family(body)?;
    let (name, description) = decode_texts(head, body)?;
    Ok(Effect::ScopePut(Box::new(ScopeRow {
        handle: head.network,
        revision: head.revision,
        project,
        id,
        family,
        shared: head.flags & SHARED != 0,
        name,
        description,
    })))
}

pub(super) fn encode_pool(row: &PoolRow, out: &mut Vec<u8>) {
    let texts = (row.name.as_ref(), row.description.as_ref());
    let mut head = head(RecordKind::PoolPut, row.handle, row.revision, texts);
    head.flags = flag(row.shared, SHARED) | flag(row.is_default, IS_DEFAULT);
    head.presence |= presence(row.quota.is_some(), QUOTA)
        | presence(row.scope.is_some(), SCOPE)
        | presence(row.parent.is_some(), PARENT)
        | presence(row.level != 0, LEVEL);
    let start = head.write(out);
    out.extend_from_slice(row.project.as_bytes());
    out.extend_from_slice(row.id.as_bytes());
    out.push(row.family as u8);
    out.extend_from_slice(&[row.min_length, row.max_length, row.default_length]);
    list(&row.prefixes, POOL_PREFIXES_MAX, out, encode_prefix);
    if let Some(quota) = row.quota {
        out.extend_from_slice(&quota.to_be_bytes());
    }
    for object in [&row.scope, &row.parent].into_iter().flatten() {
        encode_ref(object, out);
    }
    encode_texts(texts, out);
    encode_stored(row.level, out);
    finish(out, start);
}

pub(super) fn decode_pool(head: &Head, body: &mut Reader<'_>) -> Result<Effect, RecordError> {
    head.only(SHARED | IS_DEFAULT, NAME | DESCRIPTION | QUOTA | SCOPE | PARENT | LEVEL)?;
    let project = ProjectId::from_bytes(body.array()?);
    let id = PoolId::from_bytes(body.array()?);
    let family = decode_family(body)?;
    let [min_length, max_length, default_length] = body.array()?;
    let prefixes = decode_list(body, POOL_PREFIXES_MAX, "prefixes", decode_prefix)?;
    let quota = if head.has(QUOTA) { Some(body.u64()?) } else { None };
    let scope = if head.has(SCOPE) { Some(decode_ref(body)?) } else { None };
    let parent = if head.has(PARENT) { Some(decode_ref(body)?) } else { None };
    let (name, description) = decode_texts(head, body)?;
    let level = decode_stored(head, LEVEL, body)?;
    Ok(Effect::PoolPut(Box::new(PoolRow {
        handle: head.network,
        revision: head.revision,
        project,
        id,
        family,
        prefixes,
        min_length,
        max_length,
        default_length,
        quota,
        scope,
        parent,
        is_default: head.flags & IS_DEFAULT != 0,
        shared: head.flags & SHARED != 0,
        name,
        description,
        level,
    })))
}

/// Number and id of another object.
pub(super) fn encode_ref(object: &ObjectRef, out: &mut Vec<u8>) {
    out.extend_from_slice(&object.handle.0.to_be_bytes());
    out.extend_from_slice(object.id.as_bytes());
}

pub(super) fn decode_ref(body: &mut Reader<'_>) -> Result<ObjectRef, RecordError> {
    let handle = NetworkHandle(body.u32()?);
    Ok(ObjectRef { handle, id: Uuid::from_bytes(body.array()?) })
}

fn head(
    kind: RecordKind,
    handle: NetworkHandle,
    revision: crate::model::Revision,
    (name, description): (Option<&Text>, Option<&Text>),
) -> Head {
    let mut head = Head::bare(kind, handle, revision);
    head.presence = presence(name.is_some(), NAME) | presence(description.is_some(), DESCRIPTION);
    head
}

fn encode_texts((name, description): (Option<&Text>, Option<&Text>), out: &mut Vec<u8>) {
    for text in [name, description].into_iter().flatten() {
        encode_text(text, out);
    }
}

fn decode_texts(
    head: &Head,
    body: &mut Reader<'_>,
) -> Result<(Option<Text>, Option<Text>), RecordError> {
    let name = if head.has(NAME) { Some(decode_text(body, "name")?) } else { None };
    let described = head.has(DESCRIPTION);
    let description = if described { Some(decode_text(body, "description")?) } else { None };
    Ok((name, description))
}

fn decode_family(body: &mut Reader<'_>) -> Result<Family, RecordError> {
    match body.u8()? {
        4 => Ok(Family::V4),
        6 => Ok(Family::V6),
        _ => Err(RecordError::Field("family")),
    }
}
