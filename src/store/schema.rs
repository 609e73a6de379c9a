//! Layout of the rows: tables, keys, envelopes, meta rows. `docs/disk-format.md` has it byte by
//! byte. Reads and writes no file.

use super::journal::{Anchor, Place};
use crate::journal::{Reader, Short};
use crate::model::{
    HostName, Incarnation, JobId, NetworkHandle, Revision, Seq, ServerId, SubnetHandle, Thing, Tick,
};
use crc32c::{crc32c, crc32c_append};
use redb::TableDefinition;
use uuid::Uuid;

/// Version of everything that is stored. Directories of every version from 1 on are opened by all later servers
/// (decision 0031); 0 was before the first that was promised.
pub const FORMAT_VERSION: u32 = 4;

/// The first version that was promised. What a directory of it lacks is made when it is opened.
pub(crate) const FORMAT_VERSION_FIRST: u32 = 1;

/// Table with keys of `N` bytes.
pub(crate) type Definition<const N: usize> =
    TableDefinition<'static, &'static [u8; N], &'static [u8]>;

/// The meta row.
pub(crate) const META: Definition<1> = TableDefinition::new("meta");
/// Networks by handle.
pub(crate) const NETWORKS: Definition<4> = TableDefinition::new("network");
/// Last revision by network.
pub(crate) const REVISIONS: Definition<4> = TableDefinition::new("revision");
/// Subnets by network and handle.
pub(crate) const SUBNETS: Definition<8> = TableDefinition::new("subnet");
/// Exclusions by network, subnet and number of their first address.
pub(crate) const EXCLUSIONS: Definition<24> = TableDefinition::new("exclusion");
/// Cursor of `next` by network and subnet.
pub(crate) const CURSORS: Definition<8> = TableDefinition::new("cursor");
/// Groups of 32 offsets by network, subnet and group.
pub(crate) const CELLS: Definition<24> = TableDefinition::new("cell");
/// Texts of a cell by network, subnet and offset.
pub(crate) const TEXTS: Definition<24> = TableDefinition::new("text");
/// Jobs by number.
pub(crate) const JOBS: Definition<8> = TableDefinition::new("job");

/// Segments by network and the revision at which they were made; so are the three below.
pub(crate) const SEGMENTS: Definition<12> = TableDefinition::new("segment");
/// Hosts that reach segments.
pub(crate) const HOSTS: Definition<12> = TableDefinition::new("host");
/// Ports.
pub(crate) const PORTS: Definition<12> = TableDefinition::new("port");
/// Pins.
pub(crate) const PINS: Definition<12> = TableDefinition::new("pin");

/// Leases of hosts by project, and a number of manager and host.
pub(crate) const HOST_LEASES: Definition<32> = TableDefinition::new("host_lease");

/// Key of the only meta row.
pub(crate) const META_KEY: [u8; 1] = [0];

/// A table of the state, as a number in checksums and sums.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum StateTable {
    Networks = 0,
    Revisions = 1,
    Subnets = 2,
    Exclusions = 3,
    Cursors = 4,
    Cells = 5,
    Texts = 6,
    Jobs = 7,
    Segments = 40,
    Hosts = 41,
    Ports = 42,
    Pins = 43,
    HostLeases = 44,
}

impl StateTable {
    pub(crate) const COUNT: usize = 13;
    pub(crate) const ALL: [Self; Self::COUNT] = [
        Self::Networks,
        Self::Revisions,
        Self::Subnets,
        Self::Exclusions,
        Self::Cursors,
        Self::Cells,
        Self::Texts,
        Self::Jobs,
        Self::Segments,
        Self::Hosts,
        Self::Ports,
        Self::Pins,
        Self::HostLeases,
    ];

    /// Tables that a state of this format has; they are the first ones.
    const fn count_in(version: u32) -> usize {
        if version == FORMAT_VERSION_FIRST { 12 } else { Self::COUNT }
    }

    /// Its place in [`StateTable::ALL`], and so that of its sum.
    pub(crate) const fn place(self) -> usize {
        match self {
            Self::Segments => 8,
            Self::Hosts => 9,
            Self::Ports => 10,
            Self::Pins => 11,
            Self::HostLeases => 12,
            first => first as usize,
        }
    }

    /// The table that has these things.
    pub(crate) const fn of(thing: Thing) -> Self {
        match thing {
            Thing::Segment => Self::Segments,
            Thing::Host => Self::Hosts,
            Thing::Port => Self::Ports,
            Thing::Pin => Self::Pins,
        }
    }

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Networks => "network",
            Self::Revisions => "revision",
            Self::Subnets => "subnet",
            Self::Exclusions => "exclusion",
            Self::Cursors => "cursor",
            Self::Cells => "cell",
            Self::Texts => "text",
            Self::Jobs => "job",
            Self::Segments => "segment",
            Self::Hosts => "host",
            Self::Ports => "port",
            Self::Pins => "pin",
            Self::HostLeases => "host_lease",
        }
    }
}

/// Number of the meta rows in their checksums.
const META_TABLE: u8 = 0xff;

/// Offsets that share a row.
pub(crate) const GROUP_CELLS: u128 = 32;

pub(crate) const fn network_key(network: NetworkHandle) -> [u8; 4] {
    network.0.to_be_bytes()
}

pub(crate) fn subnet_key(network: NetworkHandle, subnet: SubnetHandle) -> [u8; 8] {
    ((u64::from(network.0) << 32) | u64::from(subnet.0)).to_be_bytes()
}

/// Key of a cell group (its number), an exclusion (number of an address) or texts (an offset).
pub(crate) fn place_key(network: NetworkHandle, subnet: SubnetHandle, number: u128) -> [u8; 24] {
    let mut key = [0; 24];
    key[..8].copy_from_slice(&subnet_key(network, subnet));
    key[8..].copy_from_slice(&number.to_be_bytes());
    key
}

pub(crate) fn split_subnet_key(key: &[u8; 8]) -> (NetworkHandle, SubnetHandle) {
    let [n0, n1, n2, n3, s0, s1, s2, s3] = *key;
    (
        NetworkHandle(u32::from_be_bytes([n0, n1, n2, n3])),
        SubnetHandle(u32::from_be_bytes([s0, s1, s2, s3])),
    )
}

pub(crate) fn split_place_key(key: &[u8; 24]) -> (NetworkHandle, SubnetHandle, u128) {
    let (mut subnet, mut number) = ([0; 8], [0; 16]);
    subnet.copy_from_slice(&key[..8]);
    number.copy_from_slice(&key[8..]);
    let (network, subnet) = split_subnet_key(&subnet);
    (network, subnet, u128::from_be_bytes(number))
}

/// Key of a thing: its network, and the revision at which it was made.
pub(crate) fn thing_key(network: NetworkHandle, created: Revision) -> [u8; 12] {
    let mut key = [0; 12];
    key[..4].copy_from_slice(&network_key(network));
    key[4..].copy_from_slice(&created.0.to_be_bytes());
    key
}

pub(crate) fn split_thing_key(key: &[u8; 12]) -> (NetworkHandle, Revision) {
    let [n0, n1, n2, n3, created @ ..] = *key;
    (NetworkHandle(u32::from_be_bytes([n0, n1, n2, n3])), Revision(u64::from_be_bytes(created)))
}

/// Key of a host lease: its project, and a version 5 UUID of the texts, each behind its length.
pub(crate) fn host_key(of: &HostName) -> [u8; 32] {
    const NAMESPACE: Uuid = Uuid::from_u128(0x0f1b_4c43_6d2e_4f0e_9d3a_5b8c_71e2_a604);
    let mut name = Vec::with_capacity(512);
    for text in [&of.manager, &of.host] {
        name.push(text.len() as u8);
        name.extend_from_slice(text.as_bytes());
    }
    let mut key = [0; 32];
    key[..16].copy_from_slice(of.project.as_bytes());
    key[16..].copy_from_slice(Uuid::new_v5(&NAMESPACE, &name).as_bytes());
    key
}

pub(crate) const fn job_key(job: JobId) -> [u8; 8] {
    job.0.to_be_bytes()
}

/// Bytes in front of the body of a row: CRC-32C (4), applied seq (8).
pub(crate) const ENVELOPE_BYTES: usize = 12;

/// A row as stored: checksum over table, key and the rest; the seq up to which it holds; the body.
pub(crate) fn seal_row(table: StateTable, key: &[u8], applied: Seq, body: &[u8]) -> Vec<u8> {
    seal(table as u8, key, applied, body)
}

fn seal(table: u8, key: &[u8], applied: Seq, body: &[u8]) -> Vec<u8> {
    let mut row = Vec::with_capacity(ENVELOPE_BYTES + body.len());
    row.extend_from_slice(&[0; 4]);
    row.extend_from_slice(&applied.0.to_be_bytes());
    row.extend_from_slice(body);
    let crc = row_crc(table, key, &row[4..]);
    row[..4].copy_from_slice(&crc.to_be_bytes());
    row
}

/// The body and applied seq of a row, if its checksum is right.
pub(crate) fn open_row<'a>(
    table: StateTable,
    key: &[u8],
    row: &'a [u8],
) -> Option<(Seq, &'a [u8])> {
    open(table as u8, key, row)
}

fn open<'a>(table: u8, key: &[u8], row: &'a [u8]) -> Option<(Seq, &'a [u8])> {
    let (crc, rest) = row.split_first_chunk::<4>()?;
    if u32::from_be_bytes(*crc) != row_crc(table, key, rest) {
        return None;
    }
    let (applied, body) = rest.split_first_chunk::<8>()?;
    Some((Seq(u64::from_be_bytes(*applied)), body))
}

/// A meta row of what stands behind its checksum; for [`super::row`].
pub(crate) fn seal_meta(rest: &[u8]) -> Option<Vec<u8>> {
    let (seq, body) = rest.split_first_chunk::<8>()?;
    Some(seal(META_TABLE, &META_KEY, Seq(u64::from_be_bytes(*seq)), body))
}

fn row_crc(table: u8, key: &[u8], rest: &[u8]) -> u32 {
    crc32c_append(crc32c_append(crc32c(&[table]), key), rest)
}

/// What a row adds to the sum of its table: depends on table, key and value by its checksum.
pub(crate) fn row_hash(table: StateTable, row: &[u8]) -> u64 {
    let crc = row.first_chunk::<4>().map_or(0, |crc| u32::from_be_bytes(*crc));
    let mut x = (u64::from(crc) | (table as u64) << 32).wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// How many rows a table has, and their sum: a row that is lost, stale or twice shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct TableSum {
    pub(crate) rows: u64,
    pub(crate) sum: u64,
}

impl TableSum {
    pub(crate) fn add(&mut self, table: StateTable, row: &[u8]) {
        self.rows = self.rows.wrapping_add(1);
        self.sum = self.sum.wrapping_add(row_hash(table, row));
    }

    pub(crate) fn remove(&mut self, table: StateTable, row: &[u8]) {
        self.rows = self.rows.wrapping_sub(1);
        self.sum = self.sum.wrapping_sub(row_hash(table, row));
    }
}

/// Meta row of the state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StateMeta {
    pub(crate) server: ServerId,
    pub(crate) incarnation: Incarnation,
    /// All hand-overs up to here are in every row.
    pub(crate) folded: Seq,
    /// Checksum of the batch that ends there.
    pub(crate) folded_crc: u32,
    /// Where that batch stands in the journal.
    pub(crate) folded_place: Place,
    /// Last hand-over of the chunk that is being folded; `folded` if there is none.
    pub(crate) chunk_last: Seq,
    /// Tick of the batch at `folded`.
    pub(crate) tick: Tick,
    /// Highest handle that a network ever had.
    pub(crate) network_handle_max: u32,
    /// Highest number that a job ever had.
    pub(crate) job_max: u64,
    /// When adoption mode began; 0 = it is not on.
    pub(crate) adoption: Tick,
    pub(crate) sums: [TableSum; StateTable::COUNT],
}

impl StateMeta {
    pub(crate) fn new(server: ServerId, incarnation: Incarnation) -> Self {
        Self {
            server,
            incarnation,
            folded: Seq(0),
            folded_crc: 0,
            folded_place: Place::default(),
            chunk_last: Seq(0),
            tick: Tick(0),
            network_handle_max: 0,
            job_max: 0,
            adoption: Tick(0),
            sums: [TableSum::default(); StateTable::COUNT],
        }
    }

    /// The batch at which the state ends.
    pub(crate) const fn anchor(&self) -> Anchor {
        Anchor { last: self.folded, crc: self.folded_crc, place: self.folded_place }
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut body = Vec::with_capacity(256);
        body.extend_from_slice(&FORMAT_VERSION.to_be_bytes());
        body.extend_from_slice(self.server.as_bytes());
        body.extend_from_slice(&self.incarnation.0.to_be_bytes());
        body.extend_from_slice(&self.folded_crc.to_be_bytes());
        body.extend_from_slice(&self.folded_place.0.to_be_bytes());
        body.extend_from_slice(&self.chunk_last.0.to_be_bytes());
        body.extend_from_slice(&self.tick.0.to_be_bytes());
        body.extend_from_slice(&self.network_handle_max.to_be_bytes());
        body.extend_from_slice(&self.job_max.to_be_bytes());
        body.extend_from_slice(&self.adoption.0.to_be_bytes());
        for table in self.sums {
            body.extend_from_slice(&table.rows.to_be_bytes());
            body.extend_from_slice(&table.sum.to_be_bytes());
        }
        seal(META_TABLE, &META_KEY, self.folded, &body)
    }

    /// The row and the version that it was written in; `Ok(None)` if it is damaged; the version if it is newer.
    pub(crate) fn decode(row: &[u8]) -> Result<Option<(Self, u32)>, u32> {
        let Some((folded, body)) = open(META_TABLE, &META_KEY, row) else { return Ok(None) };
        let mut reader = Reader::new(body);
        match reader.u32() {
            Ok(version @ FORMAT_VERSION_FIRST..=FORMAT_VERSION) => {
                Ok(Self::read(folded, reader, version).ok().map(|meta| (meta, version)))
            }
            Ok(version) => Err(version),
            Err(Short) => Ok(None),
        }
    }

    fn read(folded: Seq, mut reader: Reader<'_>, version: u32) -> Result<Self, Short> {
        let mut meta = Self {
            server: ServerId::from_bytes(reader.array()?),
            incarnation: Incarnation(reader.u32()?),
            folded,
            folded_crc: reader.u32()?,
            folded_place: Place(reader.u64()?),
            chunk_last: Seq(reader.u64()?),
            tick: Tick(reader.u64()?),
            network_handle_max: reader.u32()?,
            job_max: reader.u64()?,
            adoption: Tick(reader.u64()?),
            sums: [TableSum::default(); StateTable::COUNT],
        };
        for table in meta.sums.iter_mut().take(StateTable::count_in(version)) {
            *table = TableSum { rows: reader.u64()?, sum: reader.u64()? };
        }
        if reader.is_empty() { Ok(meta) } else { Err(Short) }
    }
}

/// Body of a revision row.
pub(crate) const fn revision_body(revision: Revision) -> [u8; 8] {
    revision.0.to_be_bytes()
}

/// Body of a cursor row.
pub(crate) const fn cursor_body(cursor: u128) -> [u8; 16] {
    cursor.to_be_bytes()
}
