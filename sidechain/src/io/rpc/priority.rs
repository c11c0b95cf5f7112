//! The priority of the server's threads among the node's.

/// Steps below the rest of the process: a thread with 10 gets about a tenth of a busy core that one with 0 wants too.
#[cfg(target_os = "linux")]
const NICENESS: i32 = 10;

/// Lets the rest of the node go before the calling thread. On Linux priorities are those of threads.
#[cfg(target_os = "linux")]
pub fn give_way() {
    if let Err(error) = rustix::process::setpriority_process(None, NICENESS) {
        tracing::warn!(%error, "the RPC's threads have the priority of all others");
    }
}

/// Elsewhere priorities are those of processes, so all threads have the same.
#[cfg(not(target_os = "linux"))]
pub fn give_way() {}
