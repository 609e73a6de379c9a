//! Projects, address scopes and subnet pools as lines, and what networks take from them. Knows
//! nothing inside a network.

use super::rows;
use super::tables::{At, EVERYBODY, Tables};
use crate::cli::project;
use crate::cli::transfer::convert::account::Account;
use crate::cli::transfer::faults::Faults;
use crate::cli::transfer::line::{InProject, Line, Pool, Scope};
use addrd_protocol::message::pool::POOL_PREFIXES_MAX;
use addrd_protocol::message::{PoolCreate, ProjectCreate, ScopeCreate};
use addrd_protocol::{AddressScopeId, Family, PoolId, Prefix, ProjectId, Text};
use ipnet::IpNet;
use std::collections::{BTreeMap, HashMap, HashSet};
use uuid::Uuid;

/// What subnets and networks name.
#[derive(Debug, Default)]
pub(super) struct Catalogue {
    /// Pools with their families and scopes.
    pub(super) pools: HashMap<Uuid, (Family, Option<AddressScopeId>)>,
}

impl Catalogue {
    /// Gives the lines to `out` too.
    pub(super) fn of(
        tables: &Tables,
        file: &str,
        out: &mut Vec<Line>,
        faults: &mut Faults,
        account: &mut Account,
    ) -> Self {
        let mut catalogue = Self::default();
        projects(tables, out);
        let mut scopes = HashSet::new();
        for scope in by_project(&tables.scopes, |row| row.project_id.as_deref()) {
            match self::scope(tables, scope, account) {
                Ok(line) => {
                    scopes.insert(scope.row.id);
                    out.push(line);
                }
                Err(what) => faults.add(format_args!("{file}:{}", scope.line), what),
            }
        }
        for pool in by_project(&tables.pools, |row| row.project_id.as_deref()) {
            match self::pool(tables, pool, &scopes, account) {
                Ok(pool) => {
                    let (family, scope) = (pool.object.family, pool.object.address_scope_id);
                    catalogue.pools.insert(pool.subnet_pool_id.0, (family, scope));
                    out.push(Line::Pool(pool));
                }
                Err(what) => faults.add(format_args!("{file}:{}", pool.line), what),
            }
        }
        catalogue
    }
}

/// A project as Keystone names it: 32 hex digits, or another text; none = the default one.
pub(super) fn project_id(text: Option<&str>) -> ProjectId {
    let text = text.unwrap_or_default();
    match Uuid::try_parse(text) {
        _ if text.is_empty() => ProjectId::DEFAULT,
        Ok(id) if !id.is_nil() => ProjectId(id),
        _ => project::id_of(text),
    }
}

/// Rows in the order in which an export has their objects.
fn by_project<T>(rows: &[At<T>], project: impl Fn(&T) -> Option<&str>) -> Vec<&At<T>> {
    let mut rows: Vec<&At<T>> = rows.iter().collect();
    rows.sort_by_key(|at| project_id(project(&at.row)));
    rows
}

/// The default project, and all that have something.
fn projects(tables: &Tables, out: &mut Vec<Line>) {
    let scopes = tables.scopes.iter().map(|scope| &scope.row.project_id);
    let pools = tables.pools.iter().map(|pool| &pool.row.project_id);
    let networks = tables.networks.values().map(|network| &network.row.project_id);
    let ports = tables.ports.iter().map(|port| &port.row.project_id);
    let mut projects = BTreeMap::from([(ProjectId::DEFAULT, Some("default"))]);
    for project in scopes.chain(pools).chain(networks).chain(ports) {
        let text = project.as_deref();
        let is_id = text.is_some_and(|text| Uuid::try_parse(text).is_ok());
        projects.entry(project_id(text)).or_insert(text.filter(|_| !is_id));
    }
    out.extend(projects.into_iter().map(|(project_id, name)| {
        let name = name.and_then(|name| Text::new(name).ok()).filter(Text::is_name);
        let object = ProjectCreate { name, ..ProjectCreate::default() };
        Line::Project(InProject { project_id, object })
    }));
}

fn scope(tables: &Tables, scope: &At<rows::Scope>, account: &mut Account) -> Result<Line, String> {
    let row = &scope.row;
    let object = ScopeCreate {
        family: family(row.ip_version)?,
        shared: is_shared(tables, row.id, "address scope", account),
        name: None,
        description: told(row.name.as_deref(), account),
    };
    let project_id = project_id(row.project_id.as_deref());
    let address_scope_id = AddressScopeId(row.id);
    Ok(Line::Scope(Box::new(Scope { project_id, address_scope_id, object })))
}

fn pool(
    tables: &Tables,
    pool: &At<rows::Pool>,
    scopes: &HashSet<Uuid>,
    account: &mut Account,
) -> Result<Box<Pool>, String> {
    let row = &pool.row;
    let family = family(row.ip_version)?;
    if let Some(scope) = row.address_scope_id.filter(|scope| !scopes.contains(scope)) {
        return Err(format!("there is no address scope {scope}"));
    }
    let given = tables.pool_prefixes.get(&row.id).map(Vec::as_slice).unwrap_or_default();
    if let Some(other) = given.iter().find(|prefix| prefix.family() != family) {
        return Err(format!("{other} is of another family than its pool"));
    }
    // As a pool shows them: neighbours are one.
    let merged = IpNet::aggregate(&given.iter().map(Prefix::net).collect());
    let prefixes = merged.iter().filter_map(|net| Prefix::new(net.addr(), net.prefix_len()));
    let mut prefixes: Vec<Prefix> = prefixes.collect();
    prefixes.sort();
    if prefixes.is_empty() || prefixes.len() > POOL_PREFIXES_MAX {
        let count = prefixes.len();
        return Err(format!("{count} prefixes; a pool has 1 to {POOL_PREFIXES_MAX}"));
    }
    let object = PoolCreate {
        family,
        prefixes,
        min_length: Some(row.min_prefixlen),
        max_length: Some(row.max_prefixlen),
        default_length: Some(row.default_prefixlen),
        default_quota: row.default_quota,
        address_scope_id: row.address_scope_id.map(AddressScopeId),
        parent_id: None,
        parent_length: None,
        is_default: row.is_default,
        shared: is_shared(tables, row.id, "subnet pool", account),
        name: None,
        description: told(row.name.as_deref(), account),
    };
    let (project_id, subnet_pool_id) = (project_id(row.project_id.as_deref()), PoolId(row.id));
    Ok(Box::new(Pool { project_id, subnet_pool_id, object }))
}

/// Whether others may use an object: addrd shares with everybody or with nobody.
pub(super) fn is_shared(tables: &Tables, id: Uuid, kind: &str, account: &mut Account) -> bool {
    let Some(targets) = tables.shared.get(&id) else { return false };
    if !targets.contains(EVERYBODY) {
        let count = targets.len();
        account.remark(format!("{kind} {id} was shared with {count} projects; now with everybody"));
    }
    true
}

/// A name as a description; Neutron's names are not unique.
pub(super) fn told(name: Option<&str>, account: &mut Account) -> Option<Text> {
    let name = name.filter(|name| !name.is_empty())?;
    let text = Text::new(name).ok();
    if text.is_none() {
        account.leave_out("names that are no text of addrd's");
    }
    text
}

fn family(ip_version: u8) -> Result<Family, String> {
    match ip_version {
        4 => Ok(Family::V4),
        6 => Ok(Family::V6),
        other => Err(format!("ip_version is {other}")),
    }
}
