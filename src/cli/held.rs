//! Allocations as the command line shows them: with the prefix of their subnet and the name of
//! their network, which the wire leaves out. Finds no allocation itself.

use super::duration;
use super::fault::Fault;
use super::output::{ListOutput, Output};
use super::view::{self, View, text, word};
use addrd_client::{Client, Error};
use addrd_protocol::message::{Allocation, AllocationFilter, Job, Lookups, Network};
use addrd_protocol::{NetworkId, PoolId, Prefix, ProjectId, Text};
use serde::Serialize;
use std::collections::HashMap;

/// Networks whose name one command asks for at most; those beyond are shown without.
const NAMES_ASKED_MAX: usize = 1_000;

/// An allocation and where it is.
#[derive(Debug, Serialize)]
pub(crate) struct Held {
    #[serde(flatten)]
    allocation: Allocation,
    #[serde(skip_serializing_if = "Option::is_none")]
    cidr: Option<Prefix>,
    #[serde(skip_serializing_if = "Option::is_none")]
    network_name: Option<Text>,
}

impl Held {
    fn cidr(&self) -> String {
        self.cidr.map(|cidr| cidr.to_string()).unwrap_or_default()
    }

    fn network(&self) -> String {
        shown(self.network_name.as_ref(), self.allocation.network_id)
    }
}

/// Whose an allocation is, as people know it; of another project's only which project.
fn holder(held: &Allocation) -> String {
    held.owner_name.as_ref().map_or_else(|| holder_id(held), ToString::to_string)
}

fn holder_id(held: &Allocation) -> String {
    match held.owner.is_nil() {
        true => format!("project {}", held.project_id),
        false => held.owner.to_string(),
    }
}

/// A network as people know it: by name, if it has one.
fn shown(name: Option<&Text>, id: NetworkId) -> String {
    name.map_or_else(|| id.to_string(), ToString::to_string)
}

impl View for Held {
    const COLUMNS: &'static [&'static str] = &[
        "address",
        "state",
        "owner",
        "slot",
        "host",
        "manager",
        "label",
        "cidr",
        "network",
        "revision",
        "time_left",
    ];

    fn cells(&self) -> Vec<String> {
        let held = &self.allocation;
        vec![
            view::address(&held.address, held.length),
            word(&held.state),
            holder(held),
            held.slot.0.to_string(),
            text(held.host.as_ref()),
            text(held.manager.as_ref()),
            text(held.label.as_ref()),
            self.cidr(),
            self.network(),
            held.revision.to_string(),
            duration::left(held.time_left_ms),
        ]
    }

    fn keys(&self) -> Vec<String> {
        vec![view::address(&self.allocation.address, self.allocation.length)]
    }

    fn titles(&self) -> Vec<String> {
        self.keys()
    }

    fn fields(&self) -> Vec<(&'static str, String)> {
        let held = &self.allocation;
        let instance = held.instance;
        vec![
            ("state", word(&held.state)),
            ("owner", holder_id(held)),
            ("owner_name", text(held.owner_name.as_ref())),
            ("slot", held.slot.0.to_string()),
            ("instance", if instance.0 == 0 { String::new() } else { instance.to_string() }),
            ("host", text(held.host.as_ref())),
            ("manager", text(held.manager.as_ref())),
            ("label", text(held.label.as_ref())),
            ("network", text(self.network_name.as_ref())),
            ("network_id", held.network_id.to_string()),
            ("cidr", self.cidr()),
            ("subnet_id", held.subnet_id.to_string()),
            ("revision", held.revision.to_string()),
            ("time_left", duration::left(held.time_left_ms)),
        ]
    }
}

/// A job and the name of its network, while there is one.
#[derive(Debug, Serialize)]
pub(crate) struct NamedJob {
    #[serde(flatten)]
    job: Job,
    #[serde(skip_serializing_if = "Option::is_none")]
    network_name: Option<Text>,
}

impl View for NamedJob {
    const COLUMNS: &'static [&'static str] =
        &["job_id", "kind", "state", "done", "total", "network", "subnet_id"];

    fn cells(&self) -> Vec<String> {
        let subnet = self.job.subnet_id;
        vec![
            self.job.job_id.to_string(),
            word(&self.job.kind),
            word(&self.job.state),
            self.job.done.to_string(),
            self.job.total.to_string(),
            shown(self.network_name.as_ref(), self.job.network_id),
            if subnet.is_nil() { String::new() } else { subnet.to_string() },
        ]
    }

    fn keys(&self) -> Vec<String> {
        vec![self.job.job_id.to_string()]
    }

    fn fields(&self) -> Vec<(&'static str, String)> {
        let mut fields: Vec<_> = Self::COLUMNS.iter().copied().zip(self.cells()).collect();
        if self.network_name.is_some() {
            fields.push(("network_id", self.job.network_id.to_string()));
        }
        fields
    }
}

/// Names of networks (or of subnet pools, if the client is one for pools), each asked for once.
#[derive(Debug)]
pub(crate) struct Names {
    client: Client,
    /// By id and, of shared networks, their project.
    known: HashMap<(NetworkId, Option<ProjectId>), Option<Text>>,
    /// How many may still be asked for; 0 where no name is printed.
    left: usize,
}

impl Names {
    pub(crate) fn new(client: &Client, output: &Output) -> Self {
        let left = if output.is_quiet() { 0 } else { NAMES_ASKED_MAX };
        Self { client: client.clone(), known: HashMap::new(), left }
    }

    /// A network that was read anyway.
    pub(crate) fn know(&mut self, network: &Network) {
        let id = network.network_id;
        let scope = self.client.on_networks_of(network.project_id).scope(id);
        self.known.insert((id, scope.network_project), network.name.clone());
    }

    /// The name, if there is one that may be seen.
    pub(crate) async fn of(
        &mut self,
        id: NetworkId,
        home: Option<ProjectId>,
    ) -> Result<Option<Text>, Fault> {
        let of_home = home.map(|home| self.client.on_networks_of(home));
        let client = of_home.unwrap_or_else(|| self.client.clone());
        let scope = client.scope(id);
        let key = (id, scope.network_project);
        if let Some(name) = self.known.get(&key) {
            return Ok(name.clone());
        }
        if self.left == 0 || id.is_nil() {
            return Ok(None);
        }
        self.left -= 1;
        let asked = match scope.pool {
            true => client.for_networks().pool_get(PoolId(id.0)).await.map(|pool| pool.name),
            false => client.network_get(id).await.map(|network| network.name),
        };
        let name = match asked {
            Ok(name) => name,
            // Gone meanwhile, or not for us: the id is all that can be said.
            Err(Error::Refused(_)) => None,
            Err(error) => return Err(error.into()),
        };
        self.known.insert(key, name.clone());
        Ok(name)
    }

    /// An allocation with its surroundings.
    pub(crate) async fn held(&mut self, allocation: Allocation) -> Result<Held, Fault> {
        let cidr = view::subnet(&allocation.address, allocation.subnet_length);
        let home = allocation.network_project;
        let network_name = self.of(allocation.network_id, home).await?;
        Ok(Held { allocation, cidr, network_name })
    }

    /// A job with the name of its network.
    pub(crate) async fn job(&mut self, job: Job) -> Result<NamedJob, Fault> {
        let network_name = self.of(job.network_id, None).await?;
        Ok(NamedJob { job, network_name })
    }

    /// Prints what matches in a network; whether there was more than may be printed.
    pub(crate) async fn add_all(
        &mut self,
        client: &Client,
        network: NetworkId,
        filter: AllocationFilter,
        out: &mut ListOutput<'_, Held>,
        most: usize,
    ) -> Result<bool, Fault> {
        let mut allocations = client.allocations(network, filter);
        while let Some(allocation) = allocations.next().await? {
            if out.count() >= most {
                return Ok(true);
            }
            out.add(self.held(allocation).await?)?;
        }
        Ok(false)
    }

    /// Where an address that nobody holds would be.
    pub(crate) async fn places(&mut self, found: &Lookups) -> Result<Vec<String>, Fault> {
        let mut places = Vec::new();
        for subnet in &found.subnets {
            let name = self.of(subnet.network_id, subnet.network_project).await?;
            let network = shown(name.as_ref(), subnet.network_id);
            places.push(format!("subnet {} of {network}", subnet.cidr));
        }
        Ok(places)
    }
}
