//! What validators pass to each other beside the engine: transactions and deposit registrations that users sent to one of them.
//!
//! Every validator is connected with every other, so each item is sent once, by the node that got it from its user, and
//! never passed on; to one that was away, what waits is sent when it is there. Whoever receives it checks it as if a user had sent it. Items travel in batches; both queues and the
//! rate for each peer are bounded, and items that do not fit are dropped: a user's retry brings them out.
//!
//! ```text
//! user -> NodeState.gossip -> send -> batch ~~~ network ~~~> receive -> NodeState::admit, NodeState::register
//!                     peers: hello, what waits -> batch ~~~ network ~~~> receive -> catch_up: the registrations that the sender missed
//! ```

mod batch;
mod catch_up;
mod peers;
mod receive;
mod send;
mod standing;

pub(in crate::io) use batch::QUEUE;
#[cfg(test)]
pub(in crate::io) use catch_up::decoded_registrations;
pub(in crate::io) use peers::{greet, wait_for_peers};
pub(in crate::io) use receive::receive;
pub(in crate::io) use send::send;
pub(in crate::io) use standing::announce_standing;
