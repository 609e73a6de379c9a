//! Reads every volume once and says what is wrong with them. Changes nothing. Indexes are not looked at: they
//! aren't synced, so a power cut may leave what is no fault, and a question finds that out by itself.

use super::layout::volume_file;
use super::open::{files, find_volume, head_of};
use super::scan::{Piece, scan};
use super::table::NameTable;
use super::writer::HistorySettings;
use crate::model::{Incarnation, Seq, ServerId};
use crate::store::disk::Disk;
use std::io;
use std::ops::ControlFlow;

/// Tells what is wrong with the volumes of a directory: damage is a finding, a torn end of the last one
/// is none.
///
/// # Errors
/// Of the system.
pub(crate) fn check(
    disk: &dyn Disk,
    identity: (ServerId, Incarnation),
    find: &mut dyn FnMut(String),
) -> io::Result<()> {
    let numbers: Vec<u64> = files(disk)?.into_iter().collect();
    for &number in &numbers {
        if let Err(error) = check_volume(disk, identity, number, find) {
            find(format!("{} can't be read: {error}", volume_file(number)));
        }
    }
    Ok(())
}

fn check_volume(
    disk: &dyn Disk,
    identity: (ServerId, Incarnation),
    number: u64,
    find: &mut dyn FnMut(String),
) -> io::Result<()> {
    let name = volume_file(number);
    let Some(head) = head_of(disk, number)? else {
        find(format!("{name} has no readable head; what is in it is missing in history"));
        return Ok(());
    };
    if head.server != identity.0 || head.incarnation > identity.1 {
        find(format!("{name} belongs to other data"));
        return Ok(());
    }
    let found = find_volume(disk, &head, Seq(u64::MAX), &HistorySettings::new(0, 0))?;
    let volume = &found.volume;
    let mut names = NameTable::new(&*found.file, volume, None);
    names.each(&mut |_| {})?;
    if names.is_damaged {
        find(format!("{name} has names that can't be read"));
    }
    let mut last = Seq(volume.first.0.saturating_sub(1));
    let mut bad_records = 0;
    let identity = (head.server, head.incarnation);
    let scanned = scan(&*found.file, identity, Piece::all(volume), &mut |batch, _| {
        last = batch.header().last;
        bad_records += u64::from(batch.records().any(|record| record.is_err()));
        ControlFlow::Continue(())
    })?;
    if scanned.is_broken {
        let whole = volume.last;
        find(format!("{name} can be read up to {last} only, and has changes up to {whole}"));
    }
    if bad_records > 0 {
        find(format!("{name} has {bad_records} batches with a record that can't be read"));
    }
    Ok(())
}
