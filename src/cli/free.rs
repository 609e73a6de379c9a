//! `addrd free`: free ranges, or the next free addresses. Takes none of them.

use super::fault::Fault;
use super::find;
use super::session::Session;
use super::view::View;
use addrd_client::Client;
use addrd_protocol::message::{FreeRanges, Subnet, SubnetName};
use addrd_protocol::prefix::number_of;
use addrd_protocol::{NetworkId, Prefix, SubnetId};
use serde::Serialize;
use std::net::IpAddr;

/// Free addresses or ranges.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  addrd free blue                   free ranges of all its subnets
  addrd free blue 10.0.0.0/24 --addresses 3")]
pub(crate) struct Free {
    /// Name or id of a network
    network: String,
    /// Name, id or prefix of a subnet [default: all]
    subnet: Option<String>,
    /// Single addresses instead of ranges: the next so many
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..=65_536))]
    addresses: Option<u32>,
    /// Only at or after this address
    #[arg(long, value_name = "ADDRESS")]
    from: Option<IpAddr>,
}

/// A free range, or a single free address.
#[derive(Debug, Serialize)]
struct FreeRange {
    first: IpAddr,
    last: IpAddr,
    cidr: Prefix,
    subnet_id: SubnetId,
    #[serde(with = "addrd_protocol::message::usage::decimal")]
    count: u128,
}

impl View for FreeRange {
    const COLUMNS: &'static [&'static str] = &["first", "last", "count", "cidr"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.first.to_string(),
            self.last.to_string(),
            self.count.to_string(),
            self.cidr.to_string(),
        ]
    }

    fn keys(&self) -> Vec<String> {
        match self.first == self.last {
            true => vec![self.first.to_string()],
            false => vec![format!("{}-{}", self.first, self.last)],
        }
    }
}

pub(crate) async fn run(session: &Session, free: Free) -> Result<(), Fault> {
    let client = session.client().await?;
    let (client, network) = find::usable(&client, &free.network).await?;
    let subnets = match &free.subnet {
        Some(text) => vec![find::subnet(&client, network, text).await?],
        None => client.subnets(network).take(usize::MAX).await?,
    };
    let most = match free.addresses {
        Some(count) => usize::try_from(count).unwrap_or(usize::MAX),
        None => session.output.objects_max(),
    };
    let mut out = session.output.list::<FreeRange>();
    for subnet in &subnets {
        let mut from = match free.from {
            Some(address) if subnet.cidr.contains(&address) => Some(address),
            Some(_) if free.subnet.is_none() => continue,
            other => other,
        };
        loop {
            let (ranges, next) = page(&client, network, subnet, from).await?;
            for range in ranges.into_iter().flat_map(|range| pieces(range, free.addresses)) {
                if out.count() >= most {
                    return out.end(free.addresses.is_none());
                }
                out.add(range)?;
            }
            match next {
                Some(next) => from = Some(next),
                None => break,
            }
        }
    }
    out.end(false)
}

async fn page(
    client: &Client,
    network: NetworkId,
    subnet: &Subnet,
    from: Option<IpAddr>,
) -> Result<(Vec<FreeRange>, Option<IpAddr>), Fault> {
    let wanted = FreeRanges { subnet: SubnetName::Id(subnet.subnet_id), limit: 0, from };
    let reply = client.free_ranges(network, wanted).await?;
    let ranges = reply.ranges.iter().map(|range| FreeRange {
        first: range.first(),
        last: range.last(),
        cidr: subnet.cidr,
        subnet_id: subnet.subnet_id,
        count: (number_of(&range.last()) - number_of(&range.first())).saturating_add(1),
    });
    Ok((ranges.collect(), reply.next))
}

/// The range itself, or with a count its first addresses one by one.
fn pieces(range: FreeRange, addresses: Option<u32>) -> Vec<FreeRange> {
    let Some(most) = addresses else { return vec![range] };
    let base = number_of(&range.first);
    let family = addrd_protocol::Family::of(&range.first);
    (0..range.count.min(most.into()))
        .filter_map(|offset| family.address(base.checked_add(offset)?))
        .map(|address| FreeRange {
            first: address,
            last: address,
            cidr: range.cidr,
            subnet_id: range.subnet_id,
            count: 1,
        })
        .collect()
}
