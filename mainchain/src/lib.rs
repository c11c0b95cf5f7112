//! Facts about Bitcoin, decided without trusting who tells them.
//!
//! A deposit travels through this crate first: [`header`] has the rules of Bitcoin's headers, [`proof::InclusionProof`]
//! shows that a transaction is in a block, and [`deposit::DepositTerms`] says which output a depositor had to pay. All of that is pure: headers, bytes and the time go in, decisions come out.
//! Only [`io`] touches the network; it asks a Bitcoin Core node, and whatever it answers is checked by the rest.
//!
//! ```text
//!  raw headers --> header (rules) --> verify (a whole file, streaming) --> causeway headers verify
//!                        \--> chain (most work, reorganisations: the model that the light client is tested against)
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
