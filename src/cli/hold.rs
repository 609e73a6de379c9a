//! `addrd confirm` and `addrd cancel`: ends holds, each for itself.

use super::fault::Fault;
use super::owner::Owner;
use super::session::Session;
use super::view::{self, View};
use super::{find, output, release};
use addrd_client::{Client, Error};
use addrd_protocol::message::{
    Allocation, AllocationFilter, AllocationState, HoldEnd, HoldEnded, Lookup, Target,
};
use addrd_protocol::{NetworkId, OwnerId, Revision, Slot, Status};
use serde::Serialize;
use std::net::IpAddr;
use uuid::Uuid;

/// Rests of an owner among which that of its hold is looked for.
const RESTING_MAX: usize = 1_000;

/// Which holds are meant.
#[derive(Debug, clap::Args)]
pub(crate) struct Holds {
    /// The addresses; their networks are found if none is given
    #[arg(value_name = "ADDRESS", required_unless_present = "owner", conflicts_with = "owner")]
    addresses: Vec<IpAddr>,
    /// Name or id of the network
    #[arg(long)]
    network: Option<String>,
    /// Who it is for
    #[arg(long, short = 'w', value_name = "TEXT", requires = "network")]
    owner: Option<Owner>,
    /// Ordinal among the owner's
    #[arg(long, default_value_t = 0, conflicts_with = "addresses")]
    slot: u16,
    /// Token of the hold: an id, or the text that it was made of
    #[arg(long, value_name = "TEXT", value_parser = token)]
    token: Uuid,
    /// What is held is a release
    #[arg(long)]
    release: bool,
    /// Revision of the hold, as it was printed [default: as it is now]
    #[arg(long)]
    revision: Option<u64>,
}

/// Makes holds allocations, also late ones whose addresses are still kept; carries held releases out.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  addrd confirm 10.0.0.2 --token request-7 --revision 1843201
  addrd confirm 10.0.0.2 10.0.1.9 --token request-7
  addrd confirm --network blue --owner web-1 --token request-7
  addrd confirm 10.0.0.2 --release --token request-8")]
pub(crate) struct Confirm {
    #[command(flatten)]
    holds: Holds,
}

/// Ends holds and frees their addresses at once; of held releases, leaves them to their owners.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  addrd cancel 10.0.0.2 --token request-7 --revision 1843201
  addrd cancel --network blue --owner web-1 --token request-7")]
pub(crate) struct Cancel {
    #[command(flatten)]
    holds: Holds,
}

/// A token: an id as it is, any other text by its id.
///
/// # Errors
/// What was expected.
pub(crate) fn token(text: &str) -> Result<Uuid, String> {
    let id = match text.is_empty() || text.len() > 255 {
        true => return Err("expected an id, or a text of 1 to 255 bytes".to_owned()),
        false => OwnerId::from_text(text).0,
    };
    if id.is_nil() { Err("expected a token that is not all zero".to_owned()) } else { Ok(id) }
}

/// What has become of a hold.
#[derive(Debug, Serialize)]
pub(super) struct Ended {
    #[serde(flatten)]
    pub(super) ended: HoldEnded,
    pub(super) network_id: NetworkId,
}

impl View for Ended {
    const COLUMNS: &'static [&'static str] = &["address", "state", "revision", "note"];

    fn cells(&self) -> Vec<String> {
        let note = match self.ended {
            HoldEnded { repeated: true, .. } => "so before",
            HoldEnded { late: true, .. } => "had run out",
            _ => "",
        };
        vec![
            self.keys().concat(),
            view::word(&self.ended.state),
            self.ended.revision.to_string(),
            note.to_owned(),
        ]
    }

    fn keys(&self) -> Vec<String> {
        vec![view::address(&self.ended.address, self.ended.length)]
    }

    fn titles(&self) -> Vec<String> {
        self.keys()
    }
}

/// Where a hold is.
struct Found {
    client: Client,
    network: NetworkId,
    end: HoldEnd,
}

/// What is done with each.
#[derive(Clone, Copy)]
enum Way {
    Confirm,
    Cancel,
}

impl Way {
    const fn verb(self) -> &'static str {
        match self {
            Self::Confirm => "confirm so",
            Self::Cancel => "cancel so",
        }
    }

    /// `None` = there is nothing any more.
    async fn end(self, found: &Found) -> Result<Option<HoldEnded>, Error> {
        match self {
            Self::Confirm => found.client.hold_confirm(found.network, found.end).await,
            Self::Cancel => found.client.hold_cancel(found.network, found.end).await,
        }
    }
}

impl Holds {
    /// Without a revision only the state tells whether what is there can be this hold: what is allocated may be
    /// somebody else's by now.
    fn check(&self, held: &Allocation) -> Result<(), Fault> {
        let is_released = self.release && held.state == AllocationState::Allocated;
        let is_held = !self.release && held.state != AllocationState::Allocated;
        if self.revision.is_some() || is_released || is_held {
            return Ok(());
        }
        Err(Fault::Refused(format!(
            "{} is {}: whether that is this hold's tells --revision",
            held.address,
            view::word(&held.state)
        )))
    }

    fn targets(&self) -> Vec<Target> {
        match &self.owner {
            Some(owner) => vec![Target::Key { owner: owner.id, slot: Slot(self.slot) }],
            None => self.addresses.iter().copied().map(Target::Address).collect(),
        }
    }

    /// Where a hold is; `None` = nothing is there.
    async fn find(&self, client: &Client, target: Target) -> Result<Option<Found>, Fault> {
        let mut client = client.clone();
        let mut network = None;
        if let Some(named) = &self.network {
            let (there, id) = find::usable(&client, named).await?;
            (client, network) = (there, Some(id));
        }
        let (token, release) = (self.token, self.release);
        if let (Some(network), Some(revision)) = (network, self.revision.map(Revision)) {
            let end = HoldEnd { target, revision, token, release };
            return Ok(Some(Found { client, network, end }));
        }
        let Some(held) = there(&client, network, &target).await? else { return Ok(None) };
        self.check(&held)?;
        let revision = self.revision.map_or(held.revision, Revision);
        let client = client.on_networks_of(held.network_project.unwrap_or(held.project_id));
        let end = HoldEnd { target, revision, token, release };
        Ok(Some(Found { client, network: held.network_id, end }))
    }
}

/// What an address or a key has, if it rests too.
async fn there(
    client: &Client,
    network: Option<NetworkId>,
    target: &Target,
) -> Result<Option<Allocation>, Fault> {
    let network = network.unwrap_or(NetworkId::NIL);
    let Target::Address(address) = target else {
        return match client.allocation_get(network, *target).await {
            Err(error) if error.is(Status::NOT_FOUND) => resting(client, network, target).await,
            other => Ok(Some(other?)),
        };
    };
    let mut found = client.lookup(network, Lookup::Address(*address)).await?.allocations;
    match (found.pop(), found.is_empty()) {
        (one, true) => Ok(one),
        _ => Err(Fault::Usage(format!("{address} is held more than once: give --network"))),
    }
}

/// What a key held last, if it rests.
async fn resting(
    client: &Client,
    network: NetworkId,
    target: &Target,
) -> Result<Option<Allocation>, Fault> {
    let Target::Key { owner, slot } = target else { return Ok(None) };
    let filter = AllocationFilter {
        state: Some(AllocationState::Quarantined),
        owner: Some(*owner),
        ..AllocationFilter::default()
    };
    let found = client.allocations(network, filter).take(RESTING_MAX).await?;
    let of_slot = found.into_iter().filter(|rest| rest.slot == *slot);
    Ok(of_slot.max_by_key(|rest| rest.revision))
}

pub(crate) async fn confirm(session: &Session, confirm: Confirm) -> Result<(), Fault> {
    run(session, &confirm.holds, Way::Confirm).await
}

pub(crate) async fn cancel(session: &Session, cancel: Cancel) -> Result<(), Fault> {
    run(session, &cancel.holds, Way::Cancel).await
}

/// Each for itself: whoever confirms has committed already. The first that can't be done is told at the end.
async fn run(session: &Session, holds: &Holds, way: Way) -> Result<(), Fault> {
    let client = match &holds.owner {
        Some(owner) => session.client_of(owner.id).await?,
        None => session.client().await?,
    };
    let targets = holds.targets();
    if holds.revision.is_some() && targets.len() > 1 {
        return Err(Fault::Usage("--revision is for one address; several are named".to_owned()));
    }
    if let [target] = targets[..] {
        return match one(session, holds, &client, target, way).await? {
            Outcome::Ended(ended) => session.output.one(&ended),
            Outcome::Nothing => release::not_held(session, address_of(&target)),
            Outcome::Dry => Ok(()),
        };
    }
    let mut list = session.output.list();
    let mut first_fault = None;
    for target in targets {
        match one(session, holds, &client, target, way).await {
            Ok(Outcome::Ended(ended)) => list.add(ended)?,
            Ok(Outcome::Nothing) => {
                let name = name_of(&target);
                session.output.remark(&format!("{name} is not held: nothing to cancel"));
            }
            Ok(Outcome::Dry) => {}
            Err(fault) => {
                output::to_stderr(&format!("{} is not done", name_of(&target)));
                first_fault.get_or_insert(fault);
            }
        }
    }
    list.end(false)?;
    first_fault.map_or(Ok(()), Err)
}

/// What came of one of them.
enum Outcome {
    Ended(Ended),
    /// There is nothing any more.
    Nothing,
    /// It was only shown.
    Dry,
}

async fn one(
    session: &Session,
    holds: &Holds,
    client: &Client,
    target: Target,
    way: Way,
) -> Result<Outcome, Fault> {
    let Some(found) = holds.find(client, target).await? else {
        return match way {
            Way::Confirm => Err(Fault::NotFound(format!("{} is not held", name_of(&target)))),
            Way::Cancel => Ok(Outcome::Nothing),
        };
    };
    if session.is_dry(way.verb(), &found.end)? {
        return Ok(Outcome::Dry);
    }
    Ok(match way.end(&found).await? {
        Some(ended) => Outcome::Ended(Ended { ended, network_id: found.network }),
        None => Outcome::Nothing,
    })
}

const fn address_of(target: &Target) -> Option<IpAddr> {
    match target {
        Target::Address(address) => Some(*address),
        Target::Key { .. } => None,
    }
}

fn name_of(target: &Target) -> String {
    match target {
        Target::Address(address) => address.to_string(),
        Target::Key { slot, .. } => format!("slot {} of the owner", slot.0),
    }
}
