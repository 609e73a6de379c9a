//! The names that stand in a volume: found by number without reading all, or all of them in order.

use super::index::Index;
use super::layout::HEAD_LENGTH;
use super::name::{NAME_BYTES, Name, NameKey, Named, network_key, subnet_key};
use super::shelf::Volume;
use crate::limits::{HISTORY_NAME_COST_BYTES, HISTORY_NAMES_FOUND_MAX};
use crate::model::{NetworkHandle, Seq, SubnetHandle};
use crate::store::disk::DiskFile;
use foldhash::HashMap;
use std::io;

/// Names that are read at once.
const PIECE_NAMES: u64 = 8_192;
/// Of so many names that follow each other one is remembered, so that a name is found with one read.
const STRIDE_NAMES: u64 = 32;

/// The names at the begin of a volume, and those that its records give.
///
/// Shape: an 80th of the names that the volume began with, and what the records gave that were read; with an
/// index only those of the block at hand.
#[derive(Debug)]
pub(super) struct NameTable<'f> {
    file: &'f dyn DiskFile,
    count: u64,
    /// Knows what records in front of those that are read gave.
    index: Option<&'f Index>,
    /// The first hand-over that is read.
    first: Seq,
    /// What the records since then gave; later ones replace earlier ones.
    newer: HashMap<NameKey, Name>,
    /// What was looked for before.
    found: HashMap<NameKey, Option<Named>>,
    /// Every 32nd key at the begin, once they were needed.
    strides: Option<Vec<NameKey>>,
    /// What finding names has cost, in bytes that could have been read instead.
    pub(super) cost: u64,
    /// A name couldn't be read.
    pub(super) is_damaged: bool,
}

impl<'f> NameTable<'f> {
    pub(super) fn new(file: &'f dyn DiskFile, volume: &Volume, index: Option<&'f Index>) -> Self {
        Self {
            file,
            count: volume.names.into(),
            index,
            first: volume.first,
            newer: HashMap::default(),
            found: HashMap::default(),
            strides: None,
            cost: 0,
            is_damaged: false,
        }
    }

    /// What is read next begins with this hand-over.
    pub(super) fn begin(&mut self, first: Seq) {
        self.first = first;
        self.newer.clear();
        if self.index.is_some_and(|index| index.name_count() > 0) {
            self.found.clear();
        }
    }

    /// A record gave it.
    pub(super) fn note(&mut self, name: Name) {
        self.newer.insert(name.key(), name);
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

    fn find(&mut self, key: NameKey) -> io::Result<Option<Named>> {
        if let Some(name) = self.newer.get(&key) {
            return Ok(Some(name.named));
        }
        if let Some(found) = self.found.get(&key) {
            return Ok(*found);
        }
        self.cost += HISTORY_NAME_COST_BYTES;
        let given = match self.index {
            Some(index) => index.find_name(key, self.first)?,
            None => None,
        };
        let found = match given {
            Some(name) => Some(name),
            None => self.search(key)?,
        };
        let named = found.map(|name| name.named);
        if self.found.len() >= HISTORY_NAMES_FOUND_MAX {
            self.found.clear();
        }
        self.found.insert(key, named);
        Ok(named)
    }

    /// Shape: one read of 32 names.
    fn search(&mut self, key: NameKey) -> io::Result<Option<Name>> {
        if self.strides.is_none() {
            self.each(&mut |_| {})?;
        }
        let strides = self.strides.as_deref().unwrap_or_default();
        let Some(stride) = strides.partition_point(|first| *first <= key).checked_sub(1) else {
            return Ok(None);
        };
        let at = stride as u64 * STRIDE_NAMES;
        let names = (self.count - at).min(STRIDE_NAMES) as usize;
        let mut bytes = [0; STRIDE_NAMES as usize * NAME_BYTES];
        let bytes = bytes.get_mut(..names * NAME_BYTES).unwrap_or_default();
        self.file.read_at(HEAD_LENGTH + at * NAME_BYTES as u64, bytes)?;
        for bytes in bytes.chunks_exact(NAME_BYTES) {
            match Name::decode(bytes) {
                Some(name) if name.key() == key => return Ok(Some(name)),
                Some(_) => {}
                None => self.is_damaged = true,
            }
        }
        Ok(None)
    }

    /// Gives all names at the begin, networks before their subnets.
    pub(super) fn each(&mut self, visit: &mut dyn FnMut(&Name)) -> io::Result<()> {
        let (mut at, mut strides) = (0, Vec::new());
        let mut last = (0, 0);
        let mut buffer = Vec::new();
        while at < self.count {
            let names = (self.count - at).min(PIECE_NAMES);
            buffer.resize(usize::try_from(names).unwrap_or(0) * NAME_BYTES, 0);
            self.file.read_at(HEAD_LENGTH + at * NAME_BYTES as u64, &mut buffer)?;
            for (number, bytes) in (at..).zip(buffer.chunks_exact(NAME_BYTES)) {
                let name = Name::decode(bytes);
                last = name.map_or(last, |name| name.key());
                if number % STRIDE_NAMES == 0 {
                    strides.push(last);
                }
                match name {
                    Some(name) => visit(&name),
                    None => self.is_damaged = true,
                }
            }
            at += names;
        }
        if self.strides.is_none() {
            self.cost += self.count * NAME_BYTES as u64;
            self.strides = Some(strides);
        }
        Ok(())
    }

    /// Gives all names that the index has: those that records give.
    ///
    /// # Errors
    /// Of the system; `InvalidData` if one is damaged.
    pub(super) fn each_given(&mut self, visit: &mut dyn FnMut(&Name)) -> io::Result<()> {
        let Some(index) = self.index else { return Ok(()) };
        self.cost += index.name_count() * NAME_BYTES as u64;
        index.each_name(visit)
    }
}
