//! Facts about Bitcoin, decided without trusting who tells them.
//!
//! A deposit travels through this crate first: [`chain::HeaderChain`] learns from raw headers which chain has the most
//! work, [`proof::InclusionProof`] shows that a transaction is in one of its blocks, and [`deposit::DepositTerms`] says
//! which output a depositor had to pay. All of that is pure: headers, bytes and the time go in, decisions come out.
//! Only [`io`] touches the network; it asks a Bitcoin Core node, and whatever it answers is checked by the rest.
//!
//! ```text
//!  raw headers --> header (rules) --> chain (most work, reorgs) --> who asks: relayer, CLI
//!                        \--> verify (a whole file, streaming)
//!  block + txid --> proof --> BitcoinLightClient.requireIncluded
//!  terms + group key --> deposit --> address
//! ```

pub mod chain;
pub mod deposit;
pub mod header;
#[cfg(feature = "io")]
pub mod io;
pub mod params;
pub mod proof;
pub mod recovery;
pub mod verify;

pub use chain::{Changes, Checkpoint, HeaderChain};
pub use deposit::P2TR_DUST;
pub use header::{HeaderError, UnixTime};
pub use params::{Network, Params};
