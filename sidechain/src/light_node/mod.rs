//! A light node: it keeps the newest final header and what it was asked for, and believes no node that tells it.
//!
//! ```text
//!   nodes (Sources) --certificate--> header (Heads: only forward) --state root--> accounts, slots, code (Rows, Codes)
//!                                                                                      |
//!   eth_call, peg_*: run on a View of these rows; what is missing is asked for, proven, and all is run again
//! ```
//! A run that missed something says nothing, whatever came of it: it only tells what to ask for. So what a node withholds delays,
//! and what it invents is refused by name. Pure: who asks, and when, is in `io::light_node`.

mod codes;
mod heads;
mod rows;
mod sources;
#[cfg(test)]
mod tests;
mod view;

pub use codes::Codes;
pub use heads::{Heads, NotTaken, RECENT, Taken};
pub use rows::{Missing, Rows};
pub use sources::Sources;
pub use view::View;
