//! Layouts of fetching a backup.

use super::{Layout, Read};
use crate::message::backup::{
    BACKUP_BLOCK_BYTES_MAX, BACKUP_RATE_MAX, BACKUP_RATE_MIN, BackupBlock, BackupRead,
};
use crate::wire::{Reader, Writer, within};
use uuid::Uuid;

impl Layout for BackupRead {
    fn read(reader: &mut Reader<'_>) -> Read<Self> {
        let backup_id = Uuid::from_bytes(reader.array("backup_id")?);
        let block = reader.u32("block")?;
        reader.zero::<4>("reserved")?;
        let row_bytes_a_second = reader.u64("row_bytes_a_second")?;
        if row_bytes_a_second != 0 {
            within(row_bytes_a_second, BACKUP_RATE_MIN, BACKUP_RATE_MAX, "row_bytes_a_second")?;
        }
        reader.no_tags().map(|()| Self { backup_id, block, row_bytes_a_second })
    }

    fn write(&self, writer: &mut Writer<'_>) {
        writer.slice(self.backup_id.as_bytes());
        writer.u32(self.block);
        writer.u32(0);
        writer.u64(self.row_bytes_a_second);
    }
}

impl Layout for BackupBlock {
    fn read(reader: &mut Reader<'_>) -> Read<Self> {
        let block = reader.u32("block")?;
        let last = reader.bool("last")?;
        reader.zero::<3>("reserved")?;
        let wait_ms = reader.u32("wait_ms")?;
        let length = reader.u32("length")?;
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        let bytes = reader.bytes_of(length, BACKUP_BLOCK_BYTES_MAX, "bytes")?;
        reader.no_tags().map(|()| Self { block, last, wait_ms, bytes })
    }

    fn write(&self, writer: &mut Writer<'_>) {
        writer.u32(self.block);
        writer.u8(self.last.into());
        writer.slice(&[0; 3]);
        writer.u32(self.wait_ms);
        writer.count32(self.bytes.len());
        writer.slice(&self.bytes);
    }
}
