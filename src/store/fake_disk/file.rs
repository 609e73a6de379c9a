//! A file: what is durable, what is readable, and what lies between.

use super::content::Content;
use super::random::Random;
use std::io;

/// The smallest piece that a power loss keeps or loses as a whole, bytes.
const SECTOR_BYTES: u64 = 512;

#[derive(Clone, Debug, Default)]
pub(super) struct FileState {
    durable: Content,
    current: Content,
    /// What was done since the last sync, in order.
    pending: Vec<Change>,
}

#[derive(Clone, Debug)]
enum Change {
    Write { offset: u64, data: Vec<u8> },
    SetLen(u64),
}

impl FileState {
    pub(super) fn len(&self) -> u64 {
        self.current.len()
    }

    pub(super) fn content(&self) -> Vec<u8> {
        self.current.to_vec()
    }

    pub(super) fn damage(&mut self, change: impl Fn(&mut Vec<u8>)) {
        self.sync();
        let mut bytes = self.durable.to_vec();
        change(&mut bytes);
        self.durable = bytes.into();
        self.current = self.durable.clone();
    }

    pub(super) fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.current.read(offset, out)
    }

    pub(super) fn write(&mut self, offset: u64, data: &[u8]) {
        self.current.put(offset, data);
        self.pending.push(Change::Write { offset, data: data.to_vec() });
    }

    pub(super) fn set_len(&mut self, len: u64) {
        self.current.cut(len);
        self.pending.push(Change::SetLen(len));
    }

    pub(super) fn sync(&mut self) {
        for change in self.pending.drain(..) {
            match change {
                Change::Write { offset, data } => self.durable.put(offset, &data),
                Change::SetLen(len) => self.durable.cut(len),
            }
        }
    }

    /// A failed sync: the system takes the pages for clean.
    pub(super) fn forget_pending(&mut self) {
        self.pending.clear();
    }

    /// What is clean is forgotten; what waits to be written stays.
    pub(super) fn drop_cache(&mut self) {
        self.current.clone_from(&self.durable);
        for change in &self.pending {
            match change {
                Change::Write { offset, data } => self.current.put(*offset, data),
                Change::SetLen(len) => self.current.cut(*len),
            }
        }
    }

    pub(super) fn power_loss(&mut self, random: &mut Random) {
        // None, all, or each piece by chance: extremes are worth their own share.
        let style = random.below(6);
        let odds = 1 + random.below(6);
        for change in std::mem::take(&mut self.pending) {
            let keep = |random: &mut Random| match style {
                0 => false,
                1 => true,
                _ => random.below(odds + 1) > 0,
            };
            match change {
                Change::Write { offset, data } => {
                    for (at, piece) in sectors(offset, &data) {
                        if keep(random) {
                            self.durable.put(at, piece);
                        }
                    }
                }
                Change::SetLen(len) => {
                    if keep(random) {
                        self.durable.cut(len);
                    }
                }
            }
        }
        self.current.clone_from(&self.durable);
    }
}

/// Data in pieces that end at multiples of [`SECTOR_BYTES`].
fn sectors(offset: u64, data: &[u8]) -> impl Iterator<Item = (u64, &[u8])> {
    let mut at = offset;
    let mut rest = data;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let room = SECTOR_BYTES - at % SECTOR_BYTES;
        let count = usize::try_from(room).unwrap_or(rest.len()).min(rest.len());
        let (piece, behind) = rest.split_at(count);
        let place = at;
        at += count as u64;
        rest = behind;
        Some((place, piece))
    })
}
