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
