//! One transaction of a user's account, from what is wanted to what is final.
//!
//! ```text
//!   wanted --asked before, end unknown?--> go on with that one, sign nothing
//!     | no
//!     v
//!   nonce, fees (the node's word, within bounds) -> signed -> decoded and shown -> agreed to -> kept on disk -> sent -> final
//! ```
//! Where it goes, for which chain and what it says come from this program and the genesis file. A node can refuse, delay, and lie
//! about what became of it; it cannot turn it into something else, make it cost more than the bound, or have it signed twice.

mod exact;
mod request;
mod send;
mod whole;
mod words;

pub use send::{Spender, TooDear, agree};
