//! Where a payer's channels and promises are kept.

use std::path::PathBuf;

use alloy_primitives::Address;

use crate::options::network::KnownNetwork;

/// In the home folder, by network and payer, then by payee.
const FOLDER: &str = "sessions";

/// A folder for each payee is in it.
pub fn folder(network: &KnownNetwork, payer: Address) -> PathBuf {
    network.home.join(FOLDER).join(format!("{:x}-{payer:x}", network.id))
}
