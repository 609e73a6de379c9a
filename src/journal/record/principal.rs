//! Records of principals: what they may do, how they show themselves, their tokens without secrets.

use super::field::{decode_text, encode_text};
use super::object::{decode_list, flag, list, presence};
use super::{Head, RecordError, RecordKind, finish};
use crate::journal::reader::Reader;
use crate::model::{
    Effect, PrincipalId, PrincipalRow, ProjectId, Text, TokenHash, TokenId, TokenRow,
};
use addrd_protocol::message::principal::{
    CERTIFICATE_NAMES_MAX, GRANTS_MAX, Grant, TOKENS_MAX, UNIX_USERS_MAX, Verbs,
};

const DISABLED: u8 = 1;

const NAME: u16 = 1;
const DESCRIPTION: u16 = 1 << 1;
const GRANTS: u16 = 1 << 2;
const CERTIFICATES: u16 = 1 << 3;
const USERS: u16 = 1 << 4;
const TOKENS: u16 = 1 << 5;

pub(super) fn encode_put(row: &PrincipalRow, out: &mut Vec<u8>) {
    let mut head = Head::bare(RecordKind::PrincipalPut, row.handle, row.revision);
    head.flags = flag(row.disabled, DISABLED);
    head.presence = presence(row.name.is_some(), NAME)
        | presence(row.description.is_some(), DESCRIPTION)
        | presence(!row.grants.is_empty(), GRANTS)
        | presence(!row.certificate_names.is_empty(), CERTIFICATES)
        | presence(!row.unix_users.is_empty(), USERS)
        | presence(!row.tokens.is_empty(), TOKENS);
    let start = head.write(out);
    out.extend_from_slice(row.id.as_bytes());
    list(&row.grants, GRANTS_MAX, out, encode_grant);
    list(&row.certificate_names, CERTIFICATE_NAMES_MAX, out, encode_text);
    list(&row.unix_users, UNIX_USERS_MAX, out, |user, out| {
        out.extend_from_slice(&user.to_be_bytes());
    });
    list(&row.tokens, TOKENS_MAX, out, encode_token);
    for text in [&row.name, &row.description].into_iter().flatten() {
        encode_text(text, out);
    }
    finish(out, start);
}

pub(super) fn decode_put(head: &Head, body: &mut Reader<'_>) -> Result<Effect, RecordError> {
    let lists = GRANTS | CERTIFICATES | USERS | TOKENS;
    head.only(DISABLED, NAME | DESCRIPTION | lists)?;
    let id = PrincipalId::from_bytes(body.array()?);
    let grants = read_list(head, GRANTS, body, GRANTS_MAX, "grants", decode_grant)?;
    let certificate_names = read_list(
        head,
        CERTIFICATES,
        body,
        CERTIFICATE_NAMES_MAX,
        "certificate names",
        |reader| decode_text(reader, "certificate name"),
    )?;
    let unix_users =
        read_list(head, USERS, body, UNIX_USERS_MAX, "unix users", |reader| Ok(reader.u32()?))?;
    let tokens = read_list(head, TOKENS, body, TOKENS_MAX, "tokens", decode_token)?;
    let name = if head.has(NAME) { Some(decode_text(body, "name")?) } else { None };
    let described = head.has(DESCRIPTION);
    let description = if described { Some(decode_text(body, "description")?) } else { None };
    Ok(Effect::PrincipalPut(Box::new(PrincipalRow {
        handle: head.network,
        revision: head.revision,
        id,
        disabled: head.flags & DISABLED != 0,
        name,
        description,
        grants,
        certificate_names,
        unix_users,
        tokens,
    })))
}

/// A list, if the record has it.
fn read_list<T>(
    head: &Head,
    bit: u16,
    body: &mut Reader<'_>,
    most: usize,
    field: &'static str,
    each: impl Fn(&mut Reader<'_>) -> Result<T, RecordError>,
) -> Result<Vec<T>, RecordError> {
    if head.has(bit) { decode_list(body, most, field, each) } else { Ok(Vec::new()) }
}

/// Project (all zero = all), verbs, manager (empty = any).
fn encode_grant(grant: &Grant, out: &mut Vec<u8>) {
    out.extend_from_slice(grant.project_id.unwrap_or(ProjectId::NIL).as_bytes());
    out.push(grant.verbs.bits());
    encode_text(grant.manager.as_ref().unwrap_or(&Text::default()), out);
}

fn decode_grant(body: &mut Reader<'_>) -> Result<Grant, RecordError> {
    let project = ProjectId::from_bytes(body.array()?);
    let verbs = Verbs::from_bits(body.u8()?).filter(|verbs| !verbs.is_empty());
    let manager = decode_text(body, "manager")?;
    Ok(Grant {
        project_id: Some(project).filter(|project| !project.is_nil()),
        verbs: verbs.ok_or(RecordError::Field("verbs"))?,
        manager: Some(manager).filter(|manager| !manager.is_empty()),
    })
}

/// Id, hash of the secret, when it was created and when it ends (0 = never), ms since the Unix epoch.
fn encode_token(token: &TokenRow, out: &mut Vec<u8>) {
    out.extend_from_slice(&token.id.0.to_be_bytes());
    out.extend_from_slice(&token.hash.0);
    out.extend_from_slice(&token.created.to_be_bytes());
    out.extend_from_slice(&token.ends.to_be_bytes());
}

fn decode_token(body: &mut Reader<'_>) -> Result<TokenRow, RecordError> {
    Ok(TokenRow {
        id: TokenId(body.u64()?),
        hash: TokenHash(body.array()?),
        created: body.u64()?,
        ends: body.u64()?,
    })
}
