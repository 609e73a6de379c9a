//! The names that stand in a volume: found by number without reading all, or all of them in order.

use super::layout::HEAD_LENGTH;
use super::name::{NAME_BYTES, Name, NameKey, Named, network_key, subnet_key};
use super::shelf::Volume;
use crate::model::{NetworkHandle, SubnetHandle};
use crate::store::disk::DiskFile;
use foldhash::HashMap;
use std::cmp::Ordering;
use std::io;

/// Names that are read at once.
const PIECE_NAMES: u64 = 8_192;

/// The names at the begin of a volume, and those that its records give.
#[derive(Debug)]
pub(super) struct NameTable<'f> {
    file: &'f dyn DiskFile,
    count: u64,
    /// What the records so far gave; later ones replace earlier ones.
    newer: HashMap<NameKey, Name>,
    /// What was looked for before.
    found: HashMap<NameKey, Option<Name>>,
    /// A name couldn't be read.
    pub(super) is_damaged: bool,
}

impl<'f> NameTable<'f> {
    pub(super) fn new(file: &'f dyn DiskFile, volume: &Volume) -> Self {
        Self {
            file,
            count: volume.names.into(),
            newer: HashMap::default(),
            found: HashMap::default(),
            is_damaged: false,
        }
    }

    /// A record gave it.
    pub(super) fn note(&mut self, name: Name) {
        self.newer.insert(name.key(), name);
    }

    /// Bytes of the names at the begin.
    pub(super) const fn bytes(&self) -> u64 {
        self.count * NAME_BYTES as u64
    }

    /// What a network or pool is.
    pub(super) fn network(&mut self, network: NetworkHandle) -> io::Result<Option<Named>> {
        self.find(network_key(network))
    }

    /// What a subnet is.
    pub(super) fn subnet(
        &mut self,
        network: NetworkHandle,
        subnet: SubnetHandle,
    ) -> io::Result<Option<Named>> {
        self.find(subnet_key(network, subnet))
    }

    /// Shape: about 20 reads of a name the first time.
    fn find(&mut self, key: NameKey) -> io::Result<Option<Named>> {
        if let Some(name) = self.newer.get(&key) {
            return Ok(Some(name.named));
        }
        if let Some(found) = self.found.get(&key) {
            return Ok(found.map(|name| name.named));
        }
        let found = self.search(key)?;
        self.found.insert(key, found);
        Ok(found.map(|name| name.named))
    }

    fn search(&mut self, key: NameKey) -> io::Result<Option<Name>> {
        let (mut low, mut high) = (0, self.count);
        while low < high {
            let middle = low + (high - low) / 2;
            let mut bytes = [0; NAME_BYTES];
            self.file.read_at(HEAD_LENGTH + middle * NAME_BYTES as u64, &mut bytes)?;
            let Some(name) = Name::decode(&bytes) else {
                self.is_damaged = true;
                return Ok(None);
            };
            match name.key().cmp(&key) {
                Ordering::Equal => return Ok(Some(name)),
                Ordering::Less => low = middle + 1,
                Ordering::Greater => high = middle,
            }
        }
        Ok(None)
    }

    /// Gives all names at the begin, networks before their subnets.
    pub(super) fn each(&mut self, visit: &mut dyn FnMut(&Name)) -> io::Result<()> {
        let mut at = 0;
        let mut buffer = Vec::new();
        while at < self.count {
            let names = (self.count - at).min(PIECE_NAMES);
            buffer.resize(usize::try_from(names).unwrap_or(0) * NAME_BYTES, 0);
            self.file.read_at(HEAD_LENGTH + at * NAME_BYTES as u64, &mut buffer)?;
            for bytes in buffer.chunks_exact(NAME_BYTES) {
                match Name::decode(bytes) {
                    Some(name) => visit(&name),
                    None => self.is_damaged = true,
                }
            }
            at += names;
        }
        Ok(())
    }
}
