//! A client of a sidechain node over JSON-RPC.
