//! What the machine has: cores and memory. Only for defaults.

use std::fs;
use std::path::{Path, PathBuf};

/// Cores that this process may use.
pub(super) fn cores() -> u16 {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get);
    u16::try_from(cores).unwrap_or(u16::MAX)
}

/// Bytes of memory that this process may use: the machine's, or less if a control group says so,
/// its own or one above it.
pub(super) fn memory_bytes() -> u64 {
    let read = |path: &Path| fs::read_to_string(path).ok();
    let machine = read(Path::new("/proc/meminfo")).and_then(|text| total_of(&text));
    let group = read(Path::new("/proc/self/cgroup")).unwrap_or_default();
    let machine = machine.unwrap_or_else(|| {
        tracing::warn!(
            taken = UNKNOWN_BYTES,
            "/proc/meminfo doesn't say how much memory there is: set memory_bytes_max"
        );
        UNKNOWN_BYTES
    });
    machine.min(limit_of(&group, read).unwrap_or(u64::MAX))
}

/// The lowest limit of a process's control group (version 2) and of all above it, by what
/// `/proc/self/cgroup` says.
fn limit_of(text: &str, read: impl Fn(&Path) -> Option<String>) -> Option<u64> {
    let group = text.lines().find_map(|line| line.strip_prefix("0::")).unwrap_or_default();
    // What is above the root of this process's view is not to be seen.
    let parts = group.split('/').filter(|part| !part.is_empty() && *part != "..");
    let own = parts.fold(PathBuf::from(GROUPS), |path, part| path.join(part));
    let seen = own.ancestors().take_while(|path| path.starts_with(GROUPS));
    seen.filter_map(|path| read(&path.join("memory.max"))?.trim().parse().ok()).min()
}

const GROUPS: &str = "/sys/fs/cgroup";

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

    #[test]
    fn the_lowest_limit_of_a_group_and_those_above_it_counts() {
        let read = |path: &Path| match path.to_str()? {
            "/sys/fs/cgroup/a/b/memory.max" => Some("max\n".to_owned()),
            "/sys/fs/cgroup/a/memory.max" => Some("700\n".to_owned()),
            "/sys/fs/cgroup/memory.max" => Some("900\n".to_owned()),
            _ => None,
        };
        assert_eq!(limit_of("0::/a/b\n", read), Some(700));
        assert_eq!(limit_of("1:cpu:/x\n0::/\n", read), Some(900));
        assert_eq!(limit_of("0::/../a\n", read), Some(700));
        assert_eq!(limit_of("", read), Some(900));
        assert_eq!(limit_of("0::/a/b\n", |_| None), None);
    }
}
