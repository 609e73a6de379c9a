//! What a server's lease files say in the end: the last row of an address counts, as when Kea
//! starts. Knows no subnets.

use super::client::{Client, Kind};
use super::rows::{Row, Rows};
use crate::cli::fault::Fault;
use crate::cli::transfer::convert::account::Account;
use crate::cli::transfer::faults::Faults;
use addrd_protocol::Family;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

/// Rows between two words of how far it is.
const PROGRESS_ROWS: u64 = 100_000;
/// Valid lifetime without end.
const ENDLESS: u32 = u32::MAX;
/// Type of a lease that is a delegated prefix.
const DELEGATED: u8 = 2;

/// A lease as its last row says.
#[derive(Debug)]
pub(super) struct Lease {
    /// Prefix length of a delegated prefix.
    pub(super) length: Option<u8>,
    pub(super) hardware: Option<Client>,
    /// Client id, or DUID.
    pub(super) client: Option<Client>,
    /// Of an association (DHCPv6).
    pub(super) iaid: Option<u32>,
    pub(super) subnet_id: u32,
    pub(super) hostname: Box<str>,
    state: State,
    /// Seconds since the Unix epoch; `None` = never.
    pub(super) expire: Option<u64>,
    /// Which file and line.
    place: (usize, u64),
}

/// What became of a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// A client has it.
    Held,
    /// A client found it in use by somebody else.
    Declined,
    /// It ran out, and the server knows.
    Reclaimed,
    /// Its client gave it back.
    Released,
}

/// All leases of a server by kind (false = addresses) and address.
#[derive(Debug, Default)]
pub(super) struct Leases {
    pub(super) live: BTreeMap<(bool, IpAddr), Lease>,
    files: Vec<PathBuf>,
}

impl Lease {
    pub(super) fn is_declined(&self) -> bool {
        self.state == State::Declined
    }

    fn is_over(&self, at: u64) -> bool {
        self.expire.is_some_and(|expire| expire <= at)
    }
}

impl Leases {
    /// Where a lease stands, for people.
    pub(super) fn place(&self, lease: &Lease) -> String {
        let (file, line) = lease.place;
        let file = self.files.get(file).map(|path| path.display().to_string());
        format!("{}:{line}", file.unwrap_or_default())
    }

    /// Reads a file and those beside it that hold older rows of the same leases, and leaves what is
    /// live at a time (seconds since the Unix epoch).
    pub(super) fn read(
        &mut self,
        path: &Path,
        at: u64,
        faults: &mut Faults,
        account: &mut Account,
    ) -> Result<(), Fault> {
        let mut last = BTreeMap::new();
        for path in with_older(path) {
            self.read_one(&path, &mut last, faults, account)?;
        }
        for (key, lease) in last {
            match lease.state {
                State::Reclaimed => account.leave_out("leases reclaimed"),
                State::Released => account.leave_out("leases released"),
                State::Held | State::Declined if lease.is_over(at) => {
                    account.leave_out("leases expired");
                }
                State::Held | State::Declined => {
                    self.live.insert(key, lease);
                }
            }
        }
        Ok(())
    }

    fn read_one(
        &mut self,
        path: &Path,
        last: &mut BTreeMap<(bool, IpAddr), Lease>,
        faults: &mut Faults,
        account: &mut Account,
    ) -> Result<(), Fault> {
        let mut rows = Rows::open(path)?;
        let family = family(&rows, path)?;
        let (file, name) = (self.files.len(), path.display().to_string());
        self.files.push(path.to_owned());
        let mut count = 0;
        while let Some((number, row)) = rows.next()? {
            count += 1;
            if count % PROGRESS_ROWS == 0 {
                account.progress(&format!("{name}: {count} rows"));
            }
            match row.and_then(|row| lease(&row, family, (file, number))) {
                Ok((key, lease)) => {
                    if last.insert(key, lease).is_some() {
                        account.leave_out("older rows of leases");
                    }
                }
                Err(what) => faults.add(format_args!("{name}:{number}"), what),
            }
        }
        account.remark(format!("{name}: {count} rows"));
        Ok(())
    }
}

/// What a clean-up that has finished leaves, and what one began with, the older one first.
const OLDER: [&str; 3] = [".completed", ".2", ".1"];

fn sibling(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

/// The files without those that are read with another one of them.
pub(super) fn without_older<'a>(files: &[&'a PathBuf]) -> Vec<&'a PathBuf> {
    let is_older = |path: &PathBuf| {
        files.iter().any(|file| OLDER.iter().any(|ending| *path == sibling(file, ending)))
    };
    files.iter().copied().filter(|path| !is_older(path)).collect()
}

/// The file, behind those that Kea reads before it when it starts: what its clean-up has finished,
/// or what that began with.
fn with_older(path: &Path) -> Vec<PathBuf> {
    let [completed, begun @ ..] = OLDER.map(|ending| sibling(path, ending));
    let older = match completed.is_file() {
        true => vec![completed],
        false => begun.into_iter().filter(|path| path.is_file()).collect(),
    };
    older.into_iter().chain([path.to_owned()]).collect()
}

/// Which server's file it is.
pub(super) fn family_of(path: &Path) -> Result<Family, Fault> {
    family(&Rows::open(path)?, path)
}

fn family(rows: &Rows, path: &Path) -> Result<Family, Fault> {
    let four =
        ["address", "hwaddr", "client_id", "valid_lifetime", "expire", "subnet_id"].as_slice();
    let six = [
        "address",
        "duid",
        "valid_lifetime",
        "expire",
        "subnet_id",
        "lease_type",
        "iaid",
        "prefix_len",
    ]
    .as_slice();
    let (family, wanted) = if rows.has("duid") { (Family::V6, six) } else { (Family::V4, four) };
    match wanted.iter().find(|column| !rows.has(column)) {
        None => Ok(family),
        Some(missing) => Err(Fault::Usage(format!(
            "{}:1: no lease file of Kea's: there is no column \"{missing}\"",
            path.display()
        ))),
    }
}

/// Of a row; with the key under which the last one counts.
fn lease(
    row: &Row<'_>,
    family: Family,
    place: (usize, u64),
) -> Result<((bool, IpAddr), Lease), String> {
    let address: IpAddr = row.value("address")?;
    if Family::of(&address) != family {
        return Err(format!("{address} is of another family than the file"));
    }
    let is_six = family == Family::V6;
    let is_prefix = is_six && row.value::<u8>("lease_type")? == DELEGATED;
    let valid: u32 = row.value("valid_lifetime")?;
    let state = match row.text("state") {
        _ if valid == 0 => State::Released,
        // Older files have no states; 4 is an address that its client registered.
        "" | "0" | "4" => State::Held,
        "1" => State::Declined,
        "2" => State::Reclaimed,
        "3" => State::Released,
        other => return Err(format!("state is \"{other}\"")),
    };
    let (kind, column) = if is_six { (Kind::Duid, "duid") } else { (Kind::ClientId, "client_id") };
    let lease = Lease {
        length: if is_prefix { Some(row.value("prefix_len")?) } else { None },
        hardware: Client::of(Kind::Hardware, row.text("hwaddr")),
        client: Client::of(kind, row.text(column)),
        iaid: if is_six { Some(row.value("iaid")?) } else { None },
        subnet_id: row.value("subnet_id")?,
        hostname: row.long_text("hostname").into(),
        state,
        expire: Some(row.value("expire")?).filter(|_| valid != ENDLESS),
        place,
    };
    Ok(((is_prefix, address), lease))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const FOUR: &str = include_str!("../../../../../tests/fixtures/kea/kea-leases4.csv");
    const SIX: &str = include_str!("../../../../../tests/fixtures/kea/kea-leases6.csv");

    proptest! {
        /// A row with wrong bytes is a lease of its family or a fault, and never more.
        #[test]
        fn wrong_bytes_are_faults(
            is_six: bool,
            row in 1_usize..200,
            wrong in prop::collection::vec((0_usize..160, any::<u8>()), 0..4),
            length in 0_usize..200,
        ) {
            let (text, family) = if is_six { (SIX, Family::V6) } else { (FOUR, Family::V4) };
            let columns: Vec<String> =
                text.lines().next().unwrap().split(',').map(str::to_owned).collect();
            let mut line = text.lines().nth(row).unwrap().as_bytes().to_vec();
            for (at, byte) in &wrong {
                if let Some(place) = line.get_mut(*at) {
                    *place = *byte;
                }
            }
            line.truncate(length);
            let read = Row::of(&columns, &line).and_then(|row| lease(&row, family, (0, 1)));
            if let Ok(((is_prefix, address), lease)) = read {
                prop_assert_eq!(Family::of(&address), family);
                prop_assert_eq!(is_prefix, lease.length.is_some());
            }
        }
    }
}
