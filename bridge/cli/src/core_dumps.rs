//! What a process knows stays in its memory: a crash writes no copy of it, and no other process of the same user reads it.
//!
//! Keys, shares and passphrases would be in a core file in plain, on a disk, in a crash reporter's upload or in a backup. It is done
//! for every command at the start of `main`, before anything secret can be read, instead of for those that hold keys today.

use rustix::process::{Resource, Rlimit, setrlimit};

/// Turns core dumps off for this process and what it starts.
///
/// # Errors
///
/// The system refuses, which no system does to a process that asks for less. Better no process than one that can be dumped.
pub fn forbid() -> std::io::Result<()> {
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
    hide_memory()
}

/// The limit does not count where the system pipes dumps into a program (`core_pattern` with `|`); this does. It also refuses debuggers,
/// and `/proc/PID/mem` to all but the superuser.
#[cfg(target_os = "linux")]
fn hide_memory() -> std::io::Result<()> {
    use rustix::process::{DumpableBehavior, set_dumpable_behavior};
    Ok(set_dumpable_behavior(DumpableBehavior::NotDumpable)?)
}

#[cfg(not(target_os = "linux"))]
fn hide_memory() -> std::io::Result<()> {
    Ok(())
}
