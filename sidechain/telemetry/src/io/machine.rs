//! What the system says of this process, and of the room on a disk.

use std::fs;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::exposition::{Page, Value};

/// What a process is called in metrics, and since when it runs.
#[derive(Clone, Debug)]
pub struct Process {
    version: &'static str,
    started_ms: u64,
}

/// A clock that is before 1970 counts as there.
#[must_use]
pub fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// Bytes on the disk of a folder that this process may still use.
///
/// # Errors
///
/// The folder is not there, or the system does not say.
pub fn free_bytes(folder: &Path) -> std::io::Result<u64> {
    let room = rustix::fs::statvfs(folder)?;
    Ok(room.f_bavail.saturating_mul(room.f_frsize))
}

impl Process {
    /// This one, from now on.
    #[must_use]
    pub fn of(version: &'static str) -> Self {
        Self { version, started_ms: unix_ms() }
    }

    /// Writes the usual metrics of a process (prometheus.io, "Writing client libraries", section "Process metrics"); what a system
    /// without `/proc` does not say is left out.
    pub fn write(&self, page: &mut Page) {
        page.gauges("causeway_build_info", "1, for the version that runs.", "version", [(self.version, 1u64.into())]);
        let started = Value::seconds(self.started_ms);
        page.gauge("process_start_time_seconds", "When this process began, in seconds since 1970.", started);
        page.known("process_resident_memory_bytes", "Memory that this process has.", resident_bytes());
        let open = fs::read_dir("/proc/self/fd").ok().map(Iterator::count);
        page.known("process_open_fds", "Files and connections that are open.", open);
        let most = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
        page.known("process_max_fds", "Files and connections that may be open.", most);
    }
}

fn resident_bytes() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_and_its_disk_have_numbers() {
        let mut page = Page::default();
        Process::of("0.0.0").write(&mut page);
        let text = page.finish();
        for name in ["causeway_build_info{version=\"0.0.0\"} 1", "process_start_time_seconds ", "process_max_fds "] {
            assert!(text.lines().any(|line| line.starts_with(name)), "{name} in {text}");
        }
        assert!(free_bytes(Path::new("/")).expect("there") > 0);
        free_bytes(Path::new("/nowhere/at/all")).expect_err("not there");
    }
}
