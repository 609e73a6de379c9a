//! The committed corpora of the fuzz targets over the journal, the state, history, backups, tokens and the configuration, on
//! stable: nothing panics, and what is read survives being written. The protocol's own are
//! replayed by its crate.
//!
//! `ADDRD_CORPUS=write` writes the seeds anew: the golden records, batches and rows of them.

#[path = "../fuzz/checks/backup.rs"]
mod backup;
#[path = "../fuzz/checks/config.rs"]
mod config;
#[path = "../fuzz/checks/credential.rs"]
mod credential;
#[path = "../fuzz/checks/history.rs"]
mod history;
#[path = "../fuzz/checks/journal.rs"]
mod journal;
#[path = "../fuzz/checks/store.rs"]
mod store;

use addrd::config::Config;
use addrd::journal::{RecordKind, decode};
use addrd::model::Effect;
use addrd::store::row::reread;
use addrd_protocol::prefix::number_of;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn folder(target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target)
}

fn corpus(target: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let files = std::fs::read_dir(folder(target)).unwrap();
    let read = |path: PathBuf| {
        let data = std::fs::read(&path).unwrap();
        (path, data)
    };
    let files: Vec<_> = files.map(|entry| read(entry.unwrap().path())).collect();
    assert!(!files.is_empty(), "{target} has no corpus");
    files
}

fn replay(target: &str, check: fn(&[u8])) {
    for (path, data) in corpus(target) {
        if std::panic::catch_unwind(|| check(&data)).is_err() {
            panic!("{} fails", path.display());
        }
    }
}

#[test]
fn the_corpus_of_record_is_read() {
    replay("record", journal::record);
}

#[test]
fn the_corpus_of_batch_is_read() {
    replay("batch", journal::batch);
}

#[test]
fn the_corpus_of_row_is_read() {
    replay("row", store::row);
}

#[test]
fn the_corpus_of_volume_is_read() {
    replay("volume", |data| {
        history::volume(data);
    });
}

/// Whole volumes are read, with and without their index, and broken ones are not refused at the door.
#[test]
fn volumes_of_the_corpus_tell_something() {
    if std::env::var("ADDRD_CORPUS").is_ok_and(|what| what == "write") {
        seeds::write();
    }
    let told: BTreeSet<usize> =
        corpus("volume").iter().map(|(_, data)| history::volume(data)).collect();
    assert!(told.contains(&0) && told.len() > 2, "{told:?}");
}

/// Backups of the corpus come as far as one can, and no less far.
#[test]
fn the_corpus_of_backup_is_read() {
    use backup::Fate;
    if std::env::var("ADDRD_CORPUS").is_ok_and(|what| what == "write") {
        seeds::write();
    }
    replay("backup", |data| {
        backup::backup(data);
    });
    let fates: BTreeSet<_> =
        corpus("backup").iter().map(|(_, data)| backup::backup(data)).collect();
    assert!(fates.contains(&Fate::Refused) && fates.contains(&Fate::Unsound), "{fates:?}");
    assert!(fates.contains(&Fate::NotMade) && fates.contains(&Fate::Restored), "{fates:?}");
}

/// Some of it are tokens, some are nearly.
#[test]
fn the_corpus_of_credential_is_read() {
    if std::env::var("ADDRD_CORPUS").is_ok_and(|what| what == "write") {
        seeds::write();
    }
    replay("credential", |data| {
        credential::credential(data);
    });
    let found: BTreeSet<bool> =
        corpus("credential").iter().map(|(_, data)| credential::credential(data)).collect();
    assert_eq!(found, BTreeSet::from([false, true]));
}

#[test]
fn the_corpus_of_configuration_is_read() {
    replay("configuration", config::configuration);
}

/// A corpus of which nothing is accepted would show little.
#[test]
fn corpora_reach_every_kind_of_record_every_table_and_both_ends_of_a_configuration() {
    if std::env::var("ADDRD_CORPUS").is_ok_and(|what| what == "write") {
        seeds::write();
    }
    let known: BTreeSet<u8> =
        (0..=u8::MAX).filter(|number| RecordKind::from_number(*number).is_some()).collect();
    let read = |(_, data): &(PathBuf, Vec<u8>)| decode(data).is_ok().then(|| data[2]);
    assert_eq!(corpus("record").iter().filter_map(read).collect::<BTreeSet<u8>>(), known);
    let accepted: BTreeSet<u8> = corpus("row")
        .iter()
        .filter_map(|(_, data)| store::read(data))
        .map(|(table, ..)| table)
        .collect();
    let tables: BTreeSet<u8> = store::TABLES.iter().map(|(table, _)| *table).collect();
    assert_eq!(accepted, tables);
    let is_accepted = |data: &[u8]| {
        let text = std::str::from_utf8(data).ok()?;
        Some(Config::from_text(Path::new("addrd.toml"), text).is_ok())
    };
    let verdicts: BTreeSet<bool> =
        corpus("configuration").iter().filter_map(|(_, data)| is_accepted(data)).collect();
    assert_eq!(verdicts, BTreeSet::from([false, true]));
}

/// Records of the golden file.
fn golden() -> Vec<Vec<u8>> {
    let lines = include_str!("../src/journal/record/golden.txt").lines();
    let byte = |text: &str, at| u8::from_str_radix(&text[at..at + 2], 16).unwrap();
    let bytes = |line: &str| {
        let hex = line.split(' ').next_back().unwrap();
        (0..hex.len()).step_by(2).map(|at| byte(hex, at)).collect()
    };
    lines.filter(|line| !line.starts_with('#')).map(bytes).collect()
}

/// Table and key of the row that a record stands in, if it stands in one.
fn place_of(record: &[u8]) -> Option<(u8, Vec<u8>)> {
    let subnet = |network: u32, subnet: u32| [network.to_be_bytes(), subnet.to_be_bytes()].concat();
    let thing =
        |network: u32, created: u64| [&network.to_be_bytes()[..], &created.to_be_bytes()].concat();
    Some(match decode(record).unwrap().0 {
        Effect::NetworkPut(row) => (0, row.network.0.to_be_bytes().into()),
        Effect::SubnetPut(row) => (2, subnet(row.network.0, row.subnet.0)),
        Effect::ExclusionPut(row) => {
            let number = number_of(&row.exclusion.range.first()).to_be_bytes();
            (3, [&subnet(row.network.0, row.subnet.0)[..], &number].concat())
        }
        Effect::JobPut(row) => (7, row.job.0.to_be_bytes().into()),
        Effect::ProjectPut(row) => (0, row.handle.0.to_be_bytes().into()),
        Effect::ScopePut(row) => (0, row.handle.0.to_be_bytes().into()),
        Effect::PoolPut(row) => (0, row.handle.0.to_be_bytes().into()),
        Effect::SegmentPut(row) => (8, thing(row.network.0, row.created.0)),
        Effect::HostPut(row) => (9, thing(row.network.0, row.created.0)),
        Effect::PortPut(row) => (10, thing(row.network.0, row.created.0)),
        Effect::PinPut(row) => (11, thing(row.network.0, row.created.0)),
        _ => return None,
    })
}

/// A row is refused under the key of another object, or in the table of another kind.
#[test]
fn objects_belong_to_their_keys_and_tables() {
    let mut objects = 0;
    for record in golden() {
        let Some((table, key)) = place_of(&record) else { continue };
        assert_eq!(reread(table, 7, &key, &record, &[]).as_ref(), Some(&record));
        for at in 0..key.len() {
            let mut other = key.clone();
            other[at] ^= 1;
            assert_eq!(reread(table, 7, &other, &record, &[]), None, "table {table}, byte {at}");
        }
        for other in [0, 2, 3, 7, 8, 9, 10, 11].into_iter().filter(|other| *other != table) {
            assert_eq!(reread(other, 7, &key, &record, &[]), None, "table {other}");
        }
        let longer = [&record[..], &[0]].concat();
        assert_eq!(reread(table, 7, &key, &longer, &[]), None, "a byte behind a record");
        objects += 1;
    }
    assert_eq!(objects, 19);
}

/// Seeds: what the golden records and the example of a configuration give.
mod seeds {
    use super::*;
    use addrd::journal::{BatchIdentity, BatchSealer, BatchView, RecordBuffer};
    use addrd::model::{
        AllocationPlace, EffectSink, HeldBy, Incarnation, NetworkHandle, ProjectId, Revision, Seq,
        Slot, SubnetHandle, Tick,
    };
    use addrd::store::fake_disk::FakeDisk;
    use addrd::store::history::{HistorySettings, JournalEnds, LiveNames, Shelf, open};
    use addrd::store::{BatchRow, Journal, Round, Settings, Step, Store, Taken};
    use std::sync::Arc;

    pub(super) fn write() {
        let records = golden();
        save("record", records.iter().cloned());
        save("batch", batches(&records));
        save("row", rows(&records));
        save("configuration", configurations());
        save("credential", credentials());
        save("volume", volumes());
        save("backup", backups());
    }

    fn save(target: &str, seeds: impl IntoIterator<Item = Vec<u8>>) {
        std::fs::create_dir_all(folder(target)).unwrap();
        for (number, seed) in seeds.into_iter().enumerate() {
            std::fs::write(folder(target).join(format!("seed-{number:03}")), seed).unwrap();
        }
    }

    /// Fields of headers before records, and a row as it is stored.
    fn batches(records: &[Vec<u8>]) -> Vec<Vec<u8>> {
        let all = records.concat();
        let fields = |count: u8| {
            let mut fields = [0_u8; 36];
            (fields[3], fields[19], fields[33]) = (1, 5, count);
            fields
        };
        let identity =
            BatchIdentity { server: journal::SERVER, incarnation: Incarnation(1), term: 0 };
        let count = u32::try_from(records.len()).unwrap();
        let header = BatchSealer::new(identity, Seq(5), 9).seal(Tick(1), 2, count, &[&all]);
        let counts = [0, 1, 255].map(|count| [&fields(count)[..], &all].concat());
        let mut seeds: Vec<_> = counts.into();
        seeds.push(fields(0).into());
        seeds.push([&fields(0)[..], &all, &[0, 18, 99]].concat());
        seeds.push([&header.encode()[..], &all].concat());
        seeds
    }

    /// A row as the target takes it.
    fn row(table: u8, key: &[u8], texts: &[u8], body: &[u8]) -> Vec<u8> {
        let number = store::TABLES.iter().position(|(other, _)| *other == table).unwrap();
        let front = [u8::try_from(number).unwrap()];
        let texts_bytes = [u8::try_from(texts.len()).unwrap()];
        [&front[..], key, &7_u64.to_be_bytes(), &texts_bytes, texts, body].concat()
    }

    fn rows(records: &[Vec<u8>]) -> Vec<Vec<u8>> {
        let objects = records.iter().filter_map(|record| {
            let (table, key) = place_of(record)?;
            Some(row(table, &key, &[], record))
        });
        let texts = [&[0b1111][..], b"\x01m\x02ho\x05a=web\x03web"].concat();
        let key = [0; 24];
        let meta = |length: usize| {
            let version = addrd::store::FORMAT_VERSION.to_be_bytes();
            [&7_u64.to_be_bytes()[..], &version, &vec![0; length]].concat()
        };
        let others = [
            row(1, &[0, 0, 0, 3], &[], &[1, 2, 3, 4, 5, 6, 7, 8]),
            row(4, &[0; 8], &[], &[9; 16]),
            row(5, &key, &texts, &cells()),
            row(6, &key, &[], &texts),
            row(0xff, &[], &[], &meta(16 + 4 + 4 + 8 + 8 + 8 + 4 + 8 + 8 + 13 * 16)),
            row(0xfe, &[], &[], &title()),
        ];
        objects.chain(others).collect()
    }

    /// The title of a journal, without its checksum.
    fn title() -> Vec<u8> {
        [&b"adr\0"[..], &[0, 0, 0, 1], &[5; 16], &1_u64.to_be_bytes(), &[0; 28]].concat()
    }

    /// A plain cell, one with all that is rare, and one with texts.
    fn cells() -> Vec<u8> {
        let front = |position: u8, presence: u16| {
            let presence = presence.to_be_bytes();
            [&[position | 2 << 5][..], &presence, &[7; 8], &[4; 16]].concat()
        };
        // Slot, instance, deadline, end of quarantine; port, project; principal; token; block bits.
        let rare = [[1; 26].as_slice(), &[1; 32], &[1; 4], &[1; 16], &[1], &[8; 8]].concat();
        [front(0, 0), front(1, 0x3ff), rare, front(31, 0x400)].concat()
    }

    /// A network, a subnet, allocations that come and go.
    fn changes(number: u64) -> Vec<Effect> {
        let golden: Vec<Effect> = golden().iter().map(|record| decode(record).unwrap().0).collect();
        let (network, subnet) = (NetworkHandle(3), SubnetHandle(1));
        let place = AllocationPlace { network, subnet, offset: 3, block_bits: 0 };
        let mut effects = Vec::new();
        for effect in golden {
            match effect {
                Effect::NetworkPut(mut row) if number.is_multiple_of(8) => {
                    (row.network, row.project) = (network, ProjectId::DEFAULT);
                    effects.push(Effect::NetworkPut(row));
                }
                Effect::SubnetPut(mut row) if number.is_multiple_of(8) => {
                    (row.network, row.subnet) = (network, subnet);
                    row.prefix = "10.0.0.0/24".parse().unwrap();
                    effects.push(Effect::SubnetPut(row));
                }
                Effect::AllocationPut(mut row) => {
                    (row.place, row.owner) = (place, history::OWNER);
                    effects.push(Effect::AllocationPut(row));
                }
                _ => {}
            }
        }
        let held_by = Some(HeldBy { owner: history::OWNER, slot: Slot(1), project: None });
        effects.push(Effect::AllocationGone { place, revision: Revision(number), held_by });
        effects
    }

    /// A volume that is full and has an index, the same without that, torn, and with wrong checksums.
    fn volumes() -> Vec<Vec<u8>> {
        let disk = FakeDisk::new();
        let settings =
            HistorySettings { block_bytes: 600, ..HistorySettings::new(1 << 20, 32_000) };
        let identity = (history::SERVER, Incarnation(1));
        let journal = JournalEnds { first: Seq(1), last: Seq(0) };
        let (shared, shelf) = (Arc::new(disk.clone()), Arc::new(Shelf::default()));
        let mut writer = open(shared, settings, identity, shelf, journal, Tick(1)).unwrap();
        let of = BatchIdentity { server: history::SERVER, incarnation: Incarnation(1), term: 0 };
        let mut sealer = BatchSealer::new(of, Seq(1), 0);
        let mut names = LiveNames::default();
        for number in 0..10 {
            let mut records = RecordBuffer::default();
            changes(number).iter().for_each(|effect| records.push(effect));
            let parts = [records.as_bytes()];
            let header = sealer.seal(Tick(5 + number), 1, records.record_count(), &parts);
            let batch = [&header.encode()[..], records.as_bytes()].concat();
            let view = BatchView::decode(&batch, history::SERVER).unwrap();
            writer.push(&view, &mut names, Tick(2)).unwrap();
        }
        writer.sync().unwrap();
        writer.close_if_old(Tick(5_000)).unwrap();
        let files = disk.contents();
        let log = &files["history-0000000000000001.log"];
        let index = &files["history-0000000000000001.idx"];
        let seed = |is_sealed: u8, log: &[u8], index: &[u8]| {
            let [_, a, b, c] = u32::try_from(log.len()).unwrap().to_be_bytes();
            [&[is_sealed, a, b, c], log, index].concat()
        };
        let mut bad = log.clone();
        bad[100] ^= 1;
        vec![
            seed(1, log, index),
            seed(0, log, index),
            seed(1, log, &[]),
            seed(0, &log[..log.len() - 70], &index[..300]),
            seed(0, &bad, index),
            seed(0, &[], &[]),
        ]
    }

    /// A backup during which the state goes on changing: rows of one half of the changes, batches of the other.
    fn taken(halves: [Vec<Vec<Effect>>; 2]) -> Vec<Vec<u8>> {
        let settings = Settings {
            journal_records_max: 4 << 10,
            state_bytes: 128 << 10,
            reserve_bytes: 0,
            ..Settings::default()
        };
        let disk = Arc::new(FakeDisk::new());
        let store = Store::create(disk, &settings, history::SERVER).unwrap();
        let identity = store.identity();
        let (mut journal, mut checkpointer, _) = store.split();
        let mut sealer = journal.sealer(identity);
        let mut backup = checkpointer.begin_backup(Seq(0));
        let (mut tick, mut durable) = (1_000, Seq(0));
        for (number, half) in halves.into_iter().enumerate() {
            for effects in half {
                let mut records = RecordBuffer::default();
                effects.iter().for_each(|effect| records.push(effect));
                let parts = [records.as_bytes()];
                let header = sealer.seal(Tick(tick), 1, records.record_count(), &parts);
                let row = BatchRow { header, parts: parts.into() };
                journal.append(&Round { rows: &[row], trim_to: Seq(0) }).unwrap();
                (tick, durable) = (tick + 1, header.last);
            }
            if number == 0 && durable > Seq(0) {
                checkpointer.begin(u64::MAX, durable);
                while checkpointer.step().unwrap() != Step::Idle {}
                backup = checkpointer.begin_backup(durable);
            }
        }
        let mut blocks = Vec::new();
        while !backup.is_done() {
            match backup.step(&checkpointer, durable, true).unwrap() {
                Taken::Block(_, block) => blocks.push(block),
                Taken::Nothing => panic!("rows may be read"),
            }
        }
        blocks
    }

    /// Sound ones, sealed and as they are; one with every kind of record, one with rows twice; cut and changed ones.
    fn backups() -> Vec<Vec<u8>> {
        let all = backup::SEALS_BLOCKS | backup::SEALS_CONTENT | backup::COUNTS;
        let seed = |what: u8, blocks: &[Vec<u8>]| [&[what][..], &blocks.concat()].concat();
        let work = |from: u64, to: u64| (from..to).map(changes).collect();
        let sound = taken([work(0, 2), work(2, 4)]);
        let unfolded = taken([Vec::new(), work(0, 3)]);
        let every: Vec<Effect> = golden().iter().map(|record| decode(record).unwrap().0).collect();
        let every = taken([vec![every.clone()], vec![every]]);
        let mut bad = sound.clone();
        bad[0][30] ^= 1;
        let last = sound.len() - 1;
        vec![
            seed(0, &sound),
            seed(all, &sound),
            seed(all, &unfolded),
            seed(all, &every),
            seed(all, &[&sound[..3], &sound[2..]].concat()),
            seed(all, &[&sound[..1], &sound[last..]].concat()),
            seed(all, &[&sound[..2], &sound[last..]].concat()),
            seed(backup::SEALS_BLOCKS, &bad),
            seed(0, &bad),
            seed(0, &sound[..last]),
        ]
    }

    /// Tokens of nobody, alone and among other things, and what is nearly one.
    fn credentials() -> Vec<Vec<u8>> {
        let token = addrd_protocol::Token::new(addrd_protocol::TokenId(0xfeed), [0xa7; 32]);
        let text = token.reveal();
        let spaces = " ".repeat(256);
        let texts = [
            text.clone(),
            format!("{text}\n"),
            format!(" \r\n{text}\t\n"),
            format!("{text}{spaces}"),
            format!("{text}{spaces}x"),
            text.to_uppercase(),
            format!("{text}0"),
            text[1..].to_owned(),
            text[..86].to_owned(),
            text[23..].to_owned(),
            text[6..22].to_owned(),
            format!("/etc/{text}.token"),
            format!("{text}\n{text}\n"),
            format!("\u{2003}{text}\u{feff}"),
            format!("addrd_addrd_{}", &text[6..]),
            "addrd__".to_owned(),
            String::new(),
        ];
        let mut seeds: Vec<Vec<u8>> = texts.into_iter().map(String::into_bytes).collect();
        seeds.push([text.as_bytes(), &[0xff, 0xfe]].concat());
        seeds
    }

    fn configurations() -> Vec<Vec<u8>> {
        let texts = [
            include_str!("../docs/addrd.example.toml"),
            "workers = 3\nlisten = [\"127.0.0.1:1\", \"[::1]:2\"]\nunix_socket = \"\"\n",
            "listn = []\n[bounds]\n\"\\u001b[31m\" = 1\nidle_time = \"\\u0007\"\n",
            "workers = -1\nhttp = 3.5\nlog_level = \"loud\"\ncache_bytes = \"1_0GiB\"\n",
            "listen = \"0.0.0.0:1\"\nconnections_max = 1\nworkers = \n",
        ];
        texts.map(|text| text.as_bytes().to_vec()).into()
    }
}
