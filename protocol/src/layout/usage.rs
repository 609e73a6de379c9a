//! Layouts of usage and free ranges.

use super::element::fixed_prefix;
use super::list::{read_count, read_cursor, read_limit, write_cursor};
use super::{Layout, Read};
use crate::error::{DecodeError, Fault};
use crate::id::Revision;
use crate::message::usage::{
    FreeRanges, FreeRangesReply, Growth, NetworkUsage, SubnetUsage, USAGE_GONE_MAX,
    USAGE_TOTALS_MAX, Usage, UsageTotals,
};
use crate::prefix::Range;
use crate::wire::{Reader, Writer, limit};

/// Bytes of a subnet's counts.
const SUBNET_USAGE_BYTES: usize = 184;
/// Bytes of the sums of a family.
const USAGE_TOTALS_BYTES: usize = 152;
/// Bit of the flags of a reply.
const WHOLE: u16 = 1;
/// Bytes of a range of IPv4, the shorter one.
const RANGE_BYTES_MIN: usize = 9;

impl Layout for Usage {
    fn read(reader: &mut Reader<'_>) -> Read<Self> {
        let mut usage = Self::default();
        reader.tail(|tag, value| match tag {
            0x8004 => {
                usage.cursor = read_cursor(value, "cursor")?;
                Ok(true)
            }
            0x8005 => {
                usage.changed_since = Some(Revision(value.u64("changed_since")?));
                Ok(true)
            }
            0x8006 => {
                usage.family = Some(value.numbered("family")?);
                Ok(true)
            }
            0x8007 => {
                usage.totals_only = only_set(value)?;
                Ok(true)
            }
            _ => value.subnet_name(tag, &mut usage.subnet),
        })?;
        Ok(usage)
    }

    fn write(&self, writer: &mut Writer<'_>) {
        if let Some(subnet) = &self.subnet {
            writer.entry_subnet_name(subnet);
        }
        write_cursor(0x8004, self.cursor.as_ref(), writer);
        if let Some(since) = self.changed_since {
            writer.entry(0x8005, |w| w.u64(since.0));
        }
        if let Some(family) = self.family {
            writer.entry(0x8006, |w| w.numbered(family));
        }
        if self.totals_only {
            writer.entry(0x8007, |w| w.u8(1));
        }
    }
}

/// A flag that is left out unless it is set.
fn only_set(value: &mut Reader<'_>) -> Read<bool> {
    match value.u8("totals_only")? {
        1 => Ok(true),
        other => Err(DecodeError::new(Fault::Unknown { value: other.into() }, "totals_only")),
    }
}

impl Layout for SubnetUsage {
    fn read(reader: &mut Reader<'_>) -> Read<Self> {
        let subnet_id = reader.id("subnet_id")?;
        let number = reader.u128("cidr")?;
        let (family, length) = (reader.u8("cidr")?, reader.u8("cidr")?);
        reader.zero::<6>("reserved")?;
        let mut usage = Self {
            subnet_id,
            cidr: fixed_prefix(family, number, length)?,
            size: reader.u128("size")?,
            pool_size: reader.u128("pool_size")?,
            free: reader.u128("free")?,
            held: reader.u128("held")?,
            allocated: reader.u128("allocated")?,
            quarantined: reader.u128("quarantined")?,
            excluded: reader.u128("excluded")?,
            pinned: reader.u128("pinned")?,
            used_outside: reader.u128("used_outside")?,
            growth_1h: None,
            growth_24h: None,
            watched_ms: None,
        };
        reader.tail(|tag, value| {
            match tag {
                0x0001 => usage.growth_1h = Some(read_growth(value, "growth_1h")?),
                0x0002 => usage.growth_24h = Some(read_growth(value, "growth_24h")?),
                0x0003 => usage.watched_ms = Some(value.u64("watched_ms")?),
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        Ok(usage)
    }

    fn write(&self, writer: &mut Writer<'_>) {
        writer.slice(self.subnet_id.as_bytes());
        writer.fixed_address(&self.cidr.first());
        writer.family(&self.cidr.first());
        writer.u8(self.cidr.length());
        writer.slice(&[0; 6]);
        writer.u128(self.size);
        writer.u128(self.pool_size);
        writer.u128(self.free);
        writer.u128(self.held);
        writer.u128(self.allocated);
        writer.u128(self.quarantined);
        writer.u128(self.excluded);
        writer.u128(self.pinned);
        writer.u128(self.used_outside);
        for (tag, growth) in [(0x0001, &self.growth_1h), (0x0002, &self.growth_24h)] {
            if let Some(growth) = growth {
                writer.entry(tag, |w| write_growth(growth, w));
            }
        }
        if let Some(watched_ms) = self.watched_ms {
            writer.entry(0x0003, |w| w.u64(watched_ms));
        }
    }
}

/// What stands for a time that never comes.
const NEVER_MS: u64 = u64::MAX;

fn read_growth(reader: &mut Reader<'_>, field: &'static str) -> Read<Growth> {
    let net = reader.u128(field)?.cast_signed();
    let exhausted_in_ms = Some(reader.u64(field)?).filter(|ms| *ms != NEVER_MS);
    Ok(Growth { net, exhausted_in_ms })
}

fn write_growth(growth: &Growth, writer: &mut Writer<'_>) {
    writer.u128(growth.net.cast_unsigned());
    writer.u64(growth.exhausted_in_ms.unwrap_or(NEVER_MS));
}

impl Layout for UsageTotals {
    fn read(reader: &mut Reader<'_>) -> Read<Self> {
        let family = reader.numbered("family")?;
        reader.zero::<3>("reserved")?;
        let totals = Self {
            family,
            subnets: reader.u32("subnets")?,
            size: reader.u128("size")?,
            pool_size: reader.u128("pool_size")?,
            free: reader.u128("free")?,
            held: reader.u128("held")?,
            allocated: reader.u128("allocated")?,
            quarantined: reader.u128("quarantined")?,
            excluded: reader.u128("excluded")?,
            pinned: reader.u128("pinned")?,
            used_outside: reader.u128("used_outside")?,
        };
        reader.no_tags()?;
        Ok(totals)
    }

    fn write(&self, writer: &mut Writer<'_>) {
        writer.numbered(self.family);
        writer.slice(&[0; 3]);
        writer.u32(self.subnets);
        writer.u128(self.size);
        writer.u128(self.pool_size);
        writer.u128(self.free);
        writer.u128(self.held);
        writer.u128(self.allocated);
        writer.u128(self.quarantined);
        writer.u128(self.excluded);
        writer.u128(self.pinned);
        writer.u128(self.used_outside);
    }
}

impl Layout for NetworkUsage {
    fn read(reader: &mut Reader<'_>) -> Read<Self> {
        let network_id = reader.id("network_id")?;
        let count = read_count(reader)?;
        let flags = reader.flags(WHOLE)?;
        let families = reader.u16("totals")?.into();
        limit(families, USAGE_TOTALS_MAX, "totals")?;
        let totals = reader.items(families, USAGE_TOTALS_BYTES, UsageTotals::read)?;
        let subnets = reader.items(count, SUBNET_USAGE_BYTES, SubnetUsage::read)?;
        let mut usage = Self {
            network_id,
            whole: flags & WHOLE != 0,
            totals,
            subnets,
            next: None,
            revision: Revision(0),
            gone: Vec::new(),
        };
        reader.tail(|tag, value| {
            match tag {
                0x0001 => usage.next = read_cursor(value, "next")?,
                0x0002 => usage.revision = Revision(value.u64("revision")?),
                0x0003 => usage.gone = value.list(USAGE_GONE_MAX, "gone", |r| r.id("gone"))?,
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        Ok(usage)
    }

    fn write(&self, writer: &mut Writer<'_>) {
        writer.slice(self.network_id.as_bytes());
        writer.count32(self.subnets.len());
        writer.u16(if self.whole { WHOLE } else { 0 });
        writer.count16(self.totals.len());
        self.totals.iter().for_each(|totals| writer.item(|w| totals.write(w)));
        self.subnets.iter().for_each(|usage| writer.item(|w| usage.write(w)));
        write_cursor(0x0001, self.next.as_ref(), writer);
        if self.revision.0 > 0 {
            writer.entry(0x0002, |w| w.u64(self.revision.0));
        }
        writer.entry_list(0x0003, &self.gone, |w, id| w.slice(id.as_bytes()));
    }
}

impl Layout for FreeRanges {
    fn read(reader: &mut Reader<'_>) -> Read<Self> {
        let limit = read_limit(reader)?;
        reader.zero::<4>("reserved")?;
        let (mut subnet, mut from) = (None, None);
        reader.tail(|tag, value| match tag {
            0x8004 => {
                from = Some(value.address("from")?);
                Ok(true)
            }
            _ => value.subnet_name(tag, &mut subnet),
        })?;
        let subnet = subnet.ok_or(DecodeError::new(Fault::Missing, "subnet"))?;
        Ok(Self { subnet, limit, from })
    }

    fn write(&self, writer: &mut Writer<'_>) {
        writer.u32(self.limit);
        writer.u32(0);
        writer.entry_subnet_name(&self.subnet);
        writer.entry_address(0x8004, self.from.as_ref());
    }
}

impl Layout for Range {
    fn read(reader: &mut Reader<'_>) -> Read<Self> {
        let range = reader.range("ranges")?;
        reader.no_tags()?;
        Ok(range)
    }

    fn write(&self, writer: &mut Writer<'_>) {
        writer.range(self);
    }
}

impl Layout for FreeRangesReply {
    fn read(reader: &mut Reader<'_>) -> Read<Self> {
        let subnet_id = reader.id("subnet_id")?;
        let count = read_count(reader)?;
        reader.zero::<4>("reserved")?;
        let ranges = reader.items(count, RANGE_BYTES_MIN, Range::read)?;
        let mut next = None;
        reader.tail(|tag, value| {
            if tag == 0x0001 {
                next = Some(value.address("next")?);
            }
            Ok(tag == 0x0001)
        })?;
        Ok(Self { subnet_id, ranges, next })
    }

    fn write(&self, writer: &mut Writer<'_>) {
        writer.slice(self.subnet_id.as_bytes());
        writer.count32(self.ranges.len());
        writer.u32(0);
        self.ranges.iter().for_each(|range| writer.item(|w| w.range(range)));
        writer.entry_address(0x0001, self.next.as_ref());
    }
}
