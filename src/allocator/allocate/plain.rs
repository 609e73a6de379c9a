//! The common request without detours: one address for an owner that has none in this shard, no
//! rare fields. It gives what the general way would give, or leaves it to that. The tests against
//! a naive server cover both.

use super::choose::{Start, choose};
use super::drawn;
use crate::allocator::Shard;
use crate::allocator::quarantine::Claim;
use crate::allocator::refusal::Refused;
use crate::model::{AllocationPlace, AllocationRow, EffectSink};
use addrd_protocol::message::allocate::AllocatedAddress;
use addrd_protocol::message::{Allocate, Allocated, AllocationState, FamilyChoice, Strategy};

impl Shard {
    /// Allocates, or `None` if the request or the state is not plain; then nothing has changed.
    #[inline]
    pub(super) fn allocate_plain(
        &mut self,
        network: u32,
        request: &Allocate,
        sink: &mut impl EffectSink,
    ) -> Option<Result<Allocated, Refused>> {
        let flags = &request.flags;
        if request.extras.is_some() || request.length.is_some() {
            return None;
        }
        // A guest's allocation names its project, which is rare.
        if flags.allow_resting || flags.want_subnet || self.undo.active || self.acting.is_some() {
            return None;
        }
        let of = self.networks.at(network);
        let first = match request.family {
            FamilyChoice::One => of.first_open[0].or(of.first_open[1]),
            FamilyChoice::V4 => of.first_open[0],
            FamilyChoice::V6 => of.first_open[1],
            FamilyChoice::Each | FamilyChoice::Both => None,
        };
        let at = first?.subnet();
        let hash = self.ledger.owner_hash(request.owner, of.owner_salt);
        let has = self.ledger.find_hashed(hash, &self.subnets, of.project, request.owner);
        if has.is_some() || of.deleting || of.pinned {
            return None;
        }
        let key = (request.owner, request.slot);
        if of.rests.is_some() && self.own_rest(network, key, &Claim::default()).is_some() {
            return None;
        }
        let (revision, account) = (of.next_revision(), of.account);
        let random = self.random_state();
        let subnet = self.subnets.at(at);
        let strategy = match request.strategy {
            Strategy::Default => subnet.strategy,
            named => named,
        };
        let start = Start::new(strategy, request.owner, request.slot, || drawn(random))?;
        let offset = choose(subnet, &self.maps, start, subnet.whole(), 0)?;
        if let Err(refused) = self.pay_plain(network, account, sink) {
            return Some(Err(refused));
        }
        let subnet = self.subnets.at(at);
        let row = AllocationRow {
            place: AllocationPlace {
                network: subnet.network_handle,
                subnet: subnet.handle,
                offset,
                block_bits: 0,
            },
            revision,
            changed: revision,
            owner: request.owner,
            slot: request.slot,
            instance: request.instance,
            state: AllocationState::Allocated,
            moves_cursor: matches!(start, Start::Cursor),
            extras: None,
        };
        let reply = AllocatedAddress {
            address: subnet.address(offset),
            length: subnet.family.bits(),
            subnet_length: subnet.family.bits() - subnet.host_bits,
            subnet_id: subnet.row.id,
            slot: request.slot,
            revision,
            state: AllocationState::Allocated,
            time_left_ms: 0,
            repeated: false,
            was_preferred: false,
            from_quarantine: false,
            taken_over: false,
        };
        self.commit_first(at, row, hash, sink);
        Some(Ok(Allocated { first: reply, second: None, settings: None }))
    }

    /// Makes sure of room, and takes what one address costs.
    #[inline]
    fn pay_plain(
        &mut self,
        network: u32,
        account: u32,
        sink: &mut impl EffectSink,
    ) -> Result<(), Refused> {
        self.check_room_for_records()?;
        if !self.accounts.is_limited(account) {
            return Ok(());
        }
        self.check_resting_limit(network, None, sink)?;
        self.pay_for(network, std::iter::once(0))
    }
}
