//! For developers: a local network, the demo on it, and checks of headers.

pub mod accounts;
pub mod demo;
pub mod headers;
pub mod local_network;
