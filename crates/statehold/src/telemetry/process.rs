//! What the operating system says of this process. Where it keeps no `/proc`, nothing is told.

use std::fs;

use metrics::{counter, gauge};

/// Clock ticks a second in `/proc`: fixed at 100 by the kernel's interface to programs.
const TICKS_PER_SECOND: u64 = 100;

/// Puts the process's own metrics.
pub(super) fn observe() {
    if let Some(ticks) = fs::read_to_string("/proc/self/stat").ok().as_deref().and_then(cpu_ticks) {
        counter!("statehold_process_cpu_seconds_total").absolute(ticks / TICKS_PER_SECOND);
    }
    if let Some(bytes) = fs::read_to_string("/proc/self/status").ok().as_deref().and_then(resident_bytes) {
        gauge!("statehold_process_resident_memory_bytes").set(bytes as f64);
    }
    if let Ok(open) = fs::read_dir("/proc/self/fd") {
        // The walk itself holds one.
        gauge!("statehold_process_open_files").set(open.count().saturating_sub(1) as f64);
    }
}

/// User and system time: fields 14 and 15. The second field is the program's name in brackets and may hold anything.
fn cpu_ticks(stat: &str) -> Option<u64> {
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut fields = after_name.split_ascii_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    user.checked_add(system)
}

fn resident_bytes(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kibibytes.checked_mul(1_024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proc_is_read() {
        let stat = "7 (a) b) S 1 7 7 0 -1 4194560 100 0 0 0 250 50 0 0 20 0 4 0 9 1 2 3";
        assert_eq!(cpu_ticks(stat), Some(300));
        assert_eq!(resident_bytes("Name:\tx\nVmRSS:\t    2048 kB\n"), Some(2 << 20));
        for broken in ["", "7 (a", "7 (a) S", "VmRSS: x kB"] {
            assert_eq!((cpu_ticks(broken), resident_bytes(broken)), (None, None), "{broken}");
        }
    }
}
