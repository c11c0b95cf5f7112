//! What touches files and threads.

pub mod journal;
pub mod payee;
pub mod payer;
pub mod verification;
