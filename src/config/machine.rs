//! What the machine has: cores and memory. Only for defaults.

use std::fs;

/// Cores that this process may use.
pub(super) fn cores() -> u16 {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get);
    u16::try_from(cores).unwrap_or(u16::MAX)
}

/// Bytes of memory that this process may use: the machine's, or less if a control group says so.
pub(super) fn memory_bytes() -> u64 {
    let machine = fs::read_to_string("/proc/meminfo").ok().and_then(|text| total_of(&text));
    let group = fs::read_to_string("/sys/fs/cgroup/memory.max").ok();
    let group = group.and_then(|text| text.trim().parse().ok());
    machine.unwrap_or(UNKNOWN_BYTES).min(group.unwrap_or(u64::MAX))
}

/// Taken if the system does not say.
const UNKNOWN_BYTES: u64 = 1 << 30;

fn total_of(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1 << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_total_is_read_and_nonsense_is_not() {
        assert_eq!(total_of("MemTotal:       24 kB\nMemFree: 1 kB\n"), Some(24 << 10));
        assert_eq!(total_of("MemTotal: many kB"), None);
        assert_eq!(total_of(""), None);
        assert!(memory_bytes() > 0 && cores() > 0);
    }
}
