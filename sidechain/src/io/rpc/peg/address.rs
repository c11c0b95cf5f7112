//! Deposit addresses, which are taproot addresses, and the output keys in them.

use alloy_primitives::B256;
use bitcoin::Address;
use mainchain::params::Network;

use super::super::error;

/// The address of an output key; `None` when the key is not a point.
pub fn address(output_key: B256, network: Network) -> Option<String> {
    let key = bitcoin::XOnlyPublicKey::from_slice(output_key.as_slice()).ok()?;
    let key = bitcoin::key::TweakedPublicKey::dangerous_assume_tweaked(key);
    Some(Address::p2tr_tweaked(key, network.bitcoin()).to_string())
}

/// The output key of a taproot address of this network, or of its hex.
///
/// # Errors
///
/// `-32602` when `text` is neither.
pub fn output_key(text: &str, network: Network) -> error::Result<B256> {
    if let Ok(key) = text.parse::<B256>() {
        return Ok(key);
    }
    let address: Address<_> = text
        .parse()
        .map_err(|error| error::invalid(format!("{text} is neither an address nor an outpoint: {error}")))?;
    let address = address
        .require_network(network.bitcoin())
        .map_err(|_| error::invalid(format!("{text} is not an address of {}", network.name())))?;
    let script = address.script_pubkey();
    if !script.is_p2tr() {
        return Err(error::invalid(format!("{text} is not a taproot address, so not a deposit address")));
    }
    Ok(B256::from_slice(&script.as_bytes()[2..]))
}
