//! Which prefix a request gets from a pool, or why none. Changes nothing.
//!
//! Source: protocol/SPEC.md, subnet_create; Neutron's rules: best fit, length
//! bounds, quota for each project that uses the pool.

use super::Catalogue;
use super::blocks::{Block, compacted, without};
use super::pool::{Pool, block_of};
use crate::allocator::refusal::{Refused, adopting, refuse, refuse_field, with};
use crate::model::{Family, NetworkId, Prefix, ProjectId, Status, SubnetId};
use addrd_protocol::message::{Detail, QuotaResource};

/// What is asked of a pool.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    /// Exactly this one.
    pub(super) exact: Option<Prefix>,
    /// The field of the request that names it.
    pub(super) field: &'static str,
    /// Any of this length; `None` = the pool's default.
    pub(super) length: Option<u8>,
    /// Only inside these, if there are any.
    pub(super) allowed: Option<Vec<Block>>,
    /// Overlapping none of these.
    pub(super) disallowed: Vec<Block>,
    /// The lowest one instead of the best fit.
    pub(super) lowest: bool,
}

impl Default for Wanted {
    fn default() -> Self {
        Self {
            exact: None,
            field: "cidr",
            length: None,
            allowed: None,
            disallowed: Vec::new(),
            lowest: false,
        }
    }
}

impl Catalogue {
    /// The block that a project gets from a pool.
    pub(super) fn choose(
        &self,
        pool: &Pool,
        project: ProjectId,
        wanted: &Wanted,
    ) -> Result<Block, Refused> {
        let length = match &wanted.exact {
            Some(exact) => exact.length(),
            None => wanted.length.unwrap_or(pool.row.default_length),
        };
        self.check_length(pool, length)?;
        let order = pool.bits() - length;
        let block = match &wanted.exact {
            Some(exact) => self.exactly(pool, project, exact, wanted)?,
            None if self.is_adopting() => return Err(adopting("prefix")),
            None => {
                let found = match (&wanted.allowed, wanted.disallowed.is_empty()) {
                    (None, true) if wanted.lowest => pool.free.lowest(order),
                    (None, true) => pool.free.best_fit(order),
                    _ => pool.free.fit_inside(order, &regions(pool, wanted), wanted.lowest),
                };
                let base = found.ok_or_else(|| exhausted(pool, length, wanted))?;
                Block::new(base, order)
            }
        };
        self.check_quota(pool, project, block.size())?;
        Ok(block)
    }

    /// Refuses a length that the pool doesn't hand out; one that was handed out before may be.
    pub(super) fn check_length(&self, pool: &Pool, length: u8) -> Result<(), Refused> {
        if self.restoring { Ok(()) } else { check_length(pool, length) }
    }

    /// Refuses what would bring a project beyond the quota, unless it had that much before.
    pub(super) fn check_quota(
        &self,
        pool: &Pool,
        project: ProjectId,
        asked: u128,
    ) -> Result<(), Refused> {
        if self.restoring { Ok(()) } else { check_quota(pool, project, asked) }
    }

    pub(super) fn exactly(
        &self,
        pool: &Pool,
        project: ProjectId,
        exact: &Prefix,
        wanted: &Wanted,
    ) -> Result<Block, Refused> {
        if exact.family() != pool.row.family {
            return Err(other_family(wanted.field, pool.row.family, exact));
        }
        let block = block_of(exact);
        let allowed =
            wanted.allowed.as_ref().is_none_or(|all| all.iter().any(|one| one.contains(&block)));
        if !allowed || wanted.disallowed.iter().any(|one| one.overlaps(&block)) {
            let message = format_args!(
                "{exact} lies outside of the allowed prefixes, or in a disallowed one"
            );
            return Err(refuse_field(Status::CONFLICTING_FIELDS, wanted.field, message));
        }
        if pool.free.around(block).is_some() {
            return Ok(block);
        }
        let Some((other, whose)) = pool.overlapping(block) else {
            let message = format_args!(
                "{exact} lies in none of the {} prefixes of the pool; the first is {}",
                pool.row.prefixes.len(),
                pool.row.prefixes.first().map_or_else(String::new, ToString::to_string)
            );
            return Err(refuse_field(Status::OUTSIDE_POOL, wanted.field, message));
        };
        if whose != project {
            let message = format_args!("{exact} is in use, whole or in part, by another project");
            return Err(refuse_field(Status::PREFIX_TAKEN, wanted.field, message));
        }
        let taken = pool.prefix(other);
        let shown = taken.map_or_else(String::new, |prefix| prefix.to_string());
        let message = format_args!("{exact} overlaps {shown}, which is in use");
        let refused = refuse_field(Status::PREFIX_TAKEN, wanted.field, message);
        let network_id = NetworkId(pool.row.id.0);
        Err(with(refused, Detail::Other { network_id, subnet_id: SubnetId::NIL, cidr: taken }))
    }
}

/// Where a choice may be made: the allowed blocks, or the pool, without the disallowed ones.
fn regions(pool: &Pool, wanted: &Wanted) -> Vec<Block> {
    let allowed = match &wanted.allowed {
        Some(allowed) => compacted(allowed.iter().copied()),
        None => pool.row.prefixes.iter().map(block_of).collect(),
    };
    without(&allowed, &wanted.disallowed)
}

/// Blocks of prefixes that a choice is confined to, or keeps away from.
pub(super) fn choice(
    family: Family,
    field: &str,
    prefixes: &[Prefix],
) -> Result<Vec<Block>, Refused> {
    match prefixes.iter().find(|prefix| prefix.family() != family || prefix.length() == 0) {
        None => Ok(prefixes.iter().map(block_of).collect()),
        Some(prefix) if prefix.length() == 0 => {
            let message =
                format_args!("{field} has {prefix}; a prefix of at least 1 bit is accepted");
            Err(refuse_field(Status::INVALID_PREFIX, field, message))
        }
        Some(prefix) => Err(other_family(field, family, prefix)),
    }
}

/// A prefix of the other family.
#[cold]
pub(super) fn other_family(field: &str, family: Family, given: &Prefix) -> Refused {
    let name = family_name(family);
    let message = format_args!("{field} has {given}, and the pool is of {name}");
    refuse_field(Status::FAMILY_MISMATCH, field, message)
}

pub(super) const fn family_name(family: Family) -> &'static str {
    match family {
        Family::V4 => "IPv4",
        Family::V6 => "IPv6",
    }
}

fn check_length(pool: &Pool, length: u8) -> Result<(), Refused> {
    let (least, most) = (pool.row.min_length, pool.row.max_length);
    let status = match length {
        _ if length < least => Status::LENGTH_BELOW_MIN,
        _ if length > most => Status::LENGTH_ABOVE_MAX,
        _ => return Ok(()),
    };
    let message = format_args!("the pool hands out /{least} to /{most}, not /{length}");
    let (value, least, most) = (length.into(), least.into(), most.into());
    Err(with(refuse_field(status, "length", message), Detail::Bounds { value, least, most }))
}

/// Bits of a unit of quota: a /32, or a /64.
const fn unit_order(family: Family) -> u32 {
    match family {
        Family::V4 => 0,
        Family::V6 => 64,
    }
}

/// Refuses what would bring a project beyond the quota. Counted in addresses, so that what is smaller
/// than a unit counts for its part.
fn check_quota(pool: &Pool, project: ProjectId, asked: u128) -> Result<(), Refused> {
    check_quota_of(pool, pool.used_by(project), asked)
}

/// The same for a project that uses so much.
pub(super) fn check_quota_of(pool: &Pool, used: u128, asked: u128) -> Result<(), Refused> {
    let Some(quota) = pool.row.quota else { return Ok(()) };
    let unit = unit_order(pool.row.family);
    let limit = u128::from(quota) << unit;
    if used.checked_add(asked).is_some_and(|sum| sum <= limit) {
        return Ok(());
    }
    let units = |addresses: u128| addresses.div_ceil(1 << unit);
    let (limit, used, asked) = (u128::from(quota), units(used), units(asked));
    let length = if unit == 0 { 32 } else { 64 };
    let message = format_args!(
        "the project uses {used} of {limit} units of /{length} in this pool, and asks for {asked} more"
    );
    let resource = QuotaResource::Pool;
    Err(with(refuse(Status::QUOTA, message), Detail::Quota { resource, limit, used, asked }))
}

#[cold]
fn exhausted(pool: &Pool, length: u8, wanted: &Wanted) -> Refused {
    let largest = pool.free.iter().last().map(|block| pool.bits() - block.order);
    let largest = largest.map_or("nothing".to_owned(), |length| format!("a /{length}"));
    let confined = if wanted.allowed.is_some() || !wanted.disallowed.is_empty() {
        " where the request allows it"
    } else {
        ""
    };
    let message = format_args!(
        "no free /{length} is in the pool{confined}; the largest free block of the pool is {largest}"
    );
    refuse_field(Status::POOL_EXHAUSTED, "length", message)
}
