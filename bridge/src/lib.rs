//! The federation's side of Causeway: keys, vault transactions and the relayer.
//!
//! A relayer is a client of its own sidechain node and its own bitcoind. What it decides is pure: facts go in, owed
//! actions come out, and the rounds of key generation and signing are machines that never touch a network.
//! What touches network, disk, clock or randomness is in [`io`] (feature `io`).
//!
//! ```text
//!   amount   `0.1 BTC` and `10000000 sat`, read and shown
//!   vault, vault_tx   the vault's key; vault transactions: made as the ledger makes them, checked, hashed, completed
//!   channel_calls     what is asked of payment channels, as calldata
//!   charges  what a vault transaction costs, and what each participant pays
//!   plan     the next proposals: sweep, payout, consolidation, another version
//!   policy   what a member makes sure of before it approves, and before it signs
//!   child    what pays for a vault transaction that waits
//!   board    the signing board's posts, and what a machine may ask of its shell
//!   waited_for        who keeps the federation waiting, by what is on the board
//!   dkg, signing      machines over the board: an epoch's key, one vault transaction's signatures
//!   threshold         shares of the group key, behind functions of bytes
//!   foreign  what others wrote, made fit for a terminal
//!   seal, keystore    encryption to one member; secrets at rest
//!   web3_keystore     an account's key as Ethereum wallets keep it
//!   relay    what a relayer decides: facts in, owed actions out; a file for each subject
//!   io       the node's client, the relayer's shell
//! ```

pub use api::peg;

pub mod amount;
pub mod board;
pub mod channel_calls;
pub mod charges;
pub mod child;
pub mod dkg;
pub mod foreign;
mod hex_bytes;
#[cfg(feature = "io")]
pub mod io;
pub mod keystore;
pub mod plan;
pub mod policy;
pub mod relay;
pub mod seal;
pub mod signing;
#[cfg(test)]
mod simulation;
pub mod threshold;
pub mod vault;
pub mod vault_tx;
pub mod waited_for;
pub mod web3_keystore;
