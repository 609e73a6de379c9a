//! What a request means for a key that holds something: a repeat, a takeover, or a refusal.
//! A repeat is judged against what is held, not against the first request (protocol/SPEC.md, allocate).

use super::request::{Asked, Want};
use super::{Decision, owner_text};
use crate::allocator::Shard;
use crate::allocator::refusal::{Refused, refuse_field, with};
use crate::model::Status;
use addrd_protocol::message::{AllocationState, Detail};

impl Shard {
    /// Judges a request whose key holds `held`.
    pub(super) fn judge(
        &self,
        held: u32,
        asked: &Asked<'_>,
        want: &Want,
    ) -> Result<Decision, Refused> {
        let record = self.ledger.at(held);
        let same_instance = record.instance == asked.request.instance;
        if self.restoring && self.port_of(held).is_some() {
            return match self.first_difference(held, asked, want) {
                Some(field) => Err(self.key_in_use(held, field)),
                None => Ok(Decision::Complete(held)),
            };
        }
        if let Some(item) = asked.extras.hold_item
            && !(record.state() == AllocationState::Held && self.is_item(held, asked, item))
        {
            return Err(self.key_in_use(held, "hold_item"));
        }
        let takes_over = !same_instance && asked.request.flags.takeover;
        if !takes_over {
            self.check_token(held, asked.extras.hold_token, "hold_token")?;
        }
        if !same_instance && !takes_over {
            let (owner, slot) = (owner_text(record.owner()), record.slot.0);
            let message = format_args!(
                "slot {slot} of owner {owner} is held by instance {}; the flag takeover would take it",
                record.instance.0
            );
            let refused = refuse_field(Status::HELD_BY_OTHER_INSTANCE, "instance", message);
            let (revision, instance) = (record.revision, record.instance);
            let refused = with(refused, Detail::Current { revision, instance });
            return Err(self.shown(refused, held));
        }
        match self.first_difference(held, asked, want) {
            Some(field) => Err(self.key_in_use(held, field)),
            None if same_instance && self.is_over(record) => Ok(Decision::HoldAnew(held)),
            None if same_instance && self.release_token(record).is_some() => {
                Ok(Decision::Keep(held))
            }
            None if same_instance => Ok(Decision::Repeat(held)),
            None => Ok(Decision::TakeOver(held)),
        }
    }

    #[cold]
    fn key_in_use(&self, held: u32, field: &str) -> Refused {
        let record = self.ledger.at(held);
        let subnet = self.subnets.at(record.subnet);
        let message = format_args!(
            "slot {} of owner {} holds {}/{}, which does not satisfy the field {field}",
            record.slot.0,
            owner_text(record.owner()),
            subnet.address(self.ledger.offset(record)),
            subnet.family.bits() - record.block_bits,
        );
        self.shown(refuse_field(Status::KEY_IN_USE, field, message), held)
    }

    /// The first field that what is held does not satisfy.
    fn first_difference(&self, held: u32, asked: &Asked<'_>, want: &Want) -> Option<&'static str> {
        let record = self.ledger.at(held);
        let subnet = self.subnets.at(record.subnet);
        if !want.takes(subnet.family) {
            return Some("family");
        }
        if asked.order(subnet.family) != Some(record.block_bits) {
            return Some("length");
        }
        asked.request.extras.as_ref()?;
        let address = subnet.address(self.ledger.offset(record));
        if asked.exact(want).is_some_and(|exact| exact != address) {
            return Some("exact");
        }
        if !asked.names(subnet.row.id) {
            return Some("subnets");
        }
        (!asked.limit(subnet.family).has(&address, record.block_bits)).then_some("limit")
    }
}
