//! How projects, address scopes and subnet pools look.

use super::view::{View, text, word};
use addrd_protocol::message::{AddressScope, PoolPreviewed, Project, Quotas, SubnetPool};

fn yes(set: bool, word: &str) -> Option<&str> {
    set.then_some(word)
}

fn notes<const N: usize>(all: [Option<&str>; N]) -> String {
    all.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// What a project has of what it may have, or only what it may have where its use is not told.
fn quotas(project: &Project) -> String {
    let Quotas { addresses, prefixes, networks, subnets, ports, resting } = project.quotas;
    let used = project.used;
    let all = [
        ("addresses", addresses, used.addresses),
        ("prefixes", prefixes, used.prefixes),
        ("networks", networks, networks.map(|_| project.networks.into())),
        ("subnets", subnets, used.subnets),
        ("ports", ports, used.ports),
        ("resting", resting, used.resting),
    ];
    let shown = all.into_iter().filter_map(|(name, quota, used)| match (quota, used) {
        (Some(quota), Some(used)) => Some(format!("{name} {used} of {quota}")),
        (Some(quota), None) => Some(format!("{name} {quota}")),
        (None, Some(used)) => Some(format!("{name} {used}")),
        (None, None) => None,
    });
    shown.collect::<Vec<_>>().join(", ")
}

impl View for Project {
    const COLUMNS: &'static [&'static str] = &[
        "name",
        "project_id",
        "networks",
        "subnet_pools",
        "address_scopes",
        "quotas",
        "description",
        "revision",
    ];

    fn cells(&self) -> Vec<String> {
        vec![
            text(self.name.as_ref()),
            self.project_id.to_string(),
            self.networks.to_string(),
            self.subnet_pools.to_string(),
            self.address_scopes.to_string(),
            quotas(self),
            text(self.description.as_ref()),
            self.revision.to_string(),
        ]
    }

    fn keys(&self) -> Vec<String> {
        vec![self.project_id.to_string()]
    }
}

impl View for AddressScope {
    const COLUMNS: &'static [&'static str] = &[
        "name",
        "address_scope_id",
        "family",
        "subnet_pools",
        "networks",
        "project_id",
        "description",
        "note",
    ];

    fn cells(&self) -> Vec<String> {
        vec![
            text(self.name.as_ref()),
            self.address_scope_id.to_string(),
            word(&self.family),
            self.subnet_pools.to_string(),
            self.networks.to_string(),
            self.project_id.to_string(),
            text(self.description.as_ref()),
            notes([yes(self.shared, "shared")]),
        ]
    }

    fn keys(&self) -> Vec<String> {
        vec![self.address_scope_id.to_string()]
    }
}

impl View for SubnetPool {
    const COLUMNS: &'static [&'static str] =
        &["name", "subnet_pool_id", "prefixes", "lengths", "taken", "used", "note"];

    fn cells(&self) -> Vec<String> {
        let prefixes: Vec<String> = self.prefixes.iter().map(ToString::to_string).collect();
        vec![
            text(self.name.as_ref()),
            self.subnet_pool_id.to_string(),
            prefixes.join(", "),
            format!("{} to {} ({})", self.min_length, self.max_length, self.default_length),
            self.taken.to_string(),
            format!("{} of {}", self.used, self.size),
            notes([yes(self.is_default, "default"), yes(self.shared, "shared")]),
        ]
    }

    fn keys(&self) -> Vec<String> {
        vec![self.subnet_pool_id.to_string()]
    }

    fn fields(&self) -> Vec<(&'static str, String)> {
        let shown = |value: Option<String>| value.unwrap_or_default();
        let mut fields: Vec<_> = Self::COLUMNS.iter().copied().zip(self.cells()).collect();
        fields.extend([
            ("used_by_project", self.used_by_project.to_string()),
            ("default_quota", shown(self.default_quota.map(|quota| quota.to_string()))),
            ("address_scope_id", shown(self.address_scope_id.map(|id| id.to_string()))),
            ("parent_id", shown(self.parent_id.map(|id| id.to_string()))),
            ("project_id", self.project_id.to_string()),
            ("description", text(self.description.as_ref())),
            ("revision", self.revision.to_string()),
        ]);
        fields
    }
}

impl View for PoolPreviewed {
    const COLUMNS: &'static [&'static str] = &["cidr"];

    fn cells(&self) -> Vec<String> {
        self.keys()
    }

    fn keys(&self) -> Vec<String> {
        vec![self.cidr.to_string()]
    }
}
