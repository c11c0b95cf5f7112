//! What Linux says of a process, in /proc.

use std::fs;
use std::path::Path;
use std::time::Duration;

/// Bytes of memory that it has now.
#[must_use]
pub fn memory(process: u32) -> u64 {
    // proc_pid_statm(5): the second field is resident pages.
    4096 * numbers(process, "statm").get(1).copied().unwrap_or(0)
}

/// Processor time that it has had.
#[must_use]
pub fn busy(process: u32) -> Duration {
    let text = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    // proc_pid_stat(5): utime and stime are the fields 14 and 15; the second, in brackets, may hold spaces.
    let fields = text.rsplit(')').next().unwrap_or_default().split_whitespace().skip(11).take(2);
    // USER_HZ is 100 on every Linux.
    fields.filter_map(|field| field.parse().ok()).map(|ticks: u64| Duration::from_millis(10 * ticks)).sum()
}

/// How often its threads were put to sleep so far, and woken again.
#[must_use]
pub fn wakeups(process: u32) -> u64 {
    let threads = fs::read_dir(format!("/proc/{process}/task")).into_iter().flatten().flatten();
    let status = |thread: fs::DirEntry| fs::read_to_string(thread.path().join("status")).unwrap_or_default();
    let count = |status: String| {
        let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"))?;
        line.trim().parse::<u64>().ok()
    };
    threads.filter_map(|thread| count(status(thread))).sum()
}

/// How many files it has open, connections included.
#[must_use]
pub fn open_files(process: u32) -> usize {
    fs::read_dir(format!("/proc/{process}/fd")).map_or(0, Iterator::count)
}

/// Its arguments, the program first; none when it is gone.
#[must_use]
pub fn arguments(process: u32) -> Vec<String> {
    let text = fs::read_to_string(format!("/proc/{process}/cmdline")).unwrap_or_default();
    text.split_terminator('\0').map(str::to_owned).collect()
}

/// Processes of `causeway COMMAND` that work somewhere below a folder.
#[must_use]
pub fn of_command(command: &str, folder: &Path) -> Vec<u32> {
    let folder = folder.display().to_string();
    let is_one = |arguments: &[String]| {
        arguments.get(1).is_some_and(|argument| argument == command)
            && arguments.iter().any(|argument| argument.contains(&folder))
    };
    all().into_iter().filter(|process| is_one(&arguments(*process))).collect()
}

/// All processes.
#[must_use]
pub fn all() -> Vec<u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

fn numbers(process: u32, file: &str) -> Vec<u64> {
    let text = fs::read_to_string(format!("/proc/{process}/{file}")).unwrap_or_default();
    text.split_whitespace().filter_map(|field| field.parse().ok()).collect()
}
