//! A whole bridge in one process: relayers as they are, by a clock that jumps from one thing to do to the next, around a simulated node (the real chain and
//! contracts, without consensus and network) and a simulated bitcoind. One seed decides when what fails.

pub mod bitcoind;
pub mod faults;
pub mod node;
pub mod time;
pub mod world;
