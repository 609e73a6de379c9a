//! One way through a volume: which of its records are answers to a question. Reads batches that it is
//! given, and names.

use super::ask::{Ask, Mark, Subject};
use super::entry::{Home, Spot, When, entry_of, former_entry, place_of};
use super::name::{Name, Named, concerns_names};
use super::shelf::Volume;
use super::sieve::Key;
use super::table::NameTable;
use crate::journal::{BatchView, CellGlance, cell_glance, decode};
use crate::limits::HISTORY_PLACES_MAX;
use crate::model::{AllocationPlace, Effect, Family, NetworkHandle, Seq, SubnetHandle, number_of};
use addrd_protocol::message::HistoryEntry;
use std::collections::{BTreeSet, VecDeque};
use std::io;
use std::net::IpAddr;
use std::ops::ControlFlow;

/// Where an address can be in a volume: in subnets and pools that there were when it began, or that its
/// records give.
///
/// Shape: no more than [`HISTORY_PLACES_MAX`] places, whatever number of networks has the address, and a
/// number for each length that a prefix can have.
#[derive(Debug, Default)]
struct Places {
    /// Number of the network, of the subnet, and of the address in that; empty once they are too many.
    few: BTreeSet<(NetworkHandle, SubnetHandle, u128)>,
    are_many: bool,
    /// The numbers that the address has in any of them.
    offsets: BTreeSet<u128>,
    /// If it is asked about one network or pool: the numbers that this has or had.
    homes: BTreeSet<NetworkHandle>,
}

impl Places {
    /// Notes the place of the address in a subnet or pool that is asked about, if it has one there; a network
    /// comes before its subnets. A number may be of another network later: who that is is looked up.
    fn note_name(&mut self, name: &Name, ask: &Ask, address: &IpAddr) {
        let home = Home::of(&name.named).filter(|(home, _)| ask.is_home(home));
        if ask.home.is_some() && home.is_some() {
            self.homes.insert(name.network);
        }
        let place = match name.named {
            Named::Network { .. } => None,
            Named::Pool { family, .. } => (home.is_some() && family == Family::of(address))
                .then(|| (SubnetHandle(0), number_of(address))),
            Named::Subnet { subnet, prefix, .. } => {
                let is_own = ask.home.is_none() || self.homes.contains(&name.network);
                let offset = prefix.offset_of(address).filter(|_| is_own && !ask.is_pool);
                offset.map(|offset| (subnet, offset))
            }
        };
        if let Some((subnet, offset)) = place {
            self.note(name.network, subnet, offset);
        }
    }

    fn note(&mut self, network: NetworkHandle, subnet: SubnetHandle, offset: u128) {
        self.offsets.insert(offset);
        if !self.are_many {
            self.few.insert((network, subnet, offset));
        }
        if self.few.len() > HISTORY_PLACES_MAX {
            self.are_many = true;
            self.few.clear();
        }
    }

    /// Whether a record can be about one of them; of many it has to be looked up.
    fn can_be(&self, place: &AllocationPlace) -> bool {
        if self.are_many {
            return self.offsets.iter().any(|offset| is_in(*offset, place));
        }
        let first = (place.network, place.subnet, 0);
        let own = self.few.range(first..=(place.network, place.subnet, u128::MAX));
        own.into_iter().any(|(_, _, offset)| is_in(*offset, place))
    }

    /// What sieves are asked for; `None`: too much.
    fn keys(&self) -> Option<Vec<Key>> {
        let keys = |(network, subnet, offset): &(NetworkHandle, SubnetHandle, u128)| {
            [Key::cell(*network, *subnet, *offset), Key::wide(*network, *subnet)]
        };
        (!self.are_many).then(|| self.few.iter().flat_map(keys).collect())
    }
}

/// Whether what is at a place has the address with this number.
fn is_in(offset: u128, place: &AllocationPlace) -> bool {
    let above = |offset: u128| offset.checked_shr(place.block_bits.into()).unwrap_or(0);
    above(offset) == above(place.offset)
}

/// One way through a volume, or through some of its blocks.
pub(super) struct Pass<'a> {
    pub(super) names: NameTable<'a>,
    volume: &'a Volume,
    ask: &'a Ask,
    places: Places,
    /// Entries wanted from what is read next.
    room: usize,
    /// Oldest first.
    entries: VecDeque<(Mark, HistoryEntry)>,
    pub(super) is_damaged: bool,
}

impl<'a> Pass<'a> {
    pub(super) fn new(names: NameTable<'a>, volume: &'a Volume, ask: &'a Ask) -> Self {
        let (places, entries) = (Places::default(), VecDeque::new());
        Self { names, volume, ask, places, room: 0, entries, is_damaged: false }
    }

    /// Finds the subnets and pools that an address can be in, and what sieves are asked for.
    ///
    /// Shape: reads all names once if it is asked for an address.
    ///
    /// # Errors
    /// Of the system; `InvalidData` if the index is damaged.
    pub(super) fn keys(&mut self) -> io::Result<Option<Vec<Key>>> {
        let address = match self.ask.subject {
            Subject::Owner(owner, _) => return Ok(Some(vec![Key::owner(owner)])),
            Subject::Address(address) => address,
        };
        let (ask, places) = (self.ask, &mut self.places);
        self.names.each(&mut |name| places.note_name(name, ask, &address))?;
        self.names.each_given(&mut |name| places.note_name(name, ask, &address))?;
        Ok(places.keys())
    }

    /// What is read next begins with this hand-over; tells how many entries are wanted of it.
    pub(super) fn begin(&mut self, first: Seq, room: usize) {
        self.names.begin(first);
        self.room = room;
    }

    /// The entries of what was read, oldest first.
    pub(super) fn end(&mut self) -> VecDeque<(Mark, HistoryEntry)> {
        std::mem::take(&mut self.entries)
    }

    pub(super) fn take(&mut self, batch: &BatchView<'_>) -> io::Result<ControlFlow<()>> {
        let header = batch.header();
        let when =
            When { tick: header.tick, position: header.last, incarnation: self.volume.incarnation };
        let mut records = batch.records();
        let mut item = 0;
        while let Some(record) = records.next_raw() {
            let Ok(record) = record else {
                self.is_damaged = true;
                break;
            };
            self.take_record(record, when, item)?;
            item += 1;
            if self.ask.oldest_first && self.entries.len() >= self.room {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    fn take_record(&mut self, record: &[u8], when: When, item: u32) -> io::Result<()> {
        if concerns_names(record) {
            match decode(record) {
                Ok((effect, _)) => self.note(&effect, when.position),
                Err(_) => self.is_damaged = true,
            }
            return Ok(());
        }
        match cell_glance(record) {
            Ok(Some(glance)) if self.can_be_about(&glance) => self.take_cell(record, when, item),
            Ok(_) => Ok(()),
            Err(_) => {
                self.is_damaged = true;
                Ok(())
            }
        }
    }

    /// Follows a network, pool or subnet.
    fn note(&mut self, effect: &Effect, position: Seq) {
        let Some(name) = Name::of(effect, position) else { return };
        if let Subject::Address(address) = self.ask.subject {
            self.places.note_name(&name, self.ask, &address);
        }
        self.names.note(name);
    }

    fn can_be_about(&self, glance: &CellGlance) -> bool {
        match self.ask.subject {
            Subject::Owner(owner, _) => [glance.owner, glance.former].contains(&Some(owner)),
            Subject::Address(_) => self.places.can_be(&glance.place),
        }
    }

    fn take_cell(&mut self, record: &[u8], when: When, item: u32) -> io::Result<()> {
        let Ok((effect, _)) = decode(record) else {
            self.is_damaged = true;
            return Ok(());
        };
        let Some(place) = place_of(&effect) else { return Ok(()) };
        let Some(spot) = self.spot(place.network, place.subnet)? else { return Ok(()) };
        if !self.is_about(&spot, place) {
            return Ok(());
        }
        // A record that transfers is two changes: it went from one, and came to the other.
        let project = self.ask.project;
        let went = former_entry(&effect, &spot, when, project);
        let came = entry_of(&effect, &spot, when, project);
        for (half, entry) in [(0, went), (1, came)] {
            let item = item.saturating_mul(2).saturating_add(half);
            let mark = Mark { incarnation: when.incarnation, position: when.position, item };
            let Some(entry) = entry else { continue };
            if self.ask.is_wanted(mark, when.tick) && self.is_of_subject(&entry) {
                self.push(mark, entry);
            }
        }
        Ok(())
    }

    /// Whether a place has the address that is asked about, in the subnet that it was in then.
    fn is_about(&self, spot: &Spot, place: &AllocationPlace) -> bool {
        match self.ask.subject {
            Subject::Owner(..) => true,
            Subject::Address(address) => {
                spot.prefix.offset_of(&address).is_some_and(|offset| is_in(offset, place))
            }
        }
    }

    /// Whether an entry is of the owner that is asked about; whose another project's is stays hidden.
    fn is_of_subject(&self, entry: &HistoryEntry) -> bool {
        match self.ask.subject {
            Subject::Address(_) => true,
            Subject::Owner(owner, slot) => {
                entry.owner == owner && slot.is_none_or(|slot| slot == entry.slot)
            }
        }
    }

    fn push(&mut self, mark: Mark, entry: HistoryEntry) {
        if self.ask.oldest_first && self.entries.len() >= self.room {
            return;
        }
        if !self.ask.oldest_first && self.entries.len() >= self.room {
            self.entries.pop_front();
        }
        self.entries.push_back((mark, entry));
    }

    /// Where a record is, if that is asked for.
    fn spot(&mut self, network: NetworkHandle, subnet: SubnetHandle) -> io::Result<Option<Spot>> {
        let named = self.names.network(network)?;
        let Some((home, family)) = named.as_ref().and_then(Home::of) else {
            self.is_damaged = true;
            return Ok(None);
        };
        if !self.ask.is_home(&home) {
            return Ok(None);
        }
        let spot = match family {
            Some(family) => Spot::of_pool(home, family),
            None => {
                let named = self.names.subnet(network, subnet)?;
                named.as_ref().and_then(|named| Spot::of_subnet(home, named))
            }
        };
        self.is_damaged |= spot.is_none();
        Ok(spot)
    }
}
