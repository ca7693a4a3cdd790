//! What a process has used, from /proc.

use std::fs;
use std::time::Duration;

use nix::unistd::{SysconfVar, sysconf};

use crate::failure::{Doing, Failure};

/// CPU time of a whole process, all its threads together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct CpuTime {
    /// What the scheduler charged, to the nanosecond. With `CONFIG_IRQ_TIME_ACCOUNTING` it lacks the receiving
    /// half of what the process sends over loopback.
    pub(crate) total: Duration,
    /// The user part, and the kernel part, by where the clock's ticks fell (10 ms, proc_pid_stat(5)).
    pub(crate) user: Duration,
    pub(crate) system: Duration,
}

impl CpuTime {
    /// What was used since `earlier`.
    pub(crate) fn since(self, earlier: Self) -> Self {
        Self {
            total: self.total.saturating_sub(earlier.total),
            user: self.user.saturating_sub(earlier.user),
            system: self.system.saturating_sub(earlier.system),
        }
    }
}

/// What a process has used so far.
///
/// # Errors
/// It is gone.
pub(crate) fn cpu_time(process: u32) -> Result<CpuTime, Failure> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).doing("reading /proc/PID/stat")?;
    let ticks_per_second =
        sysconf(SysconfVar::CLK_TCK).doing("asking for CLK_TCK")?.and_then(|ticks| u32::try_from(ticks).ok());
    let (user, system) = ticks(&stat).unwrap_or_default();
    let time = |ticks: u64| Duration::from_secs(ticks) / ticks_per_second.unwrap_or(100);
    let (user, system) = (time(user), time(system));
    let total = scheduled(process)?.unwrap_or(user + system);
    Ok(CpuTime { total, user, system })
}

/// The sum over its threads, which the kernel keeps to the nanosecond if it was built with `CONFIG_SCHED_INFO`.
fn scheduled(process: u32) -> Result<Option<Duration>, Failure> {
    let threads = fs::read_dir(format!("/proc/{process}/task")).doing("reading /proc/PID/task")?;
    let mut sum = 0;
    for thread in threads {
        let path = thread.doing("reading /proc/PID/task")?.path().join("schedstat");
        let Ok(text) = fs::read_to_string(path) else { return Ok(None) };
        let Some(spent) = text.split(' ').next().and_then(|first| first.parse::<u64>().ok()) else {
            return Ok(None);
        };
        sum += spent;
    }
    Ok(Some(Duration::from_nanos(sum)))
}

/// utime and stime of a line of proc_pid_stat(5), in ticks. The name in parentheses may hold anything.
fn ticks(stat: &str) -> Option<(u64, u64)> {
    let (_, fields) = stat.rsplit_once(')')?;
    // Behind the name come state (3) and ten fields, then utime (14) and stime (15).
    let mut fields = fields.split_ascii_whitespace().skip(11);
    Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
}

/// Bytes of memory that are the process's alone or in use by it (`Rss` of /proc/PID/smaps_rollup).
///
/// # Errors
/// It is gone.
pub(crate) fn resident(process: u32) -> Result<u64, Failure> {
    let text = fs::read_to_string(format!("/proc/{process}/smaps_rollup"))
        .doing("reading /proc/PID/smaps_rollup")?;
    Ok(rss(&text).unwrap_or(0))
}

fn rss(rollup: &str) -> Option<u64> {
    let line = rollup.lines().find_map(|line| line.strip_prefix("Rss:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_found_behind_a_name_with_spaces_and_parentheses() {
        let stat = "17 (a) b (c) R 1 17 17 0 -1 4194560 109 0 0 0 37 5 0 0 20 0 1 0 1 2 3";
        assert_eq!(ticks(stat), Some((37, 5)));
        assert_eq!(ticks("17 (short) R 1"), None);
    }

    #[test]
    fn memory_is_read_in_kibibytes() {
        let rollup = "5581-7ffd ---p 0 00:00 0    [rollup]\nRss:                3424 kB\nPss:   200 kB\n";
        assert_eq!(rss(rollup), Some(3424 * 1024));
        assert_eq!(rss("nothing"), None);
    }

    #[test]
    fn this_process_has_used_something() {
        let process = std::process::id();
        let before = cpu_time(process).unwrap();
        let mut sum = 0u64;
        while cpu_time(process).unwrap().since(before).total < Duration::from_millis(2) {
            sum = std::hint::black_box(sum + 1);
        }
        assert!(resident(process).unwrap() > 100_000);
    }
}
