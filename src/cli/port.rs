//! `addrd port`: ports and their addresses.

use super::fault::Fault;
use super::owner::Owner;
use super::session::Session;
use super::subnet_change::setting;
use super::{ask, find, network, output};
use addrd_client::Client;
use addrd_protocol::message::{
    FixedIpWanted, Port as PortObject, PortCreate, PortDelete, PortFilter, PortUpdate,
};
use addrd_protocol::{Mac, NetworkId, PortId, Revision, Setting, Text};
use std::net::IpAddr;

/// Ports: create, get, list, update, delete.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Port {
    /// Creates a port with its addresses; the same command with the same id again finds it.
    #[command(after_help = "\
Examples:
  addrd port create blue                                     a new port, one address of each family
  addrd port create blue web-1                               the same again finds it
  addrd port create blue web-1 --ip 10.0.0.9 --ip subnet=front --mac fa:16:3e:00:00:01
  addrd port create blue web-1 --no-ips
  addrd port create blue web-1 --host node-7 --device-owner compute:nova")]
    Create(Box<Create>),
    /// Shows a port.
    #[command(visible_alias = "show")]
    Get(Get),
    /// Lists the ports of a network.
    #[command(visible_alias = "ls")]
    List(List),
    /// Changes a port; addresses that are asked for and held stay.
    #[command(
        after_help = "Example:\n  addrd port update blue web-1 --ip 10.0.0.9 --ip subnet=10.0.1.0/24"
    )]
    Update(Box<Update>),
    /// Deletes a port and releases its addresses.
    #[command(visible_alias = "rm")]
    Delete(Delete),
}

/// Which addresses a port shall have.
#[derive(Debug, clap::Args)]
struct Addresses {
    /// An address, `subnet=SUBNET` for any of a subnet, or `ADDRESS@SUBNET`; may be given several
    /// times [default: one of each family]
    #[arg(long = "ip", value_name = "WANTED")]
    ips: Vec<String>,
    /// No addresses
    #[arg(long, conflicts_with = "ips")]
    no_ips: bool,
    /// The addresses asked for may be gateways
    #[arg(long)]
    allow_gateway: bool,
}

/// Creates a port.
#[derive(Debug, clap::Args)]
pub(crate) struct Create {
    /// Name or id of the network
    network: String,
    /// Its id, or any text that the id shall follow from [default: a new id]
    port: Option<Owner>,
    #[command(flatten)]
    addresses: Addresses,
    /// MAC [default: the server makes one]
    #[arg(long)]
    mac: Option<Mac>,
    /// Machine that it lives on
    #[arg(long, value_parser = network::text)]
    host: Option<Text>,
    /// Who uses it, for example compute:nova
    #[arg(long, value_parser = network::text)]
    device_owner: Option<Text>,
    /// For people
    #[arg(long, value_parser = network::text)]
    description: Option<Text>,
}

/// Names a port.
#[derive(Debug, clap::Args)]
pub(crate) struct Get {
    /// Name or id of the network
    network: String,
    /// Its id, or the text that it follows from
    port: Owner,
}

/// Lists ports.
#[derive(Debug, clap::Args)]
pub(crate) struct List {
    /// Name or id of the network
    network: String,
    /// Only on this machine
    #[arg(long, value_parser = network::text)]
    host: Option<Text>,
    /// Only of this device owner
    #[arg(long, value_parser = network::text)]
    device_owner: Option<Text>,
    /// Only with this MAC
    #[arg(long)]
    mac: Option<Mac>,
    /// Only with a higher revision
    #[arg(long, value_name = "REVISION")]
    changed_since: Option<u64>,
}

/// Changes a port.
#[derive(Debug, clap::Args)]
pub(crate) struct Update {
    /// Name or id of the network
    network: String,
    /// Its id, or the text that it follows from
    port: Owner,
    #[command(flatten)]
    addresses: Addresses,
    /// One address of each family
    #[arg(long, conflicts_with_all = ["ips", "no_ips"])]
    default_ips: bool,
    /// New MAC
    #[arg(long)]
    mac: Option<Mac>,
    /// New machine
    #[arg(long, value_parser = network::text)]
    host: Option<Text>,
    /// On no machine
    #[arg(long, conflicts_with = "host")]
    no_host: bool,
    /// New device owner
    #[arg(long, value_parser = network::text)]
    device_owner: Option<Text>,
    /// Remove the device owner
    #[arg(long, conflicts_with = "device_owner")]
    no_device_owner: bool,
    /// New description
    #[arg(long, value_parser = network::text)]
    description: Option<Text>,
    /// Remove the description
    #[arg(long, conflicts_with = "description")]
    no_description: bool,
    /// Only if it has this revision
    #[arg(long)]
    revision: Option<u64>,
}

/// Deletes a port.
#[derive(Debug, clap::Args)]
pub(crate) struct Delete {
    /// Name or id of the network
    network: String,
    /// Its id, or the text that it follows from
    port: Owner,
    /// Only if it has this revision
    #[arg(long)]
    revision: Option<u64>,
}

const fn id_of(port: &Owner) -> PortId {
    PortId(port.id.0)
}

fn parse_address(text: &str) -> Result<IpAddr, Fault> {
    text.parse().map_err(|_| {
        Fault::Usage(format!("\"{text}\" is no address; subnet=SUBNET is any of a subnet"))
    })
}

/// What `--ip` says, with names of subnets looked up.
async fn wanted(
    client: &Client,
    network: NetworkId,
    texts: &[String],
) -> Result<Vec<FixedIpWanted>, Fault> {
    let mut all = Vec::with_capacity(texts.len());
    for text in texts {
        let (address, subnet) = match (text.strip_prefix("subnet="), text.split_once('@')) {
            (Some(subnet), _) => (None, Some(subnet)),
            (None, Some((address, subnet))) => (Some(address), Some(subnet)),
            (None, None) => (Some(text.as_str()), None),
        };
        let subnet_id = match subnet {
            Some(subnet) => Some(find::subnet(client, network, subnet).await?.subnet_id),
            None => None,
        };
        let ip_address = address.map(parse_address).transpose()?;
        all.push(FixedIpWanted { subnet_id, ip_address, slot: None });
    }
    Ok(all)
}

pub(crate) async fn run(session: &Session, port: Port) -> Result<(), Fault> {
    match port {
        Port::Create(create) => self::create(session, *create).await,
        Port::Get(get) => {
            let client = session.client().await?;
            let (client, network) = find::usable(&client, &get.network).await?;
            session.output.one(&client.port_get(network, id_of(&get.port)).await?)
        }
        Port::List(list) => self::list(session, list).await,
        Port::Update(update) => self::update(session, *update).await,
        Port::Delete(delete) => self::delete(session, delete).await,
    }
}

async fn create(session: &Session, create: Create) -> Result<(), Fault> {
    let client = session.client().await?;
    let (client, network) = find::usable(&client, &create.network).await?;
    let list = wanted(&client, network, &create.addresses.ips).await?;
    let is_ours = create.port.is_none();
    let request = PortCreate {
        port_id: id_of(&create.port.unwrap_or_else(Owner::random)),
        mac: create.mac,
        allow_gateway: create.addresses.allow_gateway,
        ip_allocation: None,
        fixed_ips: match create.addresses.no_ips || !list.is_empty() {
            true => Setting::Value(list),
            false => Setting::Unset,
        },
        host: create.host,
        device_owner: create.device_owner,
        description: create.description,
    };
    if session.is_dry("create this port", &request)? {
        return Ok(());
    }
    let made = client.port_create(network, request).await?;
    if made.repeated {
        session.output.remark("note: it existed already; nothing was changed");
    }
    if is_ours && session.output.is_quiet() {
        // `-q` prints addresses only, and whoever gave no id would never learn it.
        output::to_stderr(&format!("port {}", made.port_id));
    }
    session.output.one(&made)
}

async fn list(session: &Session, list: List) -> Result<(), Fault> {
    let client = session.client().await?;
    let (client, network) = find::usable(&client, &list.network).await?;
    let filter = PortFilter {
        host: list.host,
        device_owner: list.device_owner,
        mac: list.mac,
        changed_since: list.changed_since.map(Revision),
    };
    let most = session.output.objects_max();
    let mut ports = client.ports(network, filter);
    let mut out = session.output.list::<PortObject>();
    while let Some(port) = ports.next().await? {
        if out.count() >= most {
            return out.end(true);
        }
        out.add(port)?;
    }
    out.end(false)
}

async fn update(session: &Session, update: Update) -> Result<(), Fault> {
    let client = session.client().await?;
    let (client, network) = find::usable(&client, &update.network).await?;
    let list = wanted(&client, network, &update.addresses.ips).await?;
    let fixed_ips = match (update.addresses.no_ips || !list.is_empty(), update.default_ips) {
        (true, _) => Setting::Value(list),
        (false, true) => Setting::Null,
        (false, false) => Setting::Unset,
    };
    let request = PortUpdate {
        port_id: id_of(&update.port),
        expected: Revision(update.revision.unwrap_or(0)),
        allow_gateway: update.addresses.allow_gateway,
        mac: update.mac,
        fixed_ips,
        host: setting(update.host, update.no_host),
        device_owner: setting(update.device_owner, update.no_device_owner),
        description: setting(update.description, update.no_description),
    };
    let texts = [&request.host, &request.device_owner, &request.description];
    let says_nothing = request.mac.is_none()
        && request.fixed_ips.is_unset()
        && texts.into_iter().all(Setting::is_unset);
    if says_nothing {
        return Err(Fault::Usage("nothing to change is given".to_owned()));
    }
    if session.is_dry("change the port so", &request)? {
        return Ok(());
    }
    session.output.one(&client.port_update(network, request).await?)
}

async fn delete(session: &Session, delete: Delete) -> Result<(), Fault> {
    let client = session.client().await?;
    let (client, network) = find::usable(&client, &delete.network).await?;
    let port = client.port_get(network, id_of(&delete.port)).await?;
    let what = format!("delete port {} with {} addresses", port.port_id, port.fixed_ips.len());
    if session.is_dry(&what, &port)? {
        return Ok(());
    }
    ask::confirm(&session.global, &format!("{what}?"))?;
    let expected = Revision(delete.revision.unwrap_or(0));
    client.port_delete(network, PortDelete { port_id: port.port_id, expected }).await?;
    network::gone(session, &format!("port {}", port.port_id), &port.port_id.to_string())
}
