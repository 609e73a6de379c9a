//! Layouts of HELLO, PING, GOAWAY and the server's status.

use super::{Layout, Read};
use crate::error::{DecodeError, Fault};
use crate::id::{Incarnation, Seq, TokenId};
use crate::message::{
    Adoption, ClockAccept, ClockAccepted, GoAway, Hello, HelloReply, Ping, ServerAdopt,
    ServerStatus,
};
use crate::text::{MANAGER_BYTES_MAX, Text};
use crate::token::Token;
use crate::wire::{Reader, Writer, within};

impl Layout for Hello {
    fn read(reader: &mut Reader<'_>) -> Read<Self> {
        let version_min = reader.u8("version_min")?;
        let version_max = reader.u8("version_max")?;
        within(version_min.into(), 1, version_max.into(), "version_min")?;
        reader.zero::<2>("reserved")?;
        let features = reader.u32("features")?;
        let epoch = reader.u64("epoch")?;
        let session = reader.id("session")?;
        let mut hello = Self {
            version_min,
            version_max,
            features,
            session,
            epoch,
            server_id: None,
            client: None,
            manager: None,
            host: None,
            token: None,
        };
        reader.tail(|tag, value| {
            match tag {
                0x0002 => hello.client = Some(value.any_text("client")?),
                0x8001 => hello.server_id = Some(value.nonzero_id("server_id")?),
                0x8003 => hello.manager = Some(value.text(MANAGER_BYTES_MAX, "manager")?),
                0x8004 => hello.host = Some(value.any_text("host")?),
                0x8005 => {
                    let id = TokenId(value.u64("token")?);
                    hello.token = Some(Token::new(id, value.array("token")?));
                }
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        Ok(hello)
    }

    fn write(&self, writer: &mut Writer<'_>) {
        writer.u8(self.version_min);
        writer.u8(self.version_max);
        writer.u16(0);
        writer.u32(self.features);
        writer.u64(self.epoch);
        writer.slice(self.session.as_bytes());
        writer.entry_text(0x0002, self.client.as_ref());
        writer.entry_id(0x8001, self.server_id.as_ref().map(crate::id::ServerId::as_bytes));
        writer.entry_text(0x8003, self.manager.as_ref());
        writer.entry_text(0x8004, self.host.as_ref());
        if let Some(token) = &self.token {
            writer.entry(0x8005, |w| {
                w.u64(token.id.0);
                w.slice(token.secret());
            });
        }
    }
}

impl Layout for HelloReply {
    fn read(reader: &mut Reader<'_>) -> Read<Self> {
        let version = reader.u8("version")?;
        let role = reader.u8("role")?;
        let adopting = reader.bool("adopting")?;
        reader.zero::<1>("reserved")?;
        let features = reader.u32("features")?;
        let server_id = reader.id("server_id")?;
        let position = Seq(reader.u64("position")?);
        let incarnation = Incarnation(reader.u32("incarnation")?);
        let frame_bytes_max = reader.u32("frame_bytes_max")?;
        let batch_bytes_max = reader.u32("batch_bytes_max")?;
        let batch_items_max = reader.u32("batch_items_max")?;
        let credit = reader.u32("credit")?;
        let idle_ms = reader.u32("idle_ms")?;
        let mut server = None;
        reader.tail(|tag, value| {
            if tag == 0x0001 {
                server = Some(value.any_text("server")?);
            }
            Ok(tag == 0x0001)
        })?;
        Ok(Self {
            version,
            role,
            adopting,
            features,
            server_id,
            incarnation,
            position,
            frame_bytes_max,
            batch_bytes_max,
            batch_items_max,
            credit,
            idle_ms,
            server,
        })
    }

    fn write(&self, writer: &mut Writer<'_>) {
        writer.u8(self.version);
        writer.u8(self.role);
        writer.u8(self.adopting.into());
        writer.u8(0);
        writer.u32(self.features);
        writer.slice(self.server_id.as_bytes());
        writer.u64(self.position.0);
        writer.u32(self.incarnation.0);
        writer.u32(self.frame_bytes_max);
        writer.u32(self.batch_bytes_max);
        writer.u32(self.batch_items_max);
        writer.u32(self.credit);
        writer.u32(self.idle_ms);
        writer.entry_text(0x0001, self.server.as_ref());
    }
}

impl Layout for Ping {
    fn read(reader: &mut Reader<'_>) -> Read<Self> {
        reader.no_tags().map(|()| Self {})
    }

    fn write(&self, _: &mut Writer<'_>) {}
}

impl Layout for GoAway {
    fn read(reader: &mut Reader<'_>) -> Read<Self> {
        let reason = reader.numbered("reason")?;
        reader.zero::<7>("reserved")?;
        let last_request_id = reader.u64("last_request_id")?;
        reader.no_tags()?;
        Ok(Self { reason, last_request_id })
    }

    fn write(&self, writer: &mut Writer<'_>) {
        writer.numbered(self.reason);
        writer.slice(&[0; 7]);
        writer.u64(self.last_request_id);
    }
}

impl Layout for ClockAccept {
    fn read(reader: &mut Reader<'_>) -> Read<Self> {
        reader.no_tags().map(|()| Self {})
    }

    fn write(&self, _: &mut Writer<'_>) {}
}

impl Layout for ClockAccepted {
    fn read(reader: &mut Reader<'_>) -> Read<Self> {
        let moved_ms = reader.u64("moved_ms")?;
        reader.no_tags().map(|()| Self { moved_ms })
    }

    fn write(&self, writer: &mut Writer<'_>) {
        writer.u64(self.moved_ms);
    }
}

impl Layout for ServerAdopt {
    fn read(reader: &mut Reader<'_>) -> Read<Self> {
        let action = reader.numbered("action")?;
        reader.zero::<7>("reserved")?;
        reader.no_tags().map(|()| Self { action })
    }

    fn write(&self, writer: &mut Writer<'_>) {
        writer.numbered(self.action);
        writer.slice(&[0; 7]);
    }
}

impl Layout for Adoption {
    fn read(reader: &mut Reader<'_>) -> Read<Self> {
        let adopting = reader.bool("adopting")?;
        let repeated = reader.bool("repeated")?;
        reader.zero::<6>("reserved")?;
        let lasted_ms = reader.u64("lasted_ms")?;
        reader.no_tags().map(|()| Self { adopting, repeated, lasted_ms })
    }

    fn write(&self, writer: &mut Writer<'_>) {
        writer.u8(self.adopting.into());
        writer.u8(self.repeated.into());
        writer.slice(&[0; 6]);
        writer.u64(self.lasted_ms);
    }
}

impl Layout for ServerStatus {
    fn read(reader: &mut Reader<'_>) -> Read<Self> {
        let server_id = reader.id("server_id")?;
        let incarnation = Incarnation(reader.u32("incarnation")?);
        let workers = reader.u32("workers")?;
        let connections = reader.u32("connections")?;
        let adopting = reader.bool("adopting")?;
        reader.zero::<3>("reserved")?;
        let position = Seq(reader.u64("position")?);
        let folded = Seq(reader.u64("folded")?);
        let journal_records = reader.u64("journal_records")?;
        let journal_records_max = reader.u64("journal_records_max")?;
        let uptime_ms = reader.u64("uptime_ms")?;
        let networks = reader.u64("networks")?;
        let allocations = reader.u64("allocations")?;
        let (mut state, mut version) = (None, None);
        reader.tail(|tag, value| {
            match tag {
                0x0001 => state = Some(value.any_text("state")?),
                0x0002 => version = Some(value.any_text("version")?),
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        let needed =
            |text: Option<Text>, field| text.ok_or(DecodeError::new(Fault::Missing, field));
        Ok(Self {
            server_id,
            incarnation,
            position,
            folded,
            journal_records,
            journal_records_max,
            uptime_ms,
            workers,
            connections,
            adopting,
            networks,
            allocations,
            state: needed(state, "state")?,
            version: needed(version, "version")?,
        })
    }

    fn write(&self, writer: &mut Writer<'_>) {
        writer.slice(self.server_id.as_bytes());
        writer.u32(self.incarnation.0);
        writer.u32(self.workers);
        writer.u32(self.connections);
        writer.u8(self.adopting.into());
        writer.slice(&[0; 3]);
        writer.u64(self.position.0);
        writer.u64(self.folded.0);
        writer.u64(self.journal_records);
        writer.u64(self.journal_records_max);
        writer.u64(self.uptime_ms);
        writer.u64(self.networks);
        writer.u64(self.allocations);
        writer.entry_text(0x0001, Some(&self.state));
        writer.entry_text(0x0002, Some(&self.version));
    }
}
