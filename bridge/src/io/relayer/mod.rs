//! The relayer's shell: gathers facts from its own node and its own bitcoind, asks the machine what to do, keeps, performs.
//!
//! ```text
//!   its own node     --gather_ledger---> facts --relay::machine--> actions --perform--> tx_sender --> free transactions
//!   its own bitcoind --gather_bitcoin--/                                         \----> bitcoind broadcast
//!
//!   key_generation, approving, signing: rounds with the other members, over the signing board <--> store (promises)
//! ```
//! Three tasks share the work, so that none waits for what another one waits for: `signing_task` follows the ledger and
//! takes part in key generation and signing, `bitcoin_task` follows bitcoind, `duty_task` decides and acts.
//!
//! Neither node nor bitcoind has to be there: the relayer says so once, waits, and goes on where it was. What it stops
//! for is its own error ([`FatalError`]): a damaged or full disk, another process on its data, a wrong key.

mod approving;
mod bitcoin_part;
mod bitcoin_task;
mod bitcoind;
mod calls;
mod duty_task;
mod error;
mod evidence;
mod gather_bitcoin;
mod gather_ledger;
mod health;
mod health_server;
mod identity;
mod key_generation;
mod member;
mod node;
mod outlook;
mod perform;
mod promises;
mod recover;
mod run;
mod signing;
mod signing_task;
mod tx_sender;
mod waiting;

pub use bitcoind::Bitcoind;
pub use error::FatalError;
pub use identity::Identity;
pub use key_generation::KEY_FILES;
pub use member::Random;
pub use node::Node;
pub use recover::RESTORED;
pub use run::{Surroundings, TestHooks, Work, auth, run, run_within};
