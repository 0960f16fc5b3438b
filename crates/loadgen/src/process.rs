//! Resource usage of a process, from Linux's `/proc`.

use std::time::Duration;

/// Memory and CPU time of a process at one moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Usage {
    /// Resident memory in bytes.
    pub(crate) rss: u64,
    /// User and system time since the process started.
    pub(crate) cpu: Duration,
    /// The part of `cpu` that was spent in the kernel, in steps of 10 ms.
    pub(crate) kernel: Duration,
}

/// The processes of a server, of which all nodes of a cluster are one.
pub(crate) type Pids = &'static [u32];

/// Reads the usage of all processes together.
pub(crate) fn usage(pids: Pids) -> Result<Usage, String> {
    let mut sum = Usage {
        rss: 0,
        cpu: Duration::ZERO,
        kernel: Duration::ZERO,
    };
    for pid in pids {
        let one = usage_of(*pid)?;
        sum.rss += one.rss;
        sum.cpu += one.cpu;
        sum.kernel += one.kernel;
    }
    Ok(sum)
}

fn usage_of(pid: u32) -> Result<Usage, String> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))
        .map_err(|error| format!("process {pid}: {error}"))?;
    let kib = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .and_then(|rest| rest.trim().trim_end_matches(" kB").parse::<u64>().ok());
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))
        .map_err(|error| format!("process {pid}: {error}"))?;
    // The second field is the name in parentheses and may contain spaces; fields 14 and 15 are in
    // ticks of 10 ms.
    let fields: Vec<&str> = stat
        .rsplit(')')
        .next()
        .unwrap_or("")
        .split_whitespace()
        .collect();
    let ticks = |index: usize| {
        fields
            .get(index)
            .and_then(|field| field.parse::<u64>().ok())
            .unwrap_or(0)
    };
    let counted = Duration::from_millis((ticks(11) + ticks(12)) * 10);
    // Ticks include threads that have ended; the scheduler's figures for running threads are finer.
    // The larger value is closer to the truth.
    Ok(Usage {
        rss: kib.unwrap_or(0) * 1024,
        cpu: counted.max(scheduled(pid)),
        kernel: Duration::from_millis(ticks(12) * 10),
    })
}

/// Number of open files.
pub(crate) fn files(pids: Pids) -> Result<u64, String> {
    let mut sum = 0;
    for pid in pids {
        let open = std::fs::read_dir(format!("/proc/{pid}/fd"))
            .map_err(|error| format!("process {pid}: {error}"))?;
        sum += open.count() as u64;
    }
    Ok(sum)
}

/// CPU time of the running threads, in nanoseconds.
fn scheduled(pid: u32) -> Duration {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task"))
        .into_iter()
        .flatten()
        .flatten();
    let times =
        threads.filter_map(|thread| std::fs::read_to_string(thread.path().join("schedstat")).ok());
    let nanoseconds = times.filter_map(|times| {
        times
            .split(' ')
            .next()
            .and_then(|first| first.parse::<u64>().ok())
    });
    Duration::from_nanos(nanoseconds.sum())
}
