//! What memory this machine has to give, for those who set no limit themselves.

use std::fs;
use std::path::{Path, PathBuf};

/// The bytes that a process may still take without harm to others: what the system says is available, or less if the group of processes
/// that this one is in (a container) has a limit. `None` where the system does not say.
pub fn available_bytes() -> Option<u64> {
    let system = fs::read_to_string("/proc/meminfo").ok().and_then(|text| available(&text));
    let group = fs::read_to_string("/proc/self/cgroup").ok().and_then(|text| {
        groups(&text).iter().filter_map(|folder| left(&Path::new("/sys/fs/cgroup").join(folder))).min()
    });
    [system, group].into_iter().flatten().min()
}

/// What to take at most where the owner sets no limit: nine tenths of [`available_bytes`], since others want to grow too; `None` where the
/// system does not say what there is.
///
/// It is a limit for [`plan_speaker`](crate::plan_speaker), [`plan_learner`](crate::plan_learner) and `exact::Limits`.
pub fn spare_bytes() -> Option<u64> {
    available_bytes().map(|bytes| bytes / 10 * 9)
}

/// `MemAvailable` of `/proc/meminfo`.
fn available(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

/// The folders of all groups that a process is in, below `/sys/fs/cgroup`: its own and those around it, whose limits hold too.
fn groups(cgroup: &str) -> Vec<PathBuf> {
    // `0::/path` is the one hierarchy of version 2; `4:memory:/path` that of version 1 which has to do with memory.
    let path = |line: &str| {
        let (_, rest) = line.split_once(':')?;
        let (kinds, path) = rest.split_once(':')?;
        let root = if kinds.split(',').any(|kind| kind == "memory") { "memory" } else { "" };
        (kinds.is_empty() || !root.is_empty()).then(|| Path::new(root).join(path.trim_start_matches('/')))
    };
    let own = cgroup.lines().filter_map(path);
    own.flat_map(|folder| folder.ancestors().map(Path::to_owned).collect::<Vec<_>>()).collect()
}

/// What a group's limit leaves, if it has one.
fn left(folder: &Path) -> Option<u64> {
    let number = |name: &str| fs::read_to_string(folder.join(name)).ok()?.trim().parse::<u64>().ok();
    let limit = number("memory.max").or_else(|| number("memory.limit_in_bytes"))?;
    let used = number("memory.current").or_else(|| number("memory.usage_in_bytes"))?;
    Some(limit.saturating_sub(used))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_system_says_is_read() {
        let text = "MemTotal:       24576000 kB\nMemFree:  10 kB\nMemAvailable:   20480000 kB\n";
        assert_eq!(available(text), Some(20_480_000 * 1024));
        for odd in ["", "MemAvailable:", "MemAvailable: x kB", "MemAvailable: 99999999999999999999 kB"] {
            assert_eq!(available(odd), None);
        }
    }

    #[test]
    fn all_groups_around_a_process_count() {
        let paths = |text: &str| groups(text).iter().map(|p| p.display().to_string()).collect::<Vec<_>>();
        assert_eq!(paths("0::/a/b\n"), ["a/b", "a", ""]);
        assert_eq!(paths("4:cpu,memory:/x\n3:pids:/x\n"), ["memory/x", "memory", ""]);
        assert!(paths("nonsense").is_empty());
    }

    #[test]
    fn a_limit_leaves_what_is_not_used() {
        let folder = std::env::temp_dir().join(format!("lm-machine-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let write = |name: &str, text: &str| fs::write(folder.join(name), text).unwrap();
        write("memory.current", "300\n");
        write("memory.max", "max\n");
        assert_eq!(left(&folder), None);
        write("memory.max", "1000\n");
        assert_eq!(left(&folder), Some(700));
        fs::remove_dir_all(&folder).unwrap();
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_machine_has_some() {
        let (all, spare) = (available_bytes().unwrap(), spare_bytes().unwrap());
        assert!(all > 1 << 20 && spare > 1 << 19);
    }
}
