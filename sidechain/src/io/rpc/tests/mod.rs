//! What a client sees of a node: every test asks a real server over HTTP or WebSocket.

mod accounts;
mod archive;
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
mod pending;
mod pool;
mod progress;
mod registrations;
mod simulate;
mod subscriptions;
mod traces;
mod waiting;
mod world;
