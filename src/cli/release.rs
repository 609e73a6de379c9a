//! `addrd release`: looks up, shows, and releases the revision that it showed.

use super::fault::Fault;
use super::hold::Ended;
use super::owner::Owner;
use super::session::Session;
use super::view::View;
use super::{duration, find, hold, network, view};
use addrd_client::Client;
use addrd_protocol::message::{
    Allocation, AllocationState, Fences, HoldRelease, Lookup, Lookups, Release as ReleaseRequest,
    Released, Target as Named,
};
use addrd_protocol::{Instance, NetworkId, OwnerId, Revision, Slot, Status, Text};
use serde::Serialize;
use std::net::IpAddr;
use uuid::Uuid;

/// Which allocation is meant, and what must be so.
#[derive(Debug, clap::Args)]
pub(crate) struct Target {
    /// The address; its network is found if it is not given
    #[arg(required_unless_present = "owner")]
    address: Option<IpAddr>,
    /// Name or id of the network
    #[arg(long)]
    network: Option<String>,
    /// Name or id of the subnet pool: a prefix is meant
    #[arg(long, conflicts_with = "network")]
    pool: Option<String>,
    /// Who holds it
    #[arg(long, short = 'w', value_name = "TEXT")]
    owner: Option<Owner>,
    /// Ordinal among the owner's
    #[arg(long, default_value_t = 0)]
    slot: u16,
    /// Only if it has this revision
    #[arg(long)]
    revision: Option<u64>,
    /// Only if this instance holds it
    #[arg(long)]
    instance: Option<u64>,
    /// Only if this manager keeps it
    #[arg(long, value_parser = network::text)]
    manager: Option<Text>,
}

/// Releases what an address or an owner holds.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  addrd release 10.0.0.2
  addrd release --network blue --owner web-1
  addrd release --pool nodes --owner node-7
  addrd release 10.0.0.2 --revision 1843201
  addrd release 10.0.0.2 --hold request-8")]
pub(crate) struct Release {
    #[command(flatten)]
    target: Target,
    /// Only once it is confirmed with this token: an id, or any text
    #[arg(long, value_name = "TEXT", value_parser = hold::token, conflicts_with = "pool")]
    hold: Option<Uuid>,
    /// It can be confirmed for so long [default: 60s]
    #[arg(long, value_name = "DURATION", value_parser = duration::lease, requires = "hold")]
    hold_for: Option<u64>,
}

/// What was released, with what was shown before.
#[derive(Debug, Serialize)]
struct Gone {
    #[serde(flatten)]
    released: Released,
    network_id: NetworkId,
    owner: OwnerId,
    #[serde(skip_serializing_if = "Option::is_none")]
    owner_name: Option<Text>,
    slot: Slot,
}

impl View for Gone {
    const COLUMNS: &'static [&'static str] =
        &["address", "state", "owner", "slot", "subnet_id", "revision"];

    fn cells(&self) -> Vec<String> {
        let owner = self.owner_name.as_ref().map(ToString::to_string);
        vec![
            view::address(&self.released.address, self.released.length),
            view::word(&self.released.state),
            owner.unwrap_or_else(|| self.owner.to_string()),
            self.slot.0.to_string(),
            self.released.subnet_id.to_string(),
            self.released.revision.to_string(),
        ]
    }

    fn keys(&self) -> Vec<String> {
        vec![view::address(&self.released.address, self.released.length)]
    }

    /// The rest was shown before it was released.
    fn titles(&self) -> Vec<String> {
        let rest = match self.released.state {
            AllocationState::Free => String::new(),
            state => format!(" ({})", view::word(&state)),
        };
        vec![format!("released {}{rest}", self.keys().join(" "))]
    }

    fn fields(&self) -> Vec<(&'static str, String)> {
        Vec::new()
    }
}

/// Nothing was held: done, and said.
#[derive(Debug, Serialize)]
struct NotHeld {
    status: Status,
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<IpAddr>,
}

impl View for NotHeld {
    const COLUMNS: &'static [&'static str] = &["status", "address"];

    fn cells(&self) -> Vec<String> {
        vec![self.status.to_string(), self.keys().join(" ")]
    }

    fn keys(&self) -> Vec<String> {
        self.address.iter().map(ToString::to_string).collect()
    }

    fn titles(&self) -> Vec<String> {
        vec![match self.address {
            Some(address) => format!("{address} is not held: nothing to release"),
            None => "nothing is held: nothing to release".to_owned(),
        }]
    }

    fn fields(&self) -> Vec<(&'static str, String)> {
        Vec::new()
    }
}

/// An allocation by its key.
pub(crate) fn key_of(allocation: &Allocation) -> Named {
    Named::Key { owner: allocation.owner, slot: allocation.slot }
}

impl Target {
    /// The client to ask with: of prefixes, if a pool is named.
    pub(crate) fn client(&self, client: Client) -> Client {
        if self.pool.is_some() { client.for_pools() } else { client }
    }

    /// The network, if one was given, and the owner.
    pub(crate) fn network_and_owner(&self) -> Option<(Option<&str>, OwnerId)> {
        Some((self.network.as_deref(), self.owner.as_ref()?.id))
    }

    /// The subnet pool, if a prefix is meant.
    pub(crate) fn pool(&self) -> Option<&str> {
        self.pool.as_deref()
    }

    /// The owner that must hold an address; without it whoever holds that is found.
    pub(crate) fn take_fenced_owner(&mut self) -> Option<OwnerId> {
        self.address?;
        self.owner.take().map(|owner| owner.id)
    }

    /// The instance that must hold it.
    pub(crate) const fn instance(&self) -> Option<u64> {
        self.instance
    }

    /// The allocation as it is.
    ///
    /// # Errors
    /// [`Fault::NotFound`] if nothing is held there, or no subnet has the address.
    pub(crate) async fn find(&self, client: &Client) -> Result<(Client, Allocation), Fault> {
        match self.held(client).await? {
            Some(held) => Ok((on_network_of(client, &held), held)),
            None => Err(Fault::NotFound(match (&self.address, &self.owner) {
                (Some(address), _) => format!("{address} is not held"),
                (None, Some(_)) => "the owner holds nothing there".to_owned(),
                (None, None) => "an address or an owner is needed".to_owned(),
            })),
        }
    }

    /// The allocation as it is; `None` if nothing is held there.
    async fn held(&self, client: &Client) -> Result<Option<Allocation>, Fault> {
        let (client, network) = match (&self.network, &self.pool) {
            (Some(text), _) => {
                let (client, network) = find::usable(client, text).await?;
                (client, Some(network))
            }
            (None, Some(pool)) => {
                (client.clone(), Some(super::pool::as_network(client, pool).await?.1))
            }
            (None, None) => (client.clone(), None),
        };
        match (self.address, &self.owner, network) {
            (Some(address), _, _) => self.by_address(&client, network, address).await,
            (None, Some(owner), Some(network)) => {
                let key = Named::Key { owner: owner.id, slot: Slot(self.slot) };
                match client.allocation_get(network, key).await {
                    Err(error) if error.is(Status::NOT_FOUND) => {
                        // Is it the network that is missing? A pool was looked up before.
                        if self.pool.is_none() {
                            client.network_get(network).await?;
                        }
                        Ok(None)
                    }
                    other => Ok(Some(other?)),
                }
            }
            (None, Some(owner), None) => {
                let found = client.lookup(NetworkId::NIL, Lookup::Owner(owner.id)).await?;
                self.only(found, "owner", "--network and --slot")
            }
            (None, None, _) => Err(Fault::Usage("an address or --owner is needed".to_owned())),
        }
    }

    async fn by_address(
        &self,
        client: &Client,
        network: Option<NetworkId>,
        address: IpAddr,
    ) -> Result<Option<Allocation>, Fault> {
        let scope = network.unwrap_or(NetworkId::NIL);
        let mut found = client.lookup(scope, Lookup::Address(address)).await?;
        // What rests is held by nobody.
        found.allocations.retain(|held| held.state != AllocationState::Quarantined);
        let nowhere = found.subnets.is_empty() && self.pool.is_none();
        if found.allocations.is_empty() && nowhere {
            return Err(Fault::NotFound(format!("no subnet has the address {address}")));
        }
        self.only(found, "address", "--network")
    }

    /// The only one that fits; several are refused with what tells them apart.
    fn only(&self, found: Lookups, what: &str, option: &str) -> Result<Option<Allocation>, Fault> {
        let slot_given = self.address.is_none() && self.slot != 0;
        let fits = |held: &Allocation| {
            (!slot_given || held.slot.0 == self.slot)
                && (self.address.is_none()
                    || self.owner.as_ref().is_none_or(|o| o.id == held.owner))
        };
        let nobody_fits = !found.allocations.iter().any(fits);
        if nobody_fits
            && !found.allocations.is_empty()
            && self.owner.is_some()
            && self.address.is_some()
        {
            return Err(not_holder(&found.allocations));
        }
        let mut fitting = found.allocations.into_iter().filter(fits);
        match (fitting.next(), fitting.next()) {
            (first, None) if !found.more => Ok(first),
            _ => Err(Fault::Usage(format!("the {what} is held more than once: give {option}"))),
        }
    }

    /// What must still be so: what was asked for, and always the revision that was found.
    pub(crate) fn fences_on(&self, held: &Allocation) -> Fences {
        Fences {
            revision: Some(self.revision.map_or(held.revision, Revision)),
            owner: None,
            instance: self.instance.map(Instance),
            manager: self.manager.clone(),
        }
    }
}

/// The client that asks about the network of an allocation.
fn on_network_of(client: &Client, held: &Allocation) -> Client {
    client.on_networks_of(held.network_project.unwrap_or(held.project_id))
}

/// Refuses what only the project of an allocation may do.
pub(crate) fn check_own(held: &Allocation) -> Result<(), Fault> {
    match held.owner.is_nil() {
        false => Ok(()),
        true => Err(Fault::Refused(format!(
            "{} is held by project {}, which alone can release or change it",
            held.address, held.project_id
        ))),
    }
}

fn not_holder(held: &[Allocation]) -> Fault {
    let holder = held.first().map(|held| {
        held.owner_name.as_ref().map_or_else(|| held.owner.to_string(), ToString::to_string)
    });
    Fault::Refused(format!("it is held by {}", holder.unwrap_or_default()))
}

pub(crate) async fn run(session: &Session, release: Release) -> Result<(), Fault> {
    let target = &release.target;
    let client = match &target.owner {
        Some(owner) => target.client(session.client_of(owner.id).await?),
        None => target.client(session.client().await?),
    };
    let Some(held) = target.held(&client).await? else {
        return not_held(session, target.address);
    };
    check_own(&held)?;
    // The owner's session, so that an allocate that was given up ends first.
    let client = match &target.owner {
        Some(_) => client,
        None => target.client(session.client_of(held.owner).await?),
    };
    let client = on_network_of(&client, &held);
    if let Some(token) = release.hold {
        return hold_release(session, &client, &release, held, token).await;
    }
    let request =
        ReleaseRequest { target: key_of(&held), fences: target.fences_on(&held), any: false };
    let shown = format!(
        "release {}, held by {} (slot {}, revision {})",
        view::address(&held.address, held.length),
        held.owner_name.as_deref().unwrap_or(&held.owner.to_string()),
        held.slot.0,
        held.revision
    );
    if session.is_dry(&shown, &request)? {
        return Ok(());
    }
    session.output.remark(&shown);
    match client.release(held.network_id, request).await? {
        Some(released) => session.output.one(&Gone {
            released,
            network_id: held.network_id,
            owner: held.owner,
            owner_name: held.owner_name,
            slot: held.slot,
        }),
        None => not_held(session, Some(held.address)),
    }
}

/// The address stays its owner's until this is confirmed.
async fn hold_release(
    session: &Session,
    client: &Client,
    release: &Release,
    held: Allocation,
    token: Uuid,
) -> Result<(), Fault> {
    let request = HoldRelease {
        target: key_of(&held),
        fences: release.target.fences_on(&held),
        token,
        hold_ms: release.hold_for,
    };
    if session.is_dry("release so, once it is confirmed", &request)? {
        return Ok(());
    }
    let network_id = held.network_id;
    match client.hold_release(network_id, request).await? {
        Some(ended) => session.output.one(&Ended { ended, network_id }),
        None => not_held(session, Some(held.address)),
    }
}

pub(super) fn not_held(session: &Session, address: Option<IpAddr>) -> Result<(), Fault> {
    session.output.one(&NotHeld { status: Status::NOT_HELD, address })
}
