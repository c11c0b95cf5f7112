//! Files as node, relayer, wallet and command line keep them: a directory that one process owns, and files that are replaced as a
//! whole. Nothing here knows what is in them.

mod directory_lock;
mod replace;

pub use directory_lock::{DirectoryLock, LockError};
pub use replace::{read_optional, write_atomic, write_new};
