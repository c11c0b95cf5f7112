//! This machine: room on its disks, its clock, its ports.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use super::check::{Check, Notes};

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
/// Seconds that a clock may differ from that of a chain whose blocks come every second. Validators whose clocks differ by more do not vote for
/// each other's blocks.
const CLOCK_S: u64 = 5;
/// A sidechain whose newest block is older stands still, or the node does not hear of it.
const OLD_HEAD_S: u64 = 60;
/// Bitcoin takes no block with a time so far ahead of a node's clock (its consensus).
const BITCOIN_AHEAD_S: u64 = 2 * 3_600;
/// Once in some years are blocks further apart, on a chain that is mined.
const BITCOIN_OLD_S: u64 = 3 * 3_600;

/// How much room is wanted.
#[derive(Clone, Copy, Debug)]
pub struct Room {
    /// Below, it stops soon.
    least: u64,
    /// Below, somebody should look.
    usual: u64,
}

impl Room {
    /// For a chain's data.
    pub const CHAIN: Self = Self { least: GIB, usual: 10 * GIB };
    /// For records, promises and shares.
    pub const RECORDS: Self = Self { least: 50 * MIB, usual: 500 * MIB };
}

/// Seconds since 1970; 0 on a clock that is before.
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs())
}

/// Room for `folder`, which need not exist yet.
pub fn disk(folder: &Path, room: Room, notes: Notes) -> Check {
    let Some(there) = folder.ancestors().find(|path| path.exists() && !path.as_os_str().is_empty()) else {
        return disk(Path::new("."), room, notes);
    };
    if !there.is_dir() {
        let seen = format!("{} is no folder, and data is to be kept there", there.display());
        return notes.wrong("disk", seen, "name another folder, or move the file away");
    }
    if let Err(error) = rustix::fs::access(there, rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK) {
        let seen = format!("{} cannot be written to: {error}", there.display());
        return notes.wrong("disk", seen, "give it to the user that runs causeway (chown), or mount it writable");
    }
    match rustix::fs::statvfs(there) {
        Ok(disk) => judge_room(folder, disk.f_bavail.saturating_mul(disk.f_frsize), room, notes),
        Err(error) => notes.doubtful("disk", format!("{}: {error}", there.display()), "look at the disk"),
    }
}

fn judge_room(folder: &Path, free: u64, room: Room, notes: Notes) -> Check {
    let seen = format!("{} MiB free for {}", free / MIB, folder.display());
    let wanted = format!("make room: {} MiB at least, {} MiB usually", room.least / MIB, room.usual / MIB);
    match free {
        free if free < room.least => notes.wrong("disk", seen, wanted),
        free if free < room.usual => notes.doubtful("disk", seen, wanted),
        _ => notes.fine("disk", seen),
    }
}

/// This clock, against the time of the sidechain's newest block.
pub fn judge_clock(now: u64, head: u64, notes: Notes) -> Check {
    const ADVICE: &str = "look at this machine's time service (timedatectl), then at the node";
    if head > now + CLOCK_S {
        let seen = format!("this machine's clock is {} s behind the sidechain's newest block", head - now);
        return notes.wrong("clock", seen, ADVICE);
    }
    let age = now.saturating_sub(head);
    if age > OLD_HEAD_S {
        let seen = format!("the sidechain's newest block is {age} s old by this clock");
        return notes.doubtful(
            "clock",
            seen,
            format!("the chain stands still, the node is cut off, or this clock is ahead: {ADVICE}"),
        );
    }
    notes.fine("clock", format!("the sidechain's newest block is {age} s old"))
}

/// This clock, against the time of Bitcoin's best block, which miners may set some minutes wrong.
pub fn judge_bitcoins_time(now: u64, block: u64, notes: Notes) -> Check {
    const ADVICE: &str = "look at this machine's time service (timedatectl)";
    if block > now + BITCOIN_AHEAD_S {
        let seen = format!("this machine's clock is {} min behind Bitcoin's best block", (block - now) / 60);
        return notes.wrong("clock", seen, ADVICE);
    }
    let age = now.saturating_sub(block);
    if age > BITCOIN_OLD_S {
        let seen = format!("Bitcoin's best block is {} min old by this clock", age / 60);
        return notes.doubtful("clock", seen, format!("bitcoind hears of no blocks, or this clock is ahead: {ADVICE}"));
    }
    notes.fine("clock", format!("Bitcoin's best block is {} min old", age / 60))
}

/// Whether a port is this process's own service, if it is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    ByOurs,
    ByAnother,
}

/// A port that a service listens at.
pub fn port(name: &'static str, address: SocketAddr, taken: Taken, notes: Notes) -> Check {
    use std::io::ErrorKind;
    let port = address.port();
    match (TcpListener::bind(address), taken) {
        (Ok(_), _) => notes.fine("port", format!("{name} {address} is free")),
        (Err(error), Taken::ByOurs) if error.kind() == ErrorKind::AddrInUse => {
            notes.fine("port", format!("{name} {address} is served by what runs here already"))
        }
        (Err(error), _) if error.kind() == ErrorKind::AddrInUse => notes.wrong(
            "port",
            format!("{name} {address} is taken by another program"),
            format!("find it (ss -ltnp 'sport = :{port}'), stop it, or take another port"),
        ),
        (Err(error), _) if error.kind() == ErrorKind::AddrNotAvailable => {
            notes.wrong("port", format!("{name} {address}: this machine has no such address"), "0.0.0.0 is all it has")
        }
        (Err(error), _) => notes.wrong("port", format!("{name} {address}: {error}"), "take a port above 1023"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::check::{Level, Whose};

    const NOTES: Notes = Notes(Whose::Node);

    #[test]
    fn too_little_room_is_wrong_and_a_folder_that_is_a_file_too() {
        let level = |free| judge_room(Path::new("/data"), free, Room::CHAIN, NOTES).level;
        assert_eq!((level(GIB - 1), level(GIB), level(10 * GIB)), (Level::Wrong, Level::Doubtful, Level::Fine));
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = folder.path().join("file");
        std::fs::write(&file, "").expect("written");
        assert_eq!(disk(&file.join("data"), Room::RECORDS, NOTES).level, Level::Wrong);
        let none = Room { least: 0, usual: 0 };
        assert_eq!(disk(&folder.path().join("not/yet"), none, NOTES).level, Level::Fine);
        // The kernel's own file systems have no room for anybody.
        assert_eq!(disk(Path::new("/proc/causeway"), Room::RECORDS, NOTES).level, Level::Wrong);
    }

    #[test]
    fn a_clock_is_told_from_a_chain_that_stands_still() {
        let level = |head| judge_clock(1_000_000, head, NOTES).level;
        assert_eq!((level(999_999), level(1_000_005)), (Level::Fine, Level::Fine));
        assert_eq!((level(1_000_006), level(999_900)), (Level::Wrong, Level::Doubtful));
        let level = |block| judge_bitcoins_time(1_000_000, block, NOTES).level;
        assert_eq!((level(999_000), level(1_003_000)), (Level::Fine, Level::Fine));
        assert_eq!((level(1_007_201), level(900_000)), (Level::Wrong, Level::Doubtful));
    }

    #[test]
    fn a_port_that_another_program_has_is_named_with_how_to_find_it() {
        let other = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = other.local_addr().expect("bound");
        let told = port("rpc_listen", address, Taken::ByAnother, NOTES);
        assert!(told.level == Level::Wrong && told.advice.contains(&format!(":{}", address.port())), "{told:?}");
        assert_eq!(port("rpc_listen", address, Taken::ByOurs, NOTES).level, Level::Fine);
        drop(other);
        assert_eq!(port("rpc_listen", address, Taken::ByAnother, NOTES).level, Level::Fine);
        let nowhere = "192.0.2.1:80".parse().expect("an address that no machine has");
        assert_eq!(port("p2p_listen", nowhere, Taken::ByAnother, NOTES).level, Level::Wrong);
    }
}
