//! Looks something up in history: goes through volumes one after the other, newest or oldest first,
//! within a bound of work, and says where to go on. Writes nothing.

use super::entry::{Home, Spot, When, entry_of, former_entry, place_of};
use super::layout::volume_file;
use super::name::{Name, Named, concerns_names};
use super::scan::{Piece, scan};
use super::shelf::{Shelf, View, Volume};
use super::table::NameTable;
use crate::journal::{BatchView, CellGlance, cell_glance, decode};
use crate::limits::{HISTORY_LOOK_BYTES_MAX, HISTORY_TICK_SLACK_MS};
use crate::model::{
    Incarnation, NetworkHandle, OwnerId, ProjectId, Seq, ServerId, Slot, SubnetHandle, Tick,
    number_of,
};
use crate::store::disk::{Disk, DiskFile};
use addrd_protocol::message::HistoryEntry;
use foldhash::HashMap;
use std::collections::VecDeque;
use std::io;
use std::net::IpAddr;
use std::ops::ControlFlow;
use std::sync::Arc;
use uuid::Uuid;

/// A place between two entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark {
    /// Of the position.
    pub incarnation: Incarnation,
    /// Position of a batch: its last hand-over.
    pub position: Seq,
    /// Number of a record in it.
    pub item: u32,
}

/// What is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// An address, and what it is in.
    Address(IpAddr),
    /// What an owner holds, in all slots or one.
    Owner(OwnerId, Option<Slot>),
}

/// A question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ask {
    /// Who asks.
    pub project: ProjectId,
    /// Only in this network or pool: its project and id; none = in all networks.
    pub home: Option<(ProjectId, Uuid)>,
    /// That is a pool.
    pub is_pool: bool,
    /// What about.
    pub subject: Subject,
    /// Not before this.
    pub from: Tick,
    /// Not behind this.
    pub to: Tick,
    /// The oldest comes first, else the newest.
    pub oldest_first: bool,
    /// Entries, at most; not 0.
    pub limit: usize,
    /// Only behind this place, in the order asked for.
    pub mark: Option<Mark>,
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// In the order asked for.
    pub entries: Vec<HistoryEntry>,
    /// Where to go on; none = that is all.
    pub next: Option<Mark>,
    /// Nothing is missing since then.
    pub reach: Tick,
    /// Up to here everything was there to be looked at.
    pub position: Seq,
    /// Something couldn't be read.
    pub is_incomplete: bool,
}

/// Looks things up.
///
/// Concurrency: any thread, beside the one that writes.
#[derive(Clone, Debug)]
pub struct Looker {
    disk: Arc<dyn Disk>,
    shelf: Arc<Shelf>,
    server: ServerId,
}

impl Looker {
    /// Reads what is on a shelf.
    #[must_use]
    pub const fn new(disk: Arc<dyn Disk>, shelf: Arc<Shelf>, server: ServerId) -> Self {
        Self { disk, shelf, server }
    }

    /// Answers.
    ///
    /// Shape: reads at most [`HISTORY_LOOK_BYTES_MAX`], and what else is in the volume at hand then;
    /// holds the entries of the answer and about 1 MiB.
    #[must_use]
    pub fn look(&self, ask: &Ask) -> Told {
        let View { volumes, reach, least, taken } = self.shelf.view();
        let ask = Ask { from: ask.from.max(least), ..*ask };
        let mut told =
            Told { entries: Vec::new(), next: None, reach, position: taken, is_incomplete: false };
        let mut bytes = 0;
        let order: Vec<&Volume> = match ask.oldest_first {
            true => volumes.iter().collect(),
            false => volumes.iter().rev().collect(),
        };
        for volume in order.into_iter().filter(|volume| ask.concerns(volume)) {
            if bytes >= HISTORY_LOOK_BYTES_MAX {
                told.next = Some(ask.edge_of(volume));
                return told;
            }
            let room = ask.limit - told.entries.len();
            let found = match self.look_through(volume, &ask, room) {
                Ok(found) => found,
                // It went meanwhile, as too old or too much.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => {
                    tracing::warn!(%error, number = volume.number, "history can't be read");
                    Found { is_damaged: true, ..Found::default() }
                }
            };
            bytes += found.bytes;
            if found.is_damaged {
                told.is_incomplete = true;
                self.shelf.note_damage(volume.number);
            }
            let marks = found.entries.iter().map(|(mark, _)| *mark);
            let last = if ask.oldest_first { marks.max() } else { marks.min() };
            let entries = found.entries.into_iter().map(|(_, entry)| entry);
            match ask.oldest_first {
                true => told.entries.extend(entries),
                false => told.entries.extend(entries.rev()),
            }
            if told.entries.len() >= ask.limit {
                told.next = last;
                told.reach = told.reach.max(self.shelf.figures().reach);
                return told;
            }
        }
        // A volume may have gone meanwhile.
        told.reach = told.reach.max(self.shelf.figures().reach);
        told
    }

    /// Whether there is or was such a network or pool.
    ///
    /// Shape: reads no more than a question, newest first; what it doesn't reach is taken to be known.
    #[must_use]
    pub fn knows(&self, home: (ProjectId, Uuid), is_pool: bool) -> bool {
        let mut bytes = 0;
        for volume in self.shelf.view().volumes.iter().rev() {
            if bytes >= HISTORY_LOOK_BYTES_MAX {
                return true;
            }
            // What can't be read may know it.
            if self.is_named_in(volume, home, is_pool).unwrap_or(true) {
                return true;
            }
            bytes += volume.end;
        }
        false
    }

    fn is_named_in(
        &self,
        volume: &Volume,
        home: (ProjectId, Uuid),
        is_pool: bool,
    ) -> io::Result<bool> {
        let file = self.disk.open(&volume_file(volume.number))?;
        let is_it = |name: &Name| {
            Home::of(&name.named).is_some_and(|(found, _)| {
                (found.project, found.id, found.is_pool) == (home.0, home.1, is_pool)
            })
        };
        let mut is_found = false;
        let mut names = NameTable::new(&*file, volume);
        names.each(&mut |name| is_found |= is_it(name))?;
        if is_found {
            return Ok(true);
        }
        let identity = (self.server, volume.incarnation);
        scan(&*file, identity, Piece::all(volume), &mut |batch, _| {
            let mut records = batch.records();
            while let Some(Ok(record)) = records.next_raw() {
                let named = concerns_names(record).then(|| decode(record).ok()).flatten();
                let name = named.and_then(|(effect, _)| Name::of(&effect, Seq(0)));
                is_found |= name.as_ref().is_some_and(is_it);
            }
            if is_found { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        Ok(is_found)
    }

    fn look_through(&self, volume: &Volume, ask: &Ask, room: usize) -> io::Result<Found> {
        let file = self.disk.open(&volume_file(volume.number))?;
        let mut pass = Pass::new(&*file, volume, ask, room);
        pass.find_candidates()?;
        let identity = (self.server, volume.incarnation);
        let mut failed = None;
        let scanned =
            scan(&*file, identity, Piece::all(volume), &mut |batch, _| match pass.take(batch) {
                Ok(flow) => flow,
                Err(error) => {
                    failed = Some(error);
                    ControlFlow::Break(())
                }
            })?;
        if let Some(error) = failed {
            return Err(error);
        }
        let is_damaged =
            scanned.is_broken || pass.names.is_damaged || pass.is_damaged || volume.is_damaged;
        let bytes = pass.names.bytes() + volume.end - volume.begin;
        Ok(Found { entries: pass.entries, bytes, is_damaged })
    }
}

impl Ask {
    /// Whether something in a volume can be an answer.
    fn concerns(&self, volume: &Volume) -> bool {
        let begin = volume.since.0.saturating_sub(HISTORY_TICK_SLACK_MS);
        let in_time = volume.tick >= self.from && begin <= self.to.0;
        let is_ahead = self.mark.is_none_or(|mark| match self.oldest_first {
            true => (volume.incarnation, volume.last) >= (mark.incarnation, mark.position),
            false => (volume.incarnation, volume.first) <= (mark.incarnation, mark.position),
        });
        in_time && is_ahead && (!volume.is_empty() || volume.is_damaged)
    }

    /// The place in front of everything in a volume, in the order asked for.
    const fn edge_of(&self, volume: &Volume) -> Mark {
        let incarnation = volume.incarnation;
        match self.oldest_first {
            true => Mark { incarnation, position: volume.first, item: 0 }.before(),
            false => Mark { incarnation, position: Seq(volume.last.0.saturating_add(1)), item: 0 },
        }
    }

    fn is_wanted(&self, mark: Mark, tick: Tick) -> bool {
        let is_behind = self.mark.is_none_or(|begin| match self.oldest_first {
            true => mark > begin,
            false => mark < begin,
        });
        is_behind && self.from <= tick && tick <= self.to
    }
}

impl Mark {
    /// The place just in front of it.
    const fn before(self) -> Self {
        Self { position: Seq(self.position.0.saturating_sub(1)), item: u32::MAX, ..self }
    }
}

/// What one volume has.
#[derive(Debug, Default)]
struct Found {
    /// Oldest first.
    entries: VecDeque<(Mark, HistoryEntry)>,
    bytes: u64,
    is_damaged: bool,
}

/// One way through a volume.
struct Pass<'a> {
    names: NameTable<'a>,
    volume: &'a Volume,
    ask: &'a Ask,
    room: usize,
    /// Of an address: subnets that it is in, and pools; with its number in them.
    candidates: HashMap<(NetworkHandle, SubnetHandle), u128>,
    entries: VecDeque<(Mark, HistoryEntry)>,
    is_damaged: bool,
}

impl<'a> Pass<'a> {
    fn new(file: &'a dyn DiskFile, volume: &'a Volume, ask: &'a Ask, room: usize) -> Self {
        Self {
            names: NameTable::new(file, volume),
            volume,
            ask,
            room,
            candidates: HashMap::default(),
            entries: VecDeque::new(),
            is_damaged: false,
        }
    }

    /// Subnets and pools that there were when the volume began.
    fn find_candidates(&mut self) -> io::Result<()> {
        let Subject::Address(address) = self.ask.subject else { return Ok(()) };
        let (ask, candidates) = (self.ask, &mut self.candidates);
        let mut network = None;
        self.names.each(&mut |name| {
            if let Some((home, _)) = Home::of(&name.named) {
                network = Some((name.network, home));
            }
            let home = network.filter(|(number, _)| *number == name.network);
            if let Some((_, home)) = home
                && let Some((key, offset)) = candidate(name, &home, ask, &address)
            {
                candidates.insert(key, offset);
            }
        })
    }

    fn take(&mut self, batch: &BatchView<'_>) -> io::Result<ControlFlow<()>> {
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
            return match decode(record) {
                Ok((effect, _)) => match Name::of(&effect, when.position) {
                    Some(name) => self.note(name),
                    None => Ok(()),
                },
                Err(_) => {
                    self.is_damaged = true;
                    Ok(())
                }
            };
        }
        match cell_glance(record) {
            Ok(Some(glance)) if self.is_about(&glance) => self.take_cell(record, when, item),
            Ok(_) => Ok(()),
            Err(_) => {
                self.is_damaged = true;
                Ok(())
            }
        }
    }

    /// Follows a network, pool or subnet.
    fn note(&mut self, name: Name) -> io::Result<()> {
        self.names.note(name);
        let Subject::Address(address) = self.ask.subject else { return Ok(()) };
        // A number may have been another subnet's before.
        if let Named::Subnet { subnet, .. } = name.named {
            self.candidates.remove(&(name.network, subnet));
        }
        let home = self.names.network(name.network)?.as_ref().and_then(Home::of);
        if let Some((home, _)) = home
            && let Some((key, offset)) = candidate(&name, &home, self.ask, &address)
        {
            self.candidates.insert(key, offset);
        }
        Ok(())
    }

    fn is_about(&self, glance: &CellGlance) -> bool {
        match self.ask.subject {
            Subject::Owner(owner, _) => [glance.owner, glance.former].contains(&Some(owner)),
            Subject::Address(_) => {
                let place = &glance.place;
                let wanted = self.candidates.get(&(place.network, place.subnet));
                let same = |wanted: &u128| {
                    let above =
                        |offset: u128| offset.checked_shr(place.block_bits.into()).unwrap_or(0);
                    above(*wanted) == above(place.offset)
                };
                wanted.is_some_and(same)
            }
        }
    }

    fn take_cell(&mut self, record: &[u8], when: When, item: u32) -> io::Result<()> {
        let Ok((effect, _)) = decode(record) else {
            self.is_damaged = true;
            return Ok(());
        };
        let Some(place) = place_of(&effect) else { return Ok(()) };
        let Some(spot) = self.spot(place.network, place.subnet)? else { return Ok(()) };
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

impl Ask {
    /// Whether it is asked about what is in this network or pool.
    fn is_home(&self, home: &Home) -> bool {
        home.is_pool == self.is_pool
            && self.home.is_none_or(|(project, id)| project == home.project && id == home.id)
    }
}

/// The place of an address in a subnet or pool, if it has one there.
fn candidate(
    name: &Name,
    home: &Home,
    ask: &Ask,
    address: &IpAddr,
) -> Option<((NetworkHandle, SubnetHandle), u128)> {
    if !ask.is_home(home) {
        return None;
    }
    match name.named {
        Named::Network { .. } => None,
        Named::Pool { family, .. } => {
            let is_of = family == crate::model::Family::of(address);
            is_of.then(|| ((name.network, SubnetHandle(0)), number_of(address)))
        }
        Named::Subnet { subnet, prefix, .. } => {
            prefix.offset_of(address).map(|offset| ((name.network, subnet), offset))
        }
    }
}
