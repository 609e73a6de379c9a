//! Reads every volume once and says what is wrong with them. Changes nothing.

use super::layout::{HEAD_LENGTH, volume_file};
use super::name::{NAME_BYTES, Name};
use super::open::{files, find_volume, head_of};
use super::scan::{Piece, scan};
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
    let numbers: Vec<u64> = files(disk)?.into_keys().collect();
    for &number in &numbers {
        let name = volume_file(number);
        let Some(head) = head_of(disk, number)? else {
            // The begin of the last one may have been cut short.
            if Some(&number) != numbers.last() {
                find(format!("{name} has no readable head; what is in it is missing in history"));
            }
            continue;
        };
        if head.server != identity.0 || head.incarnation > identity.1 {
            find(format!("{name} belongs to other data"));
            continue;
        }
        let found = find_volume(disk, &head, Seq(u64::MAX), false)?;
        let mut bad_names = 0;
        let mut bytes = [0; NAME_BYTES];
        for at in 0..u64::from(head.names) {
            found.file.read_at(HEAD_LENGTH + at * NAME_BYTES as u64, &mut bytes)?;
            bad_names += u64::from(Name::decode(&bytes).is_none());
        }
        if bad_names > 0 {
            find(format!("{name} has {bad_names} names that can't be read"));
        }
        let volume = &found.volume;
        let piece = Piece::all(volume);
        let mut last = Seq(volume.first.0.saturating_sub(1));
        let mut bad_records = 0;
        let identity = (head.server, head.incarnation);
        let scanned = scan(&*found.file, identity, piece, &mut |batch, _| {
            last = batch.header().last;
            bad_records += u64::from(batch.records().any(|record| record.is_err()));
            ControlFlow::Continue(())
        })?;
        if scanned.is_broken {
            find(format!(
                "{name} can be read up to {last} only, and has changes up to {}",
                volume.last
            ));
        }
        if bad_records > 0 {
            find(format!("{name} has {bad_records} batches with a record that can't be read"));
        }
    }
    Ok(())
}
