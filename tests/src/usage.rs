//! What running processes use, as Linux tells it (proc(5)).

use std::fs;
use std::path::Path;
use std::time::Duration;

/// Process ids of `causeway COMMAND` that work somewhere below a folder.
#[must_use]
pub fn processes(command: &str, folder: &Path) -> Vec<u32> {
    let folder = folder.display().to_string();
    let all = fs::read_dir("/proc").into_iter().flatten().flatten();
    all.filter(|process| {
        let arguments = fs::read_to_string(process.path().join("cmdline")).unwrap_or_default();
        arguments.split('\0').nth(1) == Some(command) && arguments.contains(&folder)
    })
    .filter_map(|process| process.file_name().to_str()?.parse().ok())
    .collect()
}

/// Processor time of a process so far; none of one that has ended.
#[must_use]
pub fn processor_time(process: u32) -> Duration {
    let text = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    // utime and stime are the fields 14 and 15; the second, in brackets, may hold spaces.
    let fields = text.rsplit(')').next().unwrap_or_default().split_whitespace().skip(11).take(2);
    let ticks: u64 = fields.map(|field| field.parse().unwrap_or(0)).sum();
    // USER_HZ is 100 on every Linux.
    Duration::from_millis(10 * ticks)
}

/// Bytes of memory that a process has resident.
#[must_use]
pub fn resident(process: u32) -> u64 {
    let text = fs::read_to_string(format!("/proc/{process}/statm")).unwrap_or_default();
    4096 * text.split_whitespace().nth(1).and_then(|field| field.parse().ok()).unwrap_or(0)
}
