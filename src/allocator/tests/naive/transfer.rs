//! What changes hands.

use super::release::check_fences;
use super::{Held, Naive, Verdict, no, no_field, target};
use crate::model::{NetworkId, Status};
use addrd_protocol::message::{Target, Transfer};

impl Naive {
    /// What is held after a transfer, and whether it was so already.
    pub(in crate::allocator::tests) fn transfer(
        &mut self,
        network: NetworkId,
        request: &Transfer,
    ) -> Verdict<(Held, bool)> {
        let now = self.now;
        let net = self.net_mut(network)?;
        let Some(at) = target(net, &Target::Address(request.address))? else {
            return no(Status::NOT_FOUND);
        };
        let held = net.held[at].clone();
        let owner = request.to_owner.unwrap_or(held.owner);
        let slot = request.to_slot.unwrap_or(held.slot);
        let instance = request.to_instance.unwrap_or(held.instance);
        if (owner, slot, instance) == (held.owner, held.slot, held.instance) {
            let names_owner = request.to_owner.is_some() || request.fences.owner.is_some();
            let mut left = request.fences.clone();
            if names_owner {
                left.revision = None;
            }
            if request.to_owner.is_some() {
                left.owner = None;
            }
            if names_owner && request.to_instance.is_some() {
                left.instance = None;
            }
            check_fences(&held, &left)?;
            return Ok((held, true));
        }
        check_fences(&held, &request.fences)?;
        if held.token.is_some() || held.release_token(now).is_some() {
            return no(Status::OTHER_TOKEN);
        }
        if net.by_key(owner, slot).is_some_and(|other| other != at) {
            return no_field(Status::KEY_IN_USE, "to_owner");
        }
        let revision = net.tick();
        let held = &mut net.held[at];
        (held.owner, held.slot, held.instance) = (owner, slot, instance);
        (held.revision, held.changed) = (revision, revision);
        if request.to_owner.is_some() {
            held.owner_name = request.owner_name.clone();
        }
        Ok((held.clone(), false))
    }
}
