//! `addrd pin`: addresses kept for an owner, held or not.

use super::fault::Fault;
use super::owner::Owner;
use super::session::Session;
use super::{find, network};
use addrd_protocol::Slot;
use addrd_protocol::message::{Pin as PinObject, PinCreate, PinDelete};
use std::net::IpAddr;

/// Pins: create, list, delete.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Pin {
    /// Keeps an address for an owner.
    #[command(after_help = "Example:\n  addrd pin create blue 10.0.0.9 --owner printer")]
    Create(Create),
    /// Lists the pins of a network.
    #[command(visible_alias = "ls")]
    List(List),
    /// Ends the pin of an address; whoever holds it keeps it.
    #[command(visible_alias = "rm")]
    Delete(Delete),
}

/// Keeps an address.
#[derive(Debug, clap::Args)]
pub(crate) struct Create {
    /// Name or id of the network
    network: String,
    /// The address
    address: IpAddr,
    /// For whom
    #[arg(long)]
    owner: Owner,
    /// Ordinal among the owner's
    #[arg(long, default_value_t = 0)]
    slot: u16,
}

/// Lists pins.
#[derive(Debug, clap::Args)]
pub(crate) struct List {
    /// Name or id of the network
    network: String,
    /// Only in this subnet
    #[arg(long)]
    subnet: Option<String>,
}

/// Ends a pin.
#[derive(Debug, clap::Args)]
pub(crate) struct Delete {
    /// Name or id of the network
    network: String,
    /// The address
    address: IpAddr,
}

pub(crate) async fn run(session: &Session, pin: Pin) -> Result<(), Fault> {
    let client = session.client().await?;
    match pin {
        Pin::Create(create) => {
            let network = find::network_id(&client, &create.network).await?;
            let request = PinCreate {
                address: create.address,
                owner: create.owner.id,
                slot: Slot(create.slot),
                owner_name: create.owner.name,
            };
            if session.is_dry("keep this address", &request)? {
                return Ok(());
            }
            session.output.one(&client.pin_create(network, request).await?)
        }
        Pin::List(list) => {
            let network = find::network_id(&client, &list.network).await?;
            let subnet = match &list.subnet {
                Some(subnet) => Some(find::subnet(&client, network, subnet).await?.subnet_id),
                None => None,
            };
            let mut pins = client.pins(network, subnet);
            let mut out = session.output.list::<PinObject>();
            while let Some(pin) = pins.next().await? {
                if out.count() >= session.output.objects_max() {
                    return out.end(true);
                }
                out.add(pin)?;
            }
            out.end(false)
        }
        Pin::Delete(delete) => {
            let network = find::network_id(&client, &delete.network).await?;
            let request = PinDelete { address: delete.address };
            if session.is_dry("end this pin", &request)? {
                return Ok(());
            }
            client.pin_delete(network, request).await?;
            let address = delete.address.to_string();
            network::gone(session, &format!("pin of {address}"), &address)
        }
    }
}
