//! `addrd segment` and `addrd host`: segments of routed networks and the hosts that reach them.

use super::fault::Fault;
use super::owner::Owner;
use super::session::Session;
use super::subnet_change::setting;
use super::{ask, find, network};
use addrd_protocol::message::{
    HostMapping, Segment as SegmentObject, SegmentCreate, SegmentDelete, SegmentHosts,
    SegmentUpdate,
};
use addrd_protocol::{Revision, SegmentId, Text};

/// Segments: create, get, list, update, delete.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Segment {
    /// Creates a segment; the same command again finds it.
    #[command(after_help = "Example:\n  addrd segment create blue rack-12 --description \"row 3\"")]
    Create(Create),
    /// Shows a segment.
    #[command(visible_alias = "show")]
    Get(Get),
    /// Lists the segments of a network.
    #[command(visible_alias = "ls")]
    List(List),
    /// Changes the description.
    Update(Update),
    /// Deletes a segment that no subnet is on.
    #[command(visible_alias = "rm")]
    Delete(Get),
}

/// Hosts: create, list, delete.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Host {
    /// Maps hosts to a segment.
    #[command(after_help = "Example:\n  addrd host create blue rack-12 node-7 node-8")]
    Create(Hosts),
    /// Lists which hosts reach which segments.
    #[command(visible_alias = "ls")]
    List(HostList),
    /// Ends mappings of hosts to a segment.
    #[command(visible_alias = "rm")]
    Delete(Hosts),
}

/// Creates a segment.
#[derive(Debug, clap::Args)]
pub(crate) struct Create {
    /// Name or id of the network
    network: String,
    /// Its id, or any text that the id shall follow from
    segment: Owner,
    /// For people
    #[arg(long, value_parser = network::text)]
    description: Option<Text>,
}

/// Names a segment.
#[derive(Debug, clap::Args)]
pub(crate) struct Get {
    /// Name or id of the network
    network: String,
    /// Its id, or the text that it follows from
    segment: Owner,
}

/// Lists segments.
#[derive(Debug, clap::Args)]
pub(crate) struct List {
    /// Name or id of the network
    network: String,
}

/// Changes a segment.
#[derive(Debug, clap::Args)]
pub(crate) struct Update {
    /// Name or id of the network
    network: String,
    /// Its id, or the text that it follows from
    segment: Owner,
    /// New description
    #[arg(long, value_parser = network::text)]
    description: Option<Text>,
    /// Remove the description
    #[arg(long, conflicts_with = "description")]
    no_description: bool,
}

/// Hosts of a segment.
#[derive(Debug, clap::Args)]
pub(crate) struct Hosts {
    /// Name or id of the network
    network: String,
    /// Id of the segment, or the text that it follows from
    segment: Owner,
    /// Hosts
    #[arg(required = true, value_parser = network::text)]
    hosts: Vec<Text>,
}

/// Lists mappings.
#[derive(Debug, clap::Args)]
pub(crate) struct HostList {
    /// Name or id of the network
    network: String,
    /// Only of this segment
    #[arg(long)]
    segment: Option<Owner>,
    /// Only of this host
    #[arg(long, value_parser = network::text)]
    host: Option<Text>,
}

const fn id_of(segment: &Owner) -> SegmentId {
    SegmentId(segment.id.0)
}

pub(crate) async fn run(session: &Session, segment: Segment) -> Result<(), Fault> {
    let client = session.client().await?;
    match segment {
        Segment::Create(create) => {
            let network = find::network_id(&client, &create.network).await?;
            let description = create.description;
            let request = SegmentCreate { segment_id: id_of(&create.segment), description };
            if session.is_dry("create this segment", &request)? {
                return Ok(());
            }
            session.output.one(&client.segment_create(network, request).await?)
        }
        Segment::Get(get) => {
            let network = find::network_id(&client, &get.network).await?;
            session.output.one(&client.segment_get(network, id_of(&get.segment)).await?)
        }
        Segment::List(list) => {
            let network = find::network_id(&client, &list.network).await?;
            let mut segments = client.segments(network);
            let mut out = session.output.list::<SegmentObject>();
            while let Some(segment) = segments.next().await? {
                if out.count() >= session.output.objects_max() {
                    return out.end(true);
                }
                out.add(segment)?;
            }
            out.end(false)
        }
        Segment::Update(update) => {
            let network = find::network_id(&client, &update.network).await?;
            let request = SegmentUpdate {
                segment_id: id_of(&update.segment),
                expected: Revision(0),
                description: setting(update.description, update.no_description),
            };
            if request.description.is_unset() {
                return Err(Fault::Usage("nothing to change is given".to_owned()));
            }
            session.output.one(&client.segment_update(network, request).await?)
        }
        Segment::Delete(delete) => {
            let network = find::network_id(&client, &delete.network).await?;
            let segment = client.segment_get(network, id_of(&delete.segment)).await?;
            let id = segment.segment_id;
            let what = format!("delete segment {id} with {} mappings of hosts", segment.hosts);
            if session.is_dry(&what, &segment)? {
                return Ok(());
            }
            ask::confirm(&session.global, &format!("{what}?"))?;
            let request = SegmentDelete { segment_id: id, expected: Revision(0) };
            client.segment_delete(network, request).await?;
            network::gone(session, &format!("segment {id}"), &id.to_string())
        }
    }
}

pub(crate) async fn run_host(session: &Session, host: Host) -> Result<(), Fault> {
    let client = session.client().await?;
    let (network, request) = match host {
        Host::Create(Hosts { network, segment, hosts }) => {
            (network, SegmentHosts { segment_id: id_of(&segment), add: hosts, remove: Vec::new() })
        }
        Host::Delete(Hosts { network, segment, hosts }) => {
            (network, SegmentHosts { segment_id: id_of(&segment), add: Vec::new(), remove: hosts })
        }
        Host::List(list) => {
            let network = find::network_id(&client, &list.network).await?;
            let mut hosts = client.hosts(network, list.segment.as_ref().map(id_of), list.host);
            let mut out = session.output.list::<HostMapping>();
            while let Some(mapping) = hosts.next().await? {
                if out.count() >= session.output.objects_max() {
                    return out.end(true);
                }
                out.add(mapping)?;
            }
            return out.end(false);
        }
    };
    let network = find::network_id(&client, &network).await?;
    if session.is_dry("map hosts so", &request)? {
        return Ok(());
    }
    session.output.one(&client.segment_hosts(network, request).await?)
}
