//! Renewals and the ends of holds, made from bytes.

use super::{Made, Source};
use addrd_protocol::message::*;
use addrd_protocol::*;
use std::net::IpAddr;

made_by! {
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
