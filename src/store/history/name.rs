//! What the numbers in a volume's records stand for: networks, pools and subnets, as entries of fixed
//! length that a volume carries itself. Knows no file.

use crate::journal::{BatchError, BatchView, Reader, RecordKind, Short, decode};
use crate::model::{
    Effect, Family, NetworkHandle, Prefix, ProjectId, Seq, SubnetHandle, number_of,
};
use crc32c::crc32c;
use std::collections::BTreeMap;
use uuid::Uuid;

/// Bytes of a name.
pub(crate) const NAME_BYTES: usize = 60;

/// What a number stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Named {
    /// A network.
    Network { project: ProjectId, id: Uuid },
    /// A subnet pool, which has prefixes as a network has addresses.
    Pool { project: ProjectId, id: Uuid, family: Family },
    /// A subnet of a network.
    Subnet { subnet: SubnetHandle, id: Uuid, prefix: Prefix },
}

/// A number, what it stands for, and from which position on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Name {
    /// From this hand-over on, until the next name of the same number; 0 = since before the volume.
    pub(crate) since: Seq,
    /// Number of the network or pool.
    pub(crate) network: NetworkHandle,
    pub(crate) named: Named,
}

/// Order of names: a network before its subnets.
pub(crate) type NameKey = (u32, u64);

/// Key of a network or pool.
pub(crate) const fn network_key(network: NetworkHandle) -> NameKey {
    (network.0, 0)
}

/// Key of a subnet.
pub(crate) const fn subnet_key(network: NetworkHandle, subnet: SubnetHandle) -> NameKey {
    (network.0, subnet.0 as u64 + 1)
}

const NETWORK: u8 = 1;
const POOL_V4: u8 = 2;
const POOL_V6: u8 = 3;
const SUBNET_V4: u8 = 4;
const SUBNET_V6: u8 = 5;

impl Name {
    pub(crate) const fn key(&self) -> NameKey {
        match self.named {
            Named::Network { .. } | Named::Pool { .. } => network_key(self.network),
            Named::Subnet { subnet, .. } => subnet_key(self.network, subnet),
        }
    }

    /// The name that a record gives, if it gives one.
    pub(crate) fn of(effect: &Effect, since: Seq) -> Option<Self> {
        let (network, named) = match effect {
            Effect::NetworkPut(row) => {
                (row.network, Named::Network { project: row.project, id: row.id.0 })
            }
            Effect::PoolPut(row) => {
                let (project, id, family) = (row.project, row.id.0, row.family);
                (row.handle, Named::Pool { project, id, family })
            }
            Effect::SubnetPut(row) => {
                let (subnet, id, prefix) = (row.subnet, row.id.0, row.prefix);
                (row.network, Named::Subnet { subnet, id, prefix })
            }
            _ => return None,
        };
        Some(Self { since, network, named })
    }

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        let start = out.len();
        let (kind, length, subnet, id, last) = match self.named {
            Named::Network { project, id } => (NETWORK, 0, 0, id, project.0.as_u128()),
            Named::Pool { project, id, family } => {
                let kind = if family == Family::V4 { POOL_V4 } else { POOL_V6 };
                (kind, 0, 0, id, project.0.as_u128())
            }
            Named::Subnet { subnet, id, prefix } => {
                let kind = if prefix.family() == Family::V4 { SUBNET_V4 } else { SUBNET_V6 };
                (kind, prefix.length(), subnet.0, id, number_of(&prefix.first()))
            }
        };
        out.extend_from_slice(&self.since.0.to_be_bytes());
        out.extend_from_slice(&self.network.0.to_be_bytes());
        out.extend_from_slice(&subnet.to_be_bytes());
        out.extend_from_slice(&[kind, length, 0, 0, 0, 0, 0, 0]);
        out.extend_from_slice(id.as_bytes());
        out.extend_from_slice(&last.to_be_bytes());
        let crc = crc32c(out.get(start..).unwrap_or_default());
        out.extend_from_slice(&crc.to_be_bytes());
    }

    /// Reads one; `None` if it is damaged.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let (checked, sum) = bytes.get(..NAME_BYTES)?.split_at_checked(NAME_BYTES - 4)?;
        if crc32c(checked).to_be_bytes() != sum {
            return None;
        }
        Self::read(&mut Reader::new(checked)).ok().flatten()
    }

    fn read(reader: &mut Reader<'_>) -> Result<Option<Self>, Short> {
        let since = Seq(reader.u64()?);
        let network = NetworkHandle(reader.u32()?);
        let subnet = SubnetHandle(reader.u32()?);
        let [kind, length, rest @ ..] = reader.array::<8>()?;
        let id = Uuid::from_bytes(reader.array()?);
        let last = reader.u128()?;
        let project = ProjectId(Uuid::from_u128(last));
        let prefix = |family: Family| {
            let prefix = Prefix::new(family.address(last)?, length)?;
            Some(Named::Subnet { subnet, id, prefix })
        };
        let named = match kind {
            NETWORK => Some(Named::Network { project, id }),
            POOL_V4 => Some(Named::Pool { project, id, family: Family::V4 }),
            POOL_V6 => Some(Named::Pool { project, id, family: Family::V6 }),
            SUBNET_V4 => prefix(Family::V4),
            SUBNET_V6 => prefix(Family::V6),
            _ => None,
        };
        let plain = kind < SUBNET_V4 && (length != 0 || subnet.0 != 0);
        let named = named.filter(|_| rest == [0; 6] && !plain);
        Ok(named.map(|named| Self { since, network, named }))
    }
}

/// Whether a record of this kind can give or end a name: all others are passed over by their kind.
#[must_use]
pub(super) fn concerns_names(record: &[u8]) -> bool {
    let kind = record.get(2).copied().unwrap_or_default();
    let passed = [RecordKind::AllocationPut, RecordKind::AllocationGone, RecordKind::Asked];
    passed.iter().all(|other| kind != *other as u8)
}

/// The names of what there is now.
///
/// Shape: about 0.1 KiB a network, pool or subnet.
#[derive(Clone, Debug, Default)]
pub struct LiveNames(BTreeMap<NameKey, Name>);

impl LiveNames {
    /// Follows a record.
    pub fn note(&mut self, effect: &Effect) {
        if let Some(name) = Name::of(effect, Seq(0)) {
            self.0.insert(name.key(), name);
            return;
        }
        match effect {
            Effect::NetworkGone { network, .. } | Effect::ObjectGone { object: network, .. } => {
                self.0.remove(&network_key(*network));
            }
            Effect::SubnetGone { network, subnet, .. } => {
                self.0.remove(&subnet_key(*network, *subnet));
            }
            _ => {}
        }
    }

    /// Follows a batch.
    ///
    /// # Errors
    /// A record can't be read.
    pub fn follow(&mut self, batch: &BatchView<'_>) -> Result<(), BatchError> {
        let mut records = batch.records();
        while let Some(record) = records.next_raw() {
            let record = record?;
            if concerns_names(record) {
                self.note(&decode(record).map_err(BatchError::Record)?.0);
            }
        }
        Ok(())
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// In the order of their keys.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Name> {
        self.0.values()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::IpAddr;

    fn samples() -> Vec<Name> {
        let (project, id) = (ProjectId(Uuid::from_u128(1 << 100)), Uuid::from_u128(77));
        let prefix = |text: &str, length| Prefix::new(text.parse::<IpAddr>().unwrap(), length);
        let subnet = |prefix| Named::Subnet { subnet: SubnetHandle(u32::MAX), id, prefix };
        let all = [
            Named::Network { project, id },
            Named::Pool { project, id, family: Family::V4 },
            Named::Pool { project, id, family: Family::V6 },
            subnet(prefix("10.0.0.0", 8).unwrap()),
            subnet(prefix("255.255.255.255", 32).unwrap()),
            subnet(prefix("::", 0).unwrap()),
            subnet(prefix("fd00::1", 128).unwrap()),
        ];
        let network = NetworkHandle(9);
        all.map(|named| Name { since: Seq(u64::MAX), network, named }).to_vec()
    }

    #[test]
    fn a_name_reads_back_and_every_changed_bit_is_noticed() {
        for name in samples() {
            let mut bytes = Vec::new();
            name.encode(&mut bytes);
            assert_eq!(bytes.len(), NAME_BYTES);
            assert_eq!(Name::decode(&bytes), Some(name));
            for bit in 0..bytes.len() * 8 {
                let mut bad = bytes.clone();
                bad[bit / 8] ^= 1 << (bit % 8);
                assert_eq!(Name::decode(&bad), None, "bit {bit}");
            }
        }
    }
}
