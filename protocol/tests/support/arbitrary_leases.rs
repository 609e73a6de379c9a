//! Releases, updates, renewals, the ends of holds and transfers, made from bytes.

use super::{Made, Source};
use addrd_protocol::message::*;
use addrd_protocol::*;
use std::net::IpAddr;

made_by! {
    Release = |s| {
        let (target, fences, any): (Target, Fences, bool) = (s.make(), s.make(), s.make());
        let any = any || (fences.is_empty() && matches!(target, Target::Address(_)));
        Self { target, fences, any }
    };
    AllocationUpdate = |s| {
        let (target, mut fences): (Target, Fences) = (s.make(), s.make());
        if fences.is_empty() && matches!(target, Target::Address(_)) {
            fences.revision = Some(s.make());
        }
        Self {
            target, fences, label: s.make(), host: s.make(),
            manager_name: s.setting(Source::manager), owner_name: s.make(),
            lease_ms: s.setting(Source::lease_ms), follow_host: s.make(),
        }
    };
    Renew = |s| {
        let (target, mut fences): (Target, Fences) = (s.make(), s.make());
        if fences.is_empty() && matches!(target, Target::Address(_)) {
            fences.revision = Some(s.make());
        }
        Self { target, fences, lease_ms: s.lease_ms() }
    };
    Renewed = |s| {
        let address: IpAddr = s.make();
        let length = s.up_to(Family::of(&address).bits().into()) as u8;
        Self { address, length, revision: s.make(), time_left_ms: s.make() }
    };
    HoldRelease = |s| {
        let (target, mut fences): (Target, Fences) = (s.make(), s.make());
        if fences.is_empty() && matches!(target, Target::Address(_)) {
            fences.revision = Some(s.make());
        }
        Self { target, fences, token: s.make(), hold_ms: s.maybe(Source::lease_ms) }
    };
    Transfer = |s| {
        let (mut fences, mut to_owner): (Fences, Option<OwnerId>) = (s.make(), s.make());
        if fences.is_empty() {
            fences.revision = Some(s.make());
        }
        let (to_slot, to_instance): (Option<Slot>, Option<Instance>) = (s.make(), s.make());
        let to_project: Option<ProjectId> = s.make();
        if to_slot.is_none() && to_instance.is_none() && to_project.is_none() {
            to_owner = Some(to_owner.unwrap_or_else(|| s.make()));
        }
        let owner_name: Option<Text> = s.make();
        let owner_name = owner_name.filter(|_| to_owner.is_some());
        Self {
            address: s.make(), fences, to_owner, to_slot, to_instance, to_project, owner_name,
        }
    };
    HoldEnded = |s| {
        let address: IpAddr = s.make();
        let length = s.up_to(Family::of(&address).bits().into()) as u8;
        Self {
            address, length, revision: s.make(), state: s.make(), repeated: s.make(),
            late: s.make(),
        }
    };
}

made_of_fields! {
    RenewOwner { owner, instance, lease_ms = |s| s.lease_ms() }
    RenewedOwner { renewed, endless, expired, stale }
    HoldEnd { target, revision, token, release }
}
