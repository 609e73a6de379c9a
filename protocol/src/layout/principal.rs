//! Layouts of principals and tokens.

use super::list::{read_items, read_named, write_items, write_named};
use super::{Layout, Read};
use crate::error::{DecodeError, Fault};
use crate::id::{PrincipalId, ProjectId, Revision, TokenId};
use crate::message::principal::{
    CERTIFICATE_NAMES_MAX, GRANTS_MAX, Grant, Principal, PrincipalCreate, PrincipalDelete,
    PrincipalGet, PrincipalList, PrincipalPage, PrincipalUpdate, TOKEN_LIFE_MS_LEAST,
    TOKEN_LIFE_MS_MOST, TOKENS_MAX, TokenCreate, TokenRevoke, TokenShown, UNIX_USERS_MAX, Verbs,
};
use crate::text::{MANAGER_BYTES_MAX, NAME_BYTES_MAX, TEXT_BYTES_MAX, Text};
use crate::token::TokenHash;
use crate::wire::{Reader, Writer, within};

/// Bytes of a principal without its tail.
const PRINCIPAL_BYTES: usize = 32;

/// A principal with all that it may have.
pub(crate) const PRINCIPAL_BYTES_MAX: usize = PRINCIPAL_BYTES
    + 6 * 4
    + NAME_BYTES_MAX
    + TEXT_BYTES_MAX
    + GRANTS_MAX * (16 + 1 + 1 + MANAGER_BYTES_MAX)
    + CERTIFICATE_NAMES_MAX * (1 + TEXT_BYTES_MAX)
    + UNIX_USERS_MAX * 4
    + TOKENS_MAX * 24;

const REPEATED: u16 = 1;
const DISABLED: u16 = 1 << 1;

/// What `time_left_ms` reads of a token without an end.
const ENDLESS: u64 = u64::MAX;

/// A text behind its length (u8).
fn short_text(reader: &mut Reader<'_>, most: usize, field: &'static str) -> Read<Text> {
    let length = usize::from(reader.u8(field)?);
    reader.text_of(length, most, field)
}

fn write_short_text(writer: &mut Writer<'_>, text: &Text) {
    // A text has at most 255 bytes.
    writer.u8(u8::try_from(text.len()).unwrap_or(u8::MAX));
    writer.slice(text.as_bytes());
}

fn grants(reader: &mut Reader<'_>) -> Read<Vec<Grant>> {
    reader.list(GRANTS_MAX, "grants", Grant::read)
}

fn certificate_names(reader: &mut Reader<'_>) -> Read<Vec<Text>> {
    const FIELD: &str = "certificate_names";
    reader.list(CERTIFICATE_NAMES_MAX, FIELD, |r| {
        let name = short_text(r, TEXT_BYTES_MAX, FIELD)?;
        if name.is_empty() { Err(DecodeError::new(Fault::Missing, FIELD)) } else { Ok(name) }
    })
}

fn unix_users(reader: &mut Reader<'_>) -> Read<Vec<u32>> {
    reader.list(UNIX_USERS_MAX, "unix_users", |r| r.u32("unix_users"))
}

fn life(reader: &mut Reader<'_>, field: &'static str, least: u64) -> Read<u64> {
    match reader.u64(field)? {
        0 => Ok(0),
        ms => within(ms, least, TOKEN_LIFE_MS_MOST, field),
    }
}

impl Grant {
    fn read(reader: &mut Reader<'_>) -> Read<Self> {
        let project: ProjectId = reader.id("project_id")?;
        let bits = reader.u8("verbs")?;
        let verbs = Verbs::from_bits(bits).filter(|verbs| !verbs.is_empty());
        let unknown = DecodeError::new(Fault::Unknown { value: bits.into() }, "verbs");
        let manager = short_text(reader, MANAGER_BYTES_MAX, "manager")?;
        Ok(Self {
            project_id: Some(project).filter(|project| !project.is_nil()),
            verbs: verbs.ok_or(unknown)?,
            manager: Some(manager).filter(|manager| !manager.is_empty()),
        })
    }

    fn write(&self, writer: &mut Writer<'_>) {
        writer.slice(self.project_id.unwrap_or(ProjectId::NIL).as_bytes());
        writer.u8(self.verbs.bits());
        write_short_text(writer, self.manager.as_ref().unwrap_or(&Text::default()));
    }
}

impl Layout for PrincipalCreate {
    fn read(reader: &mut Reader<'_>) -> Read<Self> {
        let principal_id = reader.nonzero_id("principal_id")?;
        let mut create = Self { principal_id, ..Self::default() };
        reader.tail(|tag, value| {
            match tag {
                0x8001 => create.name = Some(value.name("name")?),
                0x8002 => create.description = Some(value.any_text("description")?),
                0x8003 => create.grants = grants(value)?,
                0x8004 => create.certificate_names = certificate_names(value)?,
                0x8005 => create.unix_users = unix_users(value)?,
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        Ok(create)
    }

    fn write(&self, writer: &mut Writer<'_>) {
        writer.slice(self.principal_id.as_bytes());
        writer.entry_text(0x8001, self.name.as_ref());
        writer.entry_text(0x8002, self.description.as_ref());
        writer.entry_list(0x8003, &self.grants, |w, grant| grant.write(w));
        writer.entry_list(0x8004, &self.certificate_names, write_short_text);
        writer.entry_list(0x8005, &self.unix_users, |w, user| w.u32(*user));
    }
}

impl Layout for PrincipalGet {
    fn read(reader: &mut Reader<'_>) -> Read<Self> {
        let principal_id: PrincipalId = reader.id("principal_id")?;
        let name = super::pool::read_name(reader)?;
        if name.is_none() && principal_id.is_nil() {
            return Err(DecodeError::new(Fault::Missing, "principal_id"));
        }
        Ok(Self { principal_id, name })
    }

    fn write(&self, writer: &mut Writer<'_>) {
        writer.slice(self.principal_id.as_bytes());
        writer.entry_text(0x8001, self.name.as_ref());
    }
}

impl Layout for PrincipalList {
    fn read(reader: &mut Reader<'_>) -> Read<Self> {
        read_named(reader).map(|(page, name_prefix)| Self { page, name_prefix })
    }

    fn write(&self, writer: &mut Writer<'_>) {
        write_named(&self.page, self.name_prefix.as_ref(), writer);
    }
}

impl Layout for PrincipalUpdate {
    fn read(reader: &mut Reader<'_>) -> Read<Self> {
        let principal_id = reader.nonzero_id("principal_id")?;
        let expected = Revision(reader.u64("expected")?);
        let mut update = Self { principal_id, expected, ..Self::default() };
        reader.tail(|tag, value| {
            match tag {
                0x8001 => update.name = value.setting("name", |r| r.name("name"))?,
                0x8002 => {
                    update.description =
                        value.setting("description", |r| r.any_text("description"))?;
                }
                0x8003 => update.grants = value.setting("grants", grants)?,
                0x8004 => {
                    update.certificate_names =
                        value.setting("certificate_names", certificate_names)?;
                }
                0x8005 => update.unix_users = value.setting("unix_users", unix_users)?,
                0x8006 => update.disabled = Some(value.bool("disabled")?),
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        Ok(update)
    }

    fn write(&self, writer: &mut Writer<'_>) {
        writer.slice(self.principal_id.as_bytes());
        writer.u64(self.expected.0);
        writer.entry_text_setting(0x8001, &self.name);
        writer.entry_text_setting(0x8002, &self.description);
        writer.entry_setting(0x8003, &self.grants, |w, grants| {
            grants.iter().for_each(|grant| grant.write(w));
        });
        writer.entry_setting(0x8004, &self.certificate_names, |w, names| {
            names.iter().for_each(|name| write_short_text(w, name));
        });
        writer.entry_setting(0x8005, &self.unix_users, |w, users| {
            users.iter().for_each(|user| w.u32(*user));
        });
        if let Some(disabled) = self.disabled {
            writer.entry(0x8006, |w| w.u8(disabled.into()));
        }
    }
}

impl Layout for PrincipalDelete {
    fn read(reader: &mut Reader<'_>) -> Read<Self> {
        let principal_id = reader.nonzero_id("principal_id")?;
        let expected = Revision(reader.u64("expected")?);
        reader.no_tags().map(|()| Self { principal_id, expected })
    }

    fn write(&self, writer: &mut Writer<'_>) {
        writer.slice(self.principal_id.as_bytes());
        writer.u64(self.expected.0);
    }
}

impl Layout for TokenCreate {
    fn read(reader: &mut Reader<'_>) -> Read<Self> {
        let create = Self {
            principal_id: reader.nonzero_id("principal_id")?,
            token_id: TokenId(reader.u64("token_id")?),
            hash: TokenHash(reader.array("hash")?),
            life_ms: life(reader, "life_ms", TOKEN_LIFE_MS_LEAST)?,
        };
        reader.no_tags().map(|()| create)
    }

    fn write(&self, writer: &mut Writer<'_>) {
        writer.slice(self.principal_id.as_bytes());
        writer.u64(self.token_id.0);
        writer.slice(&self.hash.0);
        writer.u64(self.life_ms);
    }
}

impl Layout for TokenRevoke {
    fn read(reader: &mut Reader<'_>) -> Read<Self> {
        let token_id = TokenId(reader.u64("token_id")?);
        let after_ms = life(reader, "after_ms", 0)?;
        reader.no_tags().map(|()| Self { token_id, after_ms })
    }

    fn write(&self, writer: &mut Writer<'_>) {
        writer.u64(self.token_id.0);
        writer.u64(self.after_ms);
    }
}

impl TokenShown {
    fn read(reader: &mut Reader<'_>) -> Read<Self> {
        let token_id = TokenId(reader.u64("tokens")?);
        let age_ms = reader.u64("tokens")?;
        let time_left_ms = Some(reader.u64("tokens")?).filter(|ms| *ms != ENDLESS);
        Ok(Self { token_id, age_ms, time_left_ms })
    }

    fn write(&self, writer: &mut Writer<'_>) {
        writer.u64(self.token_id.0);
        writer.u64(self.age_ms);
        writer.u64(self.time_left_ms.unwrap_or(ENDLESS));
    }
}

impl Layout for Principal {
    fn read(reader: &mut Reader<'_>) -> Read<Self> {
        let principal_id = reader.id("principal_id")?;
        let revision = Revision(reader.u64("revision")?);
        let flags = reader.flags(REPEATED | DISABLED)?;
        reader.zero::<6>("reserved")?;
        let mut principal = Self {
            principal_id,
            revision,
            disabled: flags & DISABLED != 0,
            repeated: flags & REPEATED != 0,
            name: None,
            description: None,
            grants: Vec::new(),
            certificate_names: Vec::new(),
            unix_users: Vec::new(),
            tokens: Vec::new(),
        };
        reader.tail(|tag, value| {
            match tag {
                0x0001 => principal.name = Some(value.name("name")?),
                0x0002 => principal.description = Some(value.any_text("description")?),
                0x0003 => principal.grants = grants(value)?,
                0x0004 => principal.certificate_names = certificate_names(value)?,
                0x0005 => principal.unix_users = unix_users(value)?,
                0x0006 => {
                    principal.tokens = value.list(TOKENS_MAX, "tokens", TokenShown::read)?;
                }
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        Ok(principal)
    }

    fn write(&self, writer: &mut Writer<'_>) {
        writer.slice(self.principal_id.as_bytes());
        writer.u64(self.revision.0);
        let repeated = if self.repeated { REPEATED } else { 0 };
        writer.u16(repeated | if self.disabled { DISABLED } else { 0 });
        writer.slice(&[0; 6]);
        writer.entry_text(0x0001, self.name.as_ref());
        writer.entry_text(0x0002, self.description.as_ref());
        writer.entry_list(0x0003, &self.grants, |w, grant| grant.write(w));
        writer.entry_list(0x0004, &self.certificate_names, write_short_text);
        writer.entry_list(0x0005, &self.unix_users, |w, user| w.u32(*user));
        writer.entry_list(0x0006, &self.tokens, |w, token| token.write(w));
    }
}

impl Layout for PrincipalPage {
    fn read(reader: &mut Reader<'_>) -> Read<Self> {
        let (position, items, next) = read_items(reader, PRINCIPAL_BYTES)?;
        Ok(Self { position, items, next })
    }

    fn write(&self, writer: &mut Writer<'_>) {
        write_items(self.position, &self.items, self.next.as_ref(), writer);
    }
}
