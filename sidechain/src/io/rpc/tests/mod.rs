//! What a client sees of a node: every test asks a real server over HTTP or WebSocket.

mod blocks;
mod calls;
mod contracts;
mod copied;
mod filters;
mod free_lane;
mod http;
mod ledger;
mod ledger_lists;
mod ledger_world;
mod many_clients;
mod openrpc;
mod other_nodes;
mod peg;
mod pool;
mod progress;
mod registrations;
mod subscriptions;
mod world;
