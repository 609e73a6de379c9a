//! The crossing of the golden file.

use super::{NETWORK, REVISION, SUBNET};
use crate::model::LevelRow;

pub(super) fn golden() -> LevelRow {
    LevelRow {
        network: NETWORK,
        revision: REVISION,
        subnet: Some(SUBNET),
        level: 95,
        before: 80,
        used: 244,
        size: 254,
    }
}
