//! Checks the blocks of a backup as they are fetched. Reads no row and no batch.

use super::block::{BackupFault, BlockChain, BlockKind};
use super::content::{BackupBegin, BackupEnd};
use super::restore::BackupSummary;

/// A backup that is being fetched.
#[derive(Clone, Copy, Debug, Default)]
pub struct BackupCheck {
    chain: BlockChain,
    begin: Option<BackupBegin>,
    end: Option<BackupEnd>,
}

impl BackupCheck {
    /// Takes the next block.
    ///
    /// # Errors
    /// [`BackupFault`]: it is not the one that was taken there.
    pub fn take(&mut self, block: &[u8]) -> Result<(), BackupFault> {
        match self.chain.take(block)? {
            (BlockKind::Begin, payload) => {
                self.begin = Some(BackupBegin::decode(payload, &self.chain)?);
            }
            (BlockKind::End, payload) => self.end = Some(BackupEnd::decode(payload, &self.chain)?),
            (BlockKind::Rows | BlockKind::Batches, _) => {}
        }
        Ok(())
    }

    /// Bytes so far.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.chain.bytes()
    }

    /// What it is, once its last block was taken.
    #[must_use]
    pub fn summary(&self) -> Option<BackupSummary> {
        Some(BackupSummary { begin: self.begin?, end: self.end?, bytes: self.chain.bytes() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Incarnation, Seq, ServerId, Tick};
    use crate::store::backup::block::BlockSealer;

    /// What the end says of the length is compared with what came.
    #[test]
    fn an_end_that_says_another_length_is_refused() {
        let begin = BackupBegin {
            server: ServerId::from_u128(1),
            incarnation: Incarnation(1),
            folded: Seq(4),
            folded_crc: 5,
            tick: Tick(6),
            network_handle_max: 0,
            job_max: 0,
            adoption: Tick(0),
            durable: Seq(4),
        };
        for off in [0, 1] {
            let mut sealer = BlockSealer::default();
            let first = sealer.seal(BlockKind::Begin, &begin.encode());
            let end = BackupEnd { bytes: sealer.bytes() + off, ..BackupEnd::default() };
            let last = sealer.seal(BlockKind::End, &end.encode());
            let mut check = BackupCheck::default();
            check.take(&first).unwrap();
            assert_eq!(check.take(&last).is_ok(), off == 0);
            assert_eq!(check.summary().is_some(), off == 0);
        }
    }
}
