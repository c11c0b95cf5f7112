//! The server of metrics and verdicts, and what the system says of this process and of its disk.

pub mod machine;
pub mod server;
