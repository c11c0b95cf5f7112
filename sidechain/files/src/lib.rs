//! Files as node, relayer, wallet and command line keep them: a directory that one process owns, and files that are replaced as a
//! whole. Nothing here knows what is in them.

mod directory_lock;
mod private_folder;
mod replace;

pub use directory_lock::{DirectoryLock, LockError};
pub use private_folder::make_private_folder;
pub use replace::{read_optional, write_atomic, write_new};
