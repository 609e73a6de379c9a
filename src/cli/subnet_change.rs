//! `addrd subnet update`, `exclude` and `include`.

use super::fault::Fault;
use super::session::Session;
use super::subnet::{StrategyName, range, route};
use super::{duration, find, network};
use addrd_protocol::message::{
    Exclusion, ExclusionMode, Route, SubnetExclude, SubnetInclude, SubnetUpdate,
};
use addrd_protocol::{Range, Revision, SegmentId, Setting, SubnetId, Text};
use std::net::IpAddr;

/// Changes a subnet.
#[derive(Debug, clap::Args)]
pub(crate) struct Update {
    /// Name or id of the network
    network: String,
    /// Name, id or prefix of the subnet
    subnet: String,
    /// New name
    #[arg(long)]
    name: Option<String>,
    /// Remove the name
    #[arg(long, conflicts_with = "name")]
    no_name: bool,
    /// New gateway
    #[arg(long, value_name = "ADDRESS")]
    gateway: Option<IpAddr>,
    /// Remove the gateway
    #[arg(long, conflicts_with = "gateway")]
    no_gateway: bool,
    /// New ranges that addresses are drawn from, in place of all others
    #[arg(long = "pool", value_name = "FIRST-LAST", value_parser = range)]
    pools: Vec<Range>,
    /// Draw no address automatically
    #[arg(long, conflicts_with_all = ["pools", "default_pools"])]
    no_pools: bool,
    /// Draw from all usable addresses
    #[arg(long, conflicts_with = "pools")]
    default_pools: bool,
    /// How addresses are chosen for requests that do not say
    #[arg(long, value_enum)]
    strategy: Option<StrategyName>,
    /// New DNS servers, in place of all others
    #[arg(long = "dns", value_name = "ADDRESS")]
    dns_servers: Vec<IpAddr>,
    /// Remove all DNS servers
    #[arg(long, conflicts_with = "dns_servers")]
    no_dns: bool,
    /// New routes, in place of all others
    #[arg(long = "route", value_name = "CIDR=HOP", value_parser = route)]
    routes: Vec<Route>,
    /// Remove all routes
    #[arg(long, conflicts_with = "routes")]
    no_routes: bool,
    /// Stored for clients; decides nothing here
    #[arg(long, value_name = "BOOL")]
    enable_dhcp: Option<bool>,
    /// New description
    #[arg(long, value_parser = network::text)]
    description: Option<Text>,
    /// Remove the description
    #[arg(long, conflicts_with = "description")]
    no_description: bool,
    /// New service types, in place of all others
    #[arg(long = "service-type", value_name = "OWNER", value_parser = network::text)]
    service_types: Vec<Text>,
    /// For ports of every device owner
    #[arg(long, conflicts_with = "service_types")]
    no_service_types: bool,
    /// Put it on this segment, the only one of its network
    #[arg(long, value_name = "ID")]
    segment: Option<SegmentId>,
    /// How long an address rests once it was released; 0: not at all
    #[arg(long, value_name = "DURATION", value_parser = duration::rest)]
    quarantine: Option<u64>,
    /// Only if it has this revision
    #[arg(long)]
    revision: Option<u64>,
}

/// Keeps a range from being handed out.
#[derive(Debug, clap::Args)]
pub(crate) struct Exclude {
    /// Name or id of the network
    network: String,
    /// Name, id or prefix of the subnet
    subnet: String,
    /// The range: FIRST-LAST, a prefix or an address
    #[arg(value_parser = range)]
    range: Range,
    /// Refuse requests for exactly such an address too
    #[arg(long)]
    everyone: bool,
    /// For people
    #[arg(long, value_parser = network::text)]
    reason: Option<Text>,
}

/// Ends an exclusion.
#[derive(Debug, clap::Args)]
pub(crate) struct Include {
    /// Name or id of the network
    network: String,
    /// Name, id or prefix of the subnet
    subnet: String,
    /// Exactly the range of the exclusion
    #[arg(value_parser = range)]
    range: Range,
}

pub(super) fn setting<T>(value: Option<T>, none: bool) -> Setting<T> {
    match (value, none) {
        (Some(value), _) => Setting::Value(value),
        (None, true) => Setting::Null,
        (None, false) => Setting::Unset,
    }
}

fn list<T>(values: Vec<T>) -> Option<Vec<T>> {
    (!values.is_empty()).then_some(values)
}

fn request(update: Update, subnet_id: SubnetId) -> Result<SubnetUpdate, Fault> {
    let pools = if update.no_pools { Some(Vec::new()) } else { list(update.pools) };
    let name = update.name.as_deref().map(find::name).transpose()?;
    let request = SubnetUpdate {
        subnet_id,
        expected: Revision(update.revision.unwrap_or(0)),
        strategy: setting(update.strategy.map(StrategyName::strategy), false),
        enable_dhcp: setting(update.enable_dhcp, false),
        gateway: setting(update.gateway, update.no_gateway),
        pools: setting(pools, update.default_pools),
        dns_servers: setting(list(update.dns_servers), update.no_dns),
        routes: setting(list(update.routes), update.no_routes),
        name: setting(name, update.no_name),
        description: setting(update.description, update.no_description),
        service_types: setting(list(update.service_types), update.no_service_types),
        segment_id: setting(update.segment, false),
        quarantine_ms: setting(update.quarantine, false),
    };
    let nothing = SubnetUpdate { expected: request.expected, ..SubnetUpdate::of(subnet_id) };
    match request == nothing {
        true => Err(Fault::Usage("nothing to change is given".to_owned())),
        false => Ok(request),
    }
}

pub(crate) async fn update(session: &Session, update: Update) -> Result<(), Fault> {
    let client = session.client().await?;
    let network = find::network_id(&client, &update.network).await?;
    let subnet = find::subnet(&client, network, &update.subnet).await?;
    let request = request(update, subnet.subnet_id)?;
    if session.is_dry("change the subnet so", &request)? {
        return Ok(());
    }
    session.output.one(&client.subnet_update(network, request).await?)
}

pub(crate) async fn exclude(session: &Session, exclude: Exclude) -> Result<(), Fault> {
    let client = session.client().await?;
    let network = find::network_id(&client, &exclude.network).await?;
    let subnet = find::subnet(&client, network, &exclude.subnet).await?;
    let mode = if exclude.everyone { ExclusionMode::Everyone } else { ExclusionMode::Automatic };
    let exclusion = Exclusion { range: exclude.range, mode, reason: exclude.reason };
    let request = SubnetExclude { subnet_id: subnet.subnet_id, exclusion };
    if session.is_dry("exclude this range", &request)? {
        return Ok(());
    }
    session.output.one(&client.subnet_exclude(network, request).await?)
}

pub(crate) async fn include(session: &Session, include: &Include) -> Result<(), Fault> {
    let client = session.client().await?;
    let network = find::network_id(&client, &include.network).await?;
    let subnet = find::subnet(&client, network, &include.subnet).await?;
    let request = SubnetInclude { subnet_id: subnet.subnet_id, range: include.range };
    if session.is_dry("end the exclusion of this range", &request)? {
        return Ok(());
    }
    session.output.one(&client.subnet_include(network, request).await?)
}
