//! What an allocate request asks for, checked in itself. Looks at no state.

use crate::allocator::holds::check_hold;
use crate::allocator::leases::check_lease;
use crate::allocator::refusal::{Refused, out_of_range, refuse_field};
use crate::allocator::release::check_manager;
use crate::allocator::subnet::last_of;
use crate::model::{Family, Range, Slot, Status, SubnetId};
use addrd_protocol::message::allocate::CANDIDATES_MAX;
use addrd_protocol::message::{Allocate, AllocateExtras, FamilyChoice, Strategy};
use addrd_protocol::prefix::number_of;
use std::net::IpAddr;

/// Defaults of what a plain request leaves out.
const PLAIN: &AllocateExtras = &AllocateExtras {
    subnets: Vec::new(),
    exact: None,
    preferred: None,
    limit: None,
    lease_ms: None,
    hold_token: None,
    hold_ms: None,
    hold_item: None,
    manager: None,
    host: None,
    label: None,
    owner_name: None,
    trace: None,
    mac: None,
    follow_host: false,
};

/// A checked request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked<'a> {
    pub(super) request: &'a Allocate,
    pub(super) extras: &'a AllocateExtras,
    /// The life of its host that what is made follows.
    pub(super) life: Option<u64>,
}

/// One address that is wanted.
#[derive(Clone, Copy, Debug)]
pub(in crate::allocator) struct Want {
    /// `None` = any, IPv4 first.
    pub(in crate::allocator) family: Option<Family>,
    pub(in crate::allocator) slot: Slot,
}

impl Want {
    /// Whether an address of this family may be given.
    pub(in crate::allocator) fn takes(&self, family: Family) -> bool {
        self.family.is_none_or(|wanted| wanted == family)
    }
}

impl<'a> Asked<'a> {
    /// Of a request that deciding code made itself.
    pub(super) const fn trusted(request: &'a Allocate, extras: Option<&'a AllocateExtras>) -> Self {
        match extras {
            Some(extras) => Self { request, extras, life: None },
            None => Self { request, extras: PLAIN, life: None },
        }
    }

    /// Checks what can be checked without state.
    pub(super) fn new(request: &'a Allocate) -> Result<Self, Refused> {
        let extras = request.extras.as_deref().unwrap_or(PLAIN);
        let asked = Self { request, extras, life: None };
        if request.extras.is_some() {
            asked.check_extras()?;
        }
        if request.strategy == Strategy::Exact && asked.extras.exact.is_none() {
            let message = format_args!("strategy exact needs the field exact");
            return Err(refuse_field(Status::CONFLICTING_FIELDS, "exact", message));
        }
        asked.check_mac()?;
        asked.check_pair()?;
        asked.check_length()?;
        Ok(asked)
    }

    /// Whether it asks for an address of each family, in two slots side by side.
    pub(super) const fn is_pair(&self) -> bool {
        matches!(self.request.family, FamilyChoice::Each | FamilyChoice::Both)
    }

    fn check_extras(&self) -> Result<(), Refused> {
        let AllocateExtras { lease_ms, hold_token, hold_ms, exact, limit, .. } = self.extras;
        if let Some(lease_ms) = lease_ms {
            check_lease(*lease_ms)?;
        }
        if let Some(hold_ms) = hold_ms {
            check_hold(*hold_ms)?;
        }
        self.check_token(hold_token.is_some())?;
        if let Some(manager) = &self.extras.manager {
            check_manager(manager)?;
        }
        let candidates = self.extras.subnets.len();
        if candidates > CANDIDATES_MAX {
            return Err(out_of_range("subnets", candidates as u128, 0, CANDIDATES_MAX as u128));
        }
        let single = matches!(self.request.family, FamilyChoice::V4 | FamilyChoice::V6);
        let given =
            [exact.map(|a| ("exact", Family::of(&a))), limit.map(|r| ("limit", r.family()))];
        for (field, family) in given.into_iter().flatten() {
            if single && family.bits() != self.family_bits() {
                let message = format_args!("{field} is of another family than asked for");
                return Err(refuse_field(Status::CONFLICTING_FIELDS, field, message));
            }
        }
        match (exact, limit) {
            (Some(exact), Some(limit))
                if limit.family() == Family::of(exact) && !limit.contains(exact) =>
            {
                let message = format_args!("exact {exact} lies outside of {limit}");
                Err(refuse_field(Status::CONFLICTING_FIELDS, "exact", message))
            }
            _ => Ok(()),
        }
    }

    /// What goes with a token, and what doesn't.
    fn check_token(&self, is_hold: bool) -> Result<(), Refused> {
        let why = match self.extras {
            AllocateExtras { hold_ms: Some(_), .. } if !is_hold => {
                ("hold_ms", "needs a hold_token")
            }
            AllocateExtras { lease_ms: Some(_), .. } if is_hold => {
                ("lease_ms", "has no place in a hold, which has an end of its own")
            }
            AllocateExtras { hold_item: Some(_), .. } if !is_hold => {
                ("hold_item", "needs a hold_token")
            }
            AllocateExtras { hold_item: Some(_), .. } if self.request.slot != Slot(0) => {
                ("slot", "is the server's choice where an item is given")
            }
            _ if is_hold && self.request.flags.takeover => {
                ("takeover", "has no place in a hold: what it took over could not be given back")
            }
            _ => return Ok(()),
        };
        Err(refuse_field(Status::CONFLICTING_FIELDS, why.0, format_args!("{} {}", why.0, why.1)))
    }

    /// A MAC and the strategy that makes an address of it need each other.
    fn check_mac(&self) -> Result<(), Refused> {
        let AllocateExtras { mac, exact, .. } = self.extras;
        let conflict = |field: &str, why: &str| {
            Err(refuse_field(Status::CONFLICTING_FIELDS, field, format_args!("{why}")))
        };
        match (self.request.strategy == Strategy::Eui64, mac) {
            (false, None) => Ok(()),
            (false, Some(_)) => conflict("mac", "mac is for strategy eui64 alone"),
            (true, None) => conflict("mac", "strategy eui64 needs the field mac"),
            (true, Some(mac)) if !mac.is_unicast() => {
                let message = format_args!("{mac} is not the address of a single interface");
                Err(refuse_field(Status::INVALID_MAC, "mac", message))
            }
            (true, Some(_)) if exact.is_some() => conflict("exact", "eui64 makes the address"),
            (true, Some(_)) if self.request.length.is_some() => {
                conflict("length", "eui64 makes a single address")
            }
            (true, Some(_))
                if !matches!(self.request.family, FamilyChoice::One | FamilyChoice::V6) =>
            {
                conflict("family", "eui64 makes one IPv6 address: one or v6")
            }
            (true, Some(_)) => Ok(()),
        }
    }

    /// `each` and `both` take two slots, and a length would mean two different things.
    fn check_pair(&self) -> Result<(), Refused> {
        if !self.is_pair() {
            return Ok(());
        }
        if self.request.slot.0 == u16::MAX {
            return Err(out_of_range("slot", u16::MAX.into(), 0, u128::from(u16::MAX - 1)));
        }
        if self.request.length.is_some() {
            let message = format_args!("length needs a single family: one, v4 or v6");
            return Err(refuse_field(Status::CONFLICTING_FIELDS, "length", message));
        }
        Ok(())
    }

    fn check_length(&self) -> Result<(), Refused> {
        let Some(length) = self.request.length else { return Ok(()) };
        let most = self.family_bits();
        if length > most {
            return Err(out_of_range("length", length.into(), 0, most.into()));
        }
        Ok(())
    }

    /// Widest family asked for.
    const fn family_bits(&self) -> u8 {
        match self.request.family {
            FamilyChoice::V4 => 32,
            _ => 128,
        }
    }

    /// Order of the block in a family: 0 = one address. `None` = no such length there.
    #[inline]
    pub(super) fn order(&self, family: Family) -> Option<u8> {
        match self.request.length {
            None => Some(0),
            Some(length) => family.bits().checked_sub(length),
        }
    }

    /// The exact address, if it is meant for this want.
    pub(super) fn exact(&self, want: &Want) -> Option<IpAddr> {
        self.extras.exact.filter(|exact| want.takes(Family::of(exact)))
    }

    /// The preferred address, if it is meant for this want.
    pub(super) fn preferred(&self, want: &Want) -> Option<IpAddr> {
        self.extras.preferred.filter(|preferred| want.takes(Family::of(preferred)))
    }

    /// The limit that binds a family. With two families it binds the one that it is of.
    pub(super) fn limit(&self, family: Family) -> Limit<'a> {
        match &self.extras.limit {
            None => Limit::None,
            Some(range) if range.family() == family => Limit::Range(range),
            Some(_) if self.is_pair() => Limit::None,
            Some(_) => Limit::Other,
        }
    }

    /// Whether a subnet is among the candidates.
    pub(super) fn names(&self, subnet: SubnetId) -> bool {
        self.extras.subnets.is_empty() || self.extras.subnets.contains(&subnet)
    }
}

/// What a limit means for a family.
#[derive(Clone, Copy, Debug)]
pub(super) enum Limit<'a> {
    /// Everything is allowed.
    None,
    /// Only this.
    Range(&'a Range),
    /// Nothing: the limit is of the other family.
    Other,
}

impl Limit<'_> {
    /// Whether a block lies inside.
    pub(super) fn has(&self, first: &IpAddr, order: u8) -> bool {
        match self {
            Self::None => true,
            Self::Other => false,
            Self::Range(range) => {
                let last = last_of(number_of(first), order);
                range.contains(first) && last <= number_of(&range.last())
            }
        }
    }
}
