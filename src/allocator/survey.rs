//! How full the subnets of a shard are, gathered a bounded piece at a time. Reads only.

use super::Shard;
use super::growth::Outlook;
use super::subnet::Subnet;
use crate::limits::{EXHAUSTION_MS, SUBNETS_SHOWN_MAX};
use crate::model::{NetworkId, SubnetId};

/// A subnet and how full it is, for metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SubnetFill {
    /// Its network.
    pub network: NetworkId,
    /// Its id.
    pub subnet: SubnetId,
    /// Used addresses of its pools in thousandths, rounded down: 1,000 only if none is free.
    pub permille: u16,
}

/// Levels of use that subnets are counted by, percent: 0 is none, 100 is all; between them every
/// level begins where the one before ends.
pub const FILL_LEVELS: [&str; 6] = ["0", "1-49", "50-79", "80-94", "95-99", "100"];

/// How full the subnets of a shard, or of several, are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FillReport {
    /// Subnets by level of use, see [`FILL_LEVELS`]. Subnets without pools are in none.
    pub levels: [u64; FILL_LEVELS.len()],
    /// The fullest subnets, the fullest first, at most `limits::SUBNETS_SHOWN_MAX`.
    pub fullest: Vec<SubnetFill>,
    /// The subnet that is full first if it grows as over the last hour, and as over the last day, ms.
    pub soonest_ms: [Option<u64>; 2],
    /// Subnets that are full within `limits::EXHAUSTION_MS` if they grow as over the last hour, and as over
    /// the last day.
    pub exhausted: [[u64; EXHAUSTION_MS.len()]; 2],
}

impl FillReport {
    /// Adds what another shard found.
    pub fn merge(&mut self, other: &Self) {
        for (mine, theirs) in self.levels.iter_mut().zip(other.levels) {
            *mine += theirs;
        }
        for (mine, theirs) in self.soonest_ms.iter_mut().zip(other.soonest_ms) {
            *mine = (*mine).into_iter().chain(theirs).min();
        }
        let counts = self.exhausted.iter_mut().flatten();
        counts.zip(other.exhausted.iter().flatten()).for_each(|(mine, theirs)| *mine += theirs);
        self.fullest.extend_from_slice(&other.fullest);
        self.cut();
    }

    fn add(&mut self, level: usize, fill: SubnetFill) {
        self.levels[level] += 1;
        if fill.permille > 0 {
            self.fullest.push(fill);
        }
        // Cut now and then, so that sorting costs little for each.
        if self.fullest.len() >= 4 * SUBNETS_SHOWN_MAX {
            self.cut();
        }
    }

    fn expect(&mut self, outlook: &Outlook) {
        for (place, growth) in [outlook.hour, outlook.day].into_iter().enumerate() {
            // What is full already would hide everything else; its level tells that.
            let ms = growth.and_then(|growth| growth.exhausted_in_ms).filter(|ms| *ms > 0);
            let Some(ms) = ms else { continue };
            let soonest = &mut self.soonest_ms[place];
            *soonest = Some(soonest.map_or(ms, |soonest| soonest.min(ms)));
            for (count, within) in self.exhausted[place].iter_mut().zip(EXHAUSTION_MS) {
                *count += u64::from(ms <= within);
            }
        }
    }

    fn cut(&mut self) {
        self.fullest
            .sort_by_key(|fill| (std::cmp::Reverse(fill.permille), fill.network, fill.subnet));
        self.fullest.truncate(SUBNETS_SHOWN_MAX);
    }
}

/// A survey under way.
#[derive(Clone, Debug, Default)]
pub struct Survey {
    next: u32,
    report: FillReport,
}

impl Shard {
    /// Looks at `examine` more subnets. Gives the report once all were looked at; the next call
    /// begins anew. A subnet that changes meanwhile counts as it was or as it is.
    pub fn survey(&self, survey: &mut Survey, examine: u32) -> Option<FillReport> {
        let end = survey.next.saturating_add(examine).min(self.subnets.high());
        for at in survey.next..end {
            let Some(subnet) = self.subnets.get(at) else { continue };
            if let Some((level, permille)) = fill_of(subnet) {
                survey.report.expect(&self.outlook(at, self.sampled_at()));
                let network = self.networks.at(subnet.network).id;
                let fill = SubnetFill { network, subnet: subnet.row.id, permille };
                survey.report.add(level, fill);
            }
        }
        survey.next = end;
        if end < self.subnets.high() {
            return None;
        }
        let mut report = std::mem::take(survey).report;
        report.cut();
        Some(report)
    }
}

/// Level and thousandths of use; `None` without addresses to hand out.
fn fill_of(subnet: &Subnet) -> Option<(usize, u16)> {
    let (size, free) = (subnet.pieces.size() - subnet.pieces.closed(), subnet.pieces.free());
    if size == 0 {
        return None;
    }
    let used = size - free;
    // Beyond 64 bits a thousandth more or less shows nowhere.
    let scale = (size >> 64).max(1);
    let permille = (used / scale * 1_000 / (size / scale)).min(1_000) as u16;
    let level = match permille {
        _ if used == 0 => 0,
        _ if free == 0 => 5,
        0..500 => 1,
        500..800 => 2,
        800..950 => 3,
        _ => 4,
    };
    Some((level, if free == 0 { 1_000 } else { permille.min(999) }))
}
