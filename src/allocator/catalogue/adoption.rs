//! Adoption mode: after a restore owners re-take what they hold, and nothing is chosen for anybody
//! until an operator says that all of them did. Gives nothing to anybody by itself.
//!
//! Source: protocol/SPEC.md, server_adopt; docs/decisions/0021-adoption-mode.md.

use super::Catalogue;
use crate::allocator::Shard;
use crate::allocator::shard::At;
use crate::model::{Effect, EffectSink, Tick};
use addrd_protocol::message::{AdoptAction, Adoption};

impl Catalogue {
    /// Begins or ends adoption mode in every state that decides.
    pub(super) fn adopt(
        &mut self,
        shards: &mut [&mut Shard],
        at: &At,
        action: AdoptAction,
        sink: &mut impl EffectSink,
    ) -> Adoption {
        let before = self.adoption;
        let adopting = action == AdoptAction::Begin;
        let repeated = adopting == self.is_adopting();
        if !repeated {
            let since = if adopting { Tick(at.tick.0.max(1)) } else { Tick(0) };
            sink.push(&Effect::Adoption { since });
            self.restore_adoption(since);
            shards.iter_mut().for_each(|shard| shard.set_adopting(adopting));
        }
        let lasted_ms = if before == Tick(0) { 0 } else { at.tick.since(before) };
        Adoption { adopting, repeated, lasted_ms }
    }

    /// When adoption mode began; 0 = it is not on.
    #[must_use]
    pub const fn adoption(&self) -> Tick {
        self.adoption
    }

    /// At recovery: adoption mode as it was.
    pub const fn restore_adoption(&mut self, since: Tick) {
        self.adoption = since;
        self.prefixes.set_adopting(since.0 != 0);
    }

    /// Whether adoption mode is on.
    #[must_use]
    pub const fn is_adopting(&self) -> bool {
        self.adoption.0 != 0
    }
}
