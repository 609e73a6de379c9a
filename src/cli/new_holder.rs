//! `addrd transfer`: gives what somebody holds to another owner, slot, instance or project.

use super::fault::Fault;
use super::held::Names;
use super::owner::Owner;
use super::release::{Target, check_own};
use super::session::Session;
use super::{connect, output};
use addrd_protocol::message::Transfer as TransferRequest;
use addrd_protocol::{Instance, Slot};

/// Gives what an address or an owner holds to another owner; the address stays.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  addrd transfer 10.0.0.2 --to-owner web-2
  addrd transfer 10.0.0.2 --owner web-1 --to-owner web-2
  addrd transfer 10.0.0.2 --revision 1843201 --to-instance 7
  addrd transfer --network blue --owner web-1 --to-slot 3")]
pub(crate) struct Transfer {
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    to: To,
}

/// Who is to hold it.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = true)]
struct To {
    /// Who holds it from now on
    #[arg(long, value_name = "TEXT")]
    to_owner: Option<Owner>,
    /// Its ordinal among the owner's from now on
    #[arg(long, value_name = "SLOT")]
    to_slot: Option<u16>,
    /// Which life of the owner holds it from now on
    #[arg(long, value_name = "INSTANCE")]
    to_instance: Option<u64>,
    /// Whose it is from now on: a project, by name or id, that may use the network
    #[arg(long, value_name = "PROJECT", conflicts_with = "pool")]
    to_project: Option<String>,
}

pub(crate) async fn run(session: &Session, mut transfer: Transfer) -> Result<(), Fault> {
    // By address the owner is a fence: who has it by now is no reason not to look.
    let former = transfer.target.take_fenced_owner();
    let client = transfer.target.client(session.client().await?);
    let (client, held) = transfer.target.find(&client).await?;
    check_own(&held)?;
    let mut fences = transfer.target.fences_on(&held);
    fences.owner = former;
    let To { to_owner, to_slot, to_instance, to_project } = transfer.to;
    let request = TransferRequest {
        address: held.address,
        fences,
        to_owner: to_owner.as_ref().map(|owner| owner.id),
        to_slot: to_slot.map(Slot),
        to_instance: to_instance.map(Instance),
        to_project: to_project.as_deref().map(connect::project).transpose()?,
        owner_name: to_owner.and_then(|owner| owner.name),
    };
    if session.is_dry("transfer the allocation so", &request)? {
        return Ok(());
    }
    let transferred = client.transfer(held.network_id, request).await?;
    if transferred.repeated {
        output::to_stderr("it was so already");
    }
    session.output.one(&Names::new(&client, &session.output).held(transferred).await?)
}
