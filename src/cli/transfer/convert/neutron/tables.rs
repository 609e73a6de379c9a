//! All rows of a file, by what they belong to, each with its line. Judges only whether what a row
//! names is there.

use super::rows::{self, Row, VERSION};
use crate::cli::fault::Fault;
use crate::cli::transfer::convert::account::Account;
use crate::cli::transfer::convert::text_lines::TextLines;
use crate::cli::transfer::faults::Faults;
use addrd_protocol::{Prefix, Range};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::path::Path;
use uuid::Uuid;

/// Rows between two words of how far it is.
const PROGRESS_ROWS: u64 = 100_000;
/// Action of a row that shares an object.
const SHARES: &str = "access_as_shared";
/// Everybody.
pub(super) const EVERYBODY: &str = "*";

/// A row with its line.
#[derive(Debug)]
pub(super) struct At<T> {
    pub(super) line: u64,
    pub(super) row: T,
}

/// What a subnet's rows in other tables say.
#[derive(Debug, Default)]
pub(super) struct Parts {
    pub(super) pools: Vec<Range>,
    pub(super) dns_servers: Vec<IpAddr>,
    pub(super) routes: Vec<rows::HostRoute>,
    pub(super) service_types: Vec<String>,
}

/// The database, as far as addrd has the kind. In the order of the file, which is that of creation.
#[derive(Debug, Default)]
pub(super) struct Tables {
    pub(super) scopes: Vec<At<rows::Scope>>,
    pub(super) pools: Vec<At<rows::Pool>>,
    pub(super) pool_prefixes: HashMap<Uuid, Vec<Prefix>>,
    /// Objects of any kind, and with whom they are shared.
    pub(super) shared: HashMap<Uuid, BTreeSet<String>>,
    pub(super) networks: BTreeMap<Uuid, At<rows::Network>>,
    pub(super) segments: Vec<At<rows::Segment>>,
    pub(super) hosts: Vec<At<rows::HostMapping>>,
    pub(super) subnets: Vec<At<rows::Subnet>>,
    pub(super) parts: HashMap<Uuid, Parts>,
    pub(super) ports: Vec<At<rows::Port>>,
    pub(super) port_hosts: HashMap<Uuid, String>,
    pub(super) allocations: HashMap<Uuid, Vec<At<rows::Allocation>>>,
    counts: (u64, u64),
}

impl Tables {
    /// Reads a file. `Err` if it is none of this kind or was cut short; what is wrong with a row is
    /// a fault of its line.
    pub(super) fn read(path: &Path, faults: &mut Faults, account: &Account) -> Result<Self, Fault> {
        let name = path.display().to_string();
        let mut tables = Self::default();
        let mut lines = TextLines::open(path)?;
        let mut ended = false;
        while let Some(number) = lines.advance()? {
            let row: Result<Row, _> = serde_json::from_slice(lines.line());
            let place = format_args!("{name}:{number}");
            match row {
                _ if ended => faults.add(place, "behind the last row"),
                Ok(Row::Neutron { version: VERSION }) if number == 1 => {}
                _ if number == 1 => return Err(strange(&name)),
                Ok(Row::End { ports, ipallocations }) => {
                    ended = true;
                    if tables.counts != (ports, ipallocations) {
                        let (found, told) = (tables.counts, (ports, ipallocations));
                        let text = format!("ports and addresses are {found:?}, it says {told:?}");
                        faults.add(place, text);
                    }
                }
                Ok(row) => {
                    if let Err(what) = tables.add(row, number) {
                        faults.add(place, what);
                    }
                }
                Err(error) => faults.add(place, error),
            }
            if number % PROGRESS_ROWS == 0 {
                account.progress(&format!("{name}: {number} rows"));
            }
        }
        match ended {
            true => Ok(tables),
            false => {
                Err(Fault::Usage(format!("{name}: the last row is missing: it was cut short")))
            }
        }
    }

    fn add(&mut self, row: Row, line: u64) -> Result<(), String> {
        match row {
            Row::Neutron { .. } => return Err("not the first row".to_owned()),
            Row::AddressScopes(row) => self.scopes.push(At { line, row }),
            Row::Subnetpools(row) => self.pools.push(At { line, row: *row }),
            Row::Subnetpoolprefixes(row) => {
                self.pool_prefixes.entry(row.subnetpool_id).or_default().push(row.cidr);
            }
            Row::Addressscoperbacs(row) | Row::Subnetpoolrbacs(row) | Row::Networkrbacs(row) => {
                if row.action == SHARES {
                    self.shared.entry(row.object_id).or_default().insert(row.target);
                }
            }
            Row::Networks(row) => {
                if self.networks.insert(row.id, At { line, row }).is_some() {
                    return Err("the network is there twice".to_owned());
                }
            }
            Row::Networksegments(row) => self.segments.push(At { line, row }),
            Row::Segmenthostmappings(row) => self.hosts.push(At { line, row }),
            Row::Subnets(row) => self.subnets.push(At { line, row: *row }),
            Row::Ipallocationpools(row) => {
                let range = Range::new(row.first_ip, row.last_ip);
                let range = range.ok_or_else(|| "first_ip and last_ip are no range".to_owned())?;
                self.parts.entry(row.subnet_id).or_default().pools.push(range);
            }
            Row::Dnsnameservers(row) => {
                self.parts.entry(row.subnet_id).or_default().dns_servers.push(row.address);
            }
            Row::Subnetroutes(row) => {
                self.parts.entry(row.subnet_id).or_default().routes.push(row);
            }
            Row::SubnetServiceTypes(row) => {
                self.parts.entry(row.subnet_id).or_default().service_types.push(row.service_type);
            }
            Row::Ports(row) => {
                self.counts.0 += 1;
                self.ports.push(At { line, row: *row });
            }
            Row::Ml2PortBindings(row) => {
                self.port_hosts.insert(row.port_id, row.host);
            }
            Row::Ipallocations(row) => {
                self.counts.1 += 1;
                let port =
                    row.port_id.ok_or_else(|| format!("{} belongs to no port", row.ip_address))?;
                self.allocations.entry(port).or_default().push(At { line, row });
            }
            Row::End { .. } => {}
        }
        Ok(())
    }
}

fn strange(name: &str) -> Fault {
    Fault::Usage(format!(
        "{name}: its first line is not what version {VERSION} of the query gives; `addrd convert \
         neutron --query` prints the query and how to run it"
    ))
}
