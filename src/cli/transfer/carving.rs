//! What subnets, pools and owners have of the pools of the lines read so far, and whether another
//! one may have more. Asks nobody.

use super::known::Origin;
use super::line::Line;
use addrd_protocol::message::pool::PrefixChoice;
use addrd_protocol::{Family, PoolId, Prefix, ProjectId};
use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};
use uuid::Uuid;

/// All pools; `None` = of this id there are several, in projects of their own.
#[derive(Debug, Default)]
pub(super) struct Carving(HashMap<PoolId, Option<Pool>>);

/// Of one pool.
#[derive(Debug)]
struct Pool {
    project: ProjectId,
    prefixes: Vec<Prefix>,
    least: u8,
    most: u8,
    /// By the first address. Prefixes in it are disjoint.
    taken: BTreeMap<u128, Taken>,
}

#[derive(Debug)]
struct Taken {
    prefix: Prefix,
    by: Uuid,
    origin: Origin,
}

impl Carving {
    /// Whether what a line has of a pool is there to be had.
    pub(super) fn check(&self, line: &Line) -> Result<(), String> {
        for (pool, prefix, by) in taken_by(line) {
            // A pool that is not there is told elsewhere.
            let Some(Some(pool)) = self.0.get(&pool) else { continue };
            // A pool below takes no single prefix of a length.
            if !matches!(line, Line::Pool(_))
                && !(pool.least..=pool.most).contains(&prefix.length())
            {
                let (least, most) = (pool.least, pool.most);
                return Err(format!("{prefix}: its pool hands out /{least} to /{most}"));
            }
            if !pool.prefixes.iter().any(|own| own.net().contains(&prefix.net())) {
                return Err(format!("{prefix} lies in none of the prefixes of its pool"));
            }
            if let Some(other) = pool.over(&prefix).filter(|other| other.by != by) {
                let told = other.origin.told();
                return Err(format!("{prefix}: {} of the pool is taken {told}", other.prefix));
            }
        }
        Ok(())
    }

    pub(super) fn note(&mut self, line: &Line, origin: Origin) {
        for (pool, prefix, by) in taken_by(line) {
            if let Some(Some(pool)) = self.0.get_mut(&pool) {
                pool.taken.insert(prefix.base(), Taken { prefix, by, origin });
            }
        }
        let Line::Pool(line) = line else { return };
        let object = &line.object;
        let (least, most) = match object.family {
            Family::V4 => (8, 32),
            Family::V6 => (64, 128),
        };
        let pool = Pool {
            project: line.project_id,
            prefixes: object.prefixes.clone(),
            least: object.min_length.unwrap_or(least),
            most: object.max_length.unwrap_or(most),
            taken: BTreeMap::new(),
        };
        match self.0.entry(line.subnet_pool_id) {
            Entry::Vacant(place) => {
                place.insert(Some(pool));
            }
            Entry::Occupied(mut place) => {
                let is_other = |known: &Pool| known.project != line.project_id;
                if place.get().as_ref().is_none_or(is_other) {
                    place.insert(None);
                }
            }
        }
    }
}

impl Pool {
    fn over(&self, prefix: &Prefix) -> Option<&Taken> {
        let before = self.taken.range(..=prefix.base().saturating_add(prefix.offset_max()));
        before.map(|(_, taken)| taken).next_back().filter(|taken| taken.prefix.overlaps(prefix))
    }
}

/// Which prefixes of which pools a line takes, and for whom.
fn taken_by(line: &Line) -> Vec<(PoolId, Prefix, Uuid)> {
    match line {
        Line::Subnet(subnet) => {
            let object = &subnet.object;
            let from = object.from_pool.as_ref();
            let from = from.filter(|from| from.by == PrefixChoice::Exact);
            from.map(|from| (from.subnet_pool_id, object.cidr, object.subnet_id.0))
                .into_iter()
                .collect()
        }
        Line::Pool(pool) => {
            let parent = pool.object.parent_id.into_iter();
            let prefixes = |parent| {
                let prefixes = pool.object.prefixes.iter();
                prefixes.map(move |prefix| (parent, *prefix, pool.subnet_pool_id.0))
            };
            parent.flat_map(prefixes).collect()
        }
        Line::Prefix(prefix) => {
            let held = &prefix.object;
            let block =
                Prefix::new(held.address, held.length.unwrap_or(Family::of(&held.address).bits()));
            block.map(|block| (prefix.subnet_pool_id, block, held.owner.0)).into_iter().collect()
        }
        _ => Vec::new(),
    }
}
