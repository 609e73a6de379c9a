//! Layout of transactions: a batch's items, each behind where it is.

use super::batch::{read_operation, write_operation};
use super::{Layout, Read};
use crate::error::{DecodeError, Fault};
use crate::header::named_project;
use crate::id::{NetworkId, ProjectId};
use crate::message::batch::BATCH_ITEMS_MAX;
use crate::message::{Transaction, TransactionItem};
use crate::wire::{Reader, Writer, limit, within};

/// Least bytes of an item: kind, flags, network, and a release.
const ITEM_BYTES_MIN: usize = 2 + 16 + 32;

const FLAG_POOL: u8 = 1;
const FLAG_NETWORK_PROJECT: u8 = 1 << 1;

impl Layout for TransactionItem {
    fn read(reader: &mut Reader<'_>) -> Read<Self> {
        let kind = reader.u8("kind")?;
        let flags = reader.u8("flags")?;
        let (pool, shared) = (flags & FLAG_POOL != 0, flags & FLAG_NETWORK_PROJECT != 0);
        if flags & !(FLAG_POOL | FLAG_NETWORK_PROJECT) != 0 || (pool && shared) {
            return Err(DecodeError::new(Fault::Unknown { value: flags.into() }, "flags"));
        }
        let network = NetworkId::from_bytes(reader.array("network")?);
        if network.is_nil() {
            return Err(DecodeError::new(Fault::Missing, "network"));
        }
        let network_project = if shared {
            let project = ProjectId::from_bytes(reader.array("network_project")?);
            Some(named_project(project))
        } else {
            None
        };
        let operation = read_operation(kind, reader)?;
        Ok(Self { network, pool, network_project, operation })
    }

    fn write(&self, writer: &mut Writer<'_>) {
        let pool = if self.pool { FLAG_POOL } else { 0 };
        let shared = if self.network_project.is_some() { FLAG_NETWORK_PROJECT } else { 0 };
        writer.slice(&[self.operation.kind(), pool | shared]);
        writer.slice(self.network.as_bytes());
        if let Some(project) = &self.network_project {
            writer.slice(project.as_bytes());
        }
        write_operation(&self.operation, writer);
    }
}

impl Layout for Transaction {
    fn read(reader: &mut Reader<'_>) -> Read<Self> {
        let count = usize::from(reader.u16("items")?);
        reader.zero::<6>("reserved")?;
        limit(count, BATCH_ITEMS_MAX, "items")?;
        within(u64::from(count > 0), 1, 1, "items")?;
        let items = reader.items(count, ITEM_BYTES_MIN, TransactionItem::read)?;
        reader.no_tags()?;
        Ok(Self { items })
    }

    fn write(&self, writer: &mut Writer<'_>) {
        writer.count16(self.items.len());
        writer.slice(&[0; 6]);
        self.items.iter().for_each(|item| writer.item(|w| item.write(w)));
    }
}
