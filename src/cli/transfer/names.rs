//! Names of objects in the lines read so far, and whether another one may have them. Asks nobody.

use super::identity::{self, Net};
use super::known::Origin;
use super::line::Line;
use addrd_protocol::{ProjectId, Text};
use std::collections::HashMap;

/// Inside what a name is unique.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Named {
    Network(ProjectId, Text),
    Scope(ProjectId, Text),
    Pool(ProjectId, Text),
    Subnet(Net, Text),
}

/// Who has which name.
#[derive(Debug, Default)]
pub(super) struct Names(HashMap<Named, Origin>);

impl Names {
    /// Whether the object of a line may have the name that it says.
    pub(super) fn check(&self, line: &Line) -> Result<(), String> {
        let Some(named) = Named::of(line) else { return Ok(()) };
        let name = named.name();
        if !name.is_name() {
            return Err(format!("\"{name}\" is no name"));
        }
        match self.0.get(&named) {
            None => Ok(()),
            Some(origin) => Err(format!("the name \"{name}\" is in use {}", origin.told())),
        }
    }

    pub(super) fn note(&mut self, line: &Line, origin: Origin) {
        self.0.extend(Named::of(line).map(|named| (named, origin)));
    }
}

impl Named {
    /// Of an object that has one.
    fn of(line: &Line) -> Option<Self> {
        match line {
            Line::Network(network) => {
                Some(Self::Network(network.project_id, network.object.name.clone()?))
            }
            Line::Scope(scope) => Some(Self::Scope(scope.project_id, scope.object.name.clone()?)),
            Line::Pool(pool) => Some(Self::Pool(pool.project_id, pool.object.name.clone()?)),
            Line::Subnet(subnet) => {
                Some(Self::Subnet(identity::net_of(line)?, subnet.object.name.clone()?))
            }
            _ => None,
        }
    }

    fn name(&self) -> &Text {
        match self {
            Self::Network(_, name)
            | Self::Scope(_, name)
            | Self::Pool(_, name)
            | Self::Subnet(_, name) => name,
        }
    }
}
