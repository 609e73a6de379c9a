//! T5: bytes of a directory change behind the server's back. It says so or isn't hurt; it never
//! panics, and never takes wrong data for right.

use crate::oracle::{End, Oracle};
use crate::setting;
use addrd::model::Seq;
use addrd::store::fake_disk::{FakeDisk, Random};
use addrd::store::{Journal, Round};
use std::panic::{AssertUnwindSafe, catch_unwind};

const FILES: [&str; 4] = ["journal.ring", "state.redb", "FORMAT", "reserve"];
const PAGE_BYTES: u64 = 4_096;

/// A directory after some work, closed in order or killed, in the middle of a fold or not.
fn prepared(random: &mut Random) -> (FakeDisk, Oracle) {
    let mut oracle = Oracle::new(false);
    let mut disk = FakeDisk::new();
    for _ in 0..2 {
        let end = oracle.run(&disk, 12 + random.below(20), random).expect("no fault");
        let End::Done(mut store) = end else { panic!("no fault, but an end") };
        // What rots between a round's sync and that of its mark, when the power goes in between,
        // passes for a round that was cut short (decision 0011): not here.
        store.journal.append(&Round { rows: &[], trim_to: Seq(0) }).expect("no fault");
        if random.one_in(2) {
            disk = disk.power_loss(random);
            drop(store);
        } else {
            drop(store);
            disk = disk.restart();
        }
    }
    (disk, oracle)
}

/// Changes some bytes; tells how.
fn hurt(bytes: &mut Vec<u8>, random: &mut Random) -> String {
    let length = bytes.len() as u64;
    let at = random.below(length) as usize;
    let page = (random.below(length / PAGE_BYTES + 1) * PAGE_BYTES) as usize;
    let end = |start: usize, count: usize| (start + count).min(length as usize);
    match random.below(7) {
        0 | 1 => {
            let bit = random.below(8);
            bytes[at] ^= 1 << bit;
            format!("bit {bit} of byte {at}")
        }
        2 => {
            bytes[at] = random.next_u64() as u8;
            format!("byte {at}")
        }
        3 => {
            let start = at / 512 * 512;
            bytes[start..end(start, 512)].fill(0);
            format!("zeros from {start}")
        }
        4 if page < length as usize => {
            bytes[page..end(page, PAGE_BYTES as usize)].fill(0);
            format!("zero page {page}")
        }
        5 if length >= 2 * PAGE_BYTES => {
            let from = (random.below(length / PAGE_BYTES) * PAGE_BYTES) as usize;
            let page = page.min(length as usize - PAGE_BYTES as usize);
            bytes.copy_within(from..from + PAGE_BYTES as usize, page);
            format!("page {from} copied to {page}")
        }
        _ => {
            let cut = if random.one_in(2) { at } else { page.min(length as usize) };
            bytes.truncate(cut);
            format!("cut at {cut}")
        }
    }
}

/// Damages the part of a file that is in use, more often than chance would.
fn damage(disk: &FakeDisk, random: &mut Random) -> String {
    let name = FILES[[0, 0, 0, 0, 1, 1, 1, 1, 2, 3][random.below(10) as usize]];
    let content = &disk.contents()[name];
    let used = content.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    if used == 0 {
        disk.damage(name, Vec::clear);
        return format!("{name}: emptied");
    }
    let seed = random.next_u64();
    let mut what = String::new();
    hurt(&mut content[..used].to_vec(), &mut Random::new(seed)).clone_into(&mut what);
    disk.damage(name, |bytes| {
        let rest = bytes.split_off(used);
        let before = bytes.len();
        hurt(bytes, &mut Random::new(seed));
        if bytes.len() == before {
            bytes.extend_from_slice(&rest);
        }
    });
    format!("{name}: {what}")
}

/// A start that is refused leaves every file as it found it.
fn refusal_changes_nothing(disk: &FakeDisk, mut oracle: Oracle) -> Result<(), String> {
    let disk = disk.fork();
    let before = disk.contents();
    let end = oracle.run(&disk, 0, &mut Random::new(1))?;
    let is_refused = matches!(end, End::Failed);
    if is_refused && disk.contents() != before {
        return Err("a refused start changed a file".to_owned());
    }
    Ok(())
}

/// Whether the damage was noticed.
fn strike(disk: &FakeDisk, oracle: &Oracle, random: &mut Random) -> Result<bool, String> {
    let mut oracle = oracle.clone();
    oracle.takes_any_error();
    refusal_changes_nothing(disk, oracle.clone())?;
    let End::Done(store) = oracle.run(disk, 6, random)? else { return Ok(true) };
    let disk = disk.restart();
    drop(store);
    let end = oracle.run(&disk, 0, random)?;
    Ok(matches!(end, End::Failed))
}

fn strike_with(seed: u64) -> bool {
    let mut random = Random::new(seed);
    let (disk, oracle) = prepared(&mut random);
    let what = damage(&disk, &mut random);
    let run = AssertUnwindSafe(|| strike(&disk, &oracle, &mut random));
    let end = catch_unwind(run).unwrap_or_else(|_| Err("a panic".to_owned()));
    end.unwrap_or_else(|story| panic!("ADDRD_SEED={seed}: {what}: {story}"))
}

#[test]
fn damage_is_an_error_or_harmless() {
    match setting("ADDRD_SEED", 0) {
        0 => {
            let count = setting("ADDRD_DAMAGES", 200);
            let noticed = (1..=count).filter(|seed| strike_with(*seed)).count() as u64;
            println!("{noticed} of {count} damages noticed");
            assert!(noticed * 10 >= count, "some of each file is in use");
        }
        seed => {
            strike_with(seed);
        }
    }
}
