//! JSON schemas of what types of other crates look like in a node's answers. The names of Ethereum's are those of its execution API.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

/// A type without values, which stands for a shape of text.
macro_rules! text {
    ($($(#[$meta:meta])* $type:ident, $name:literal, $pattern:literal, $description:literal;)*) => {$(
        $(#[$meta])*
        #[derive(Clone, Copy, Debug)]
        pub enum $type {}

        impl JsonSchema for $type {
            fn schema_name() -> Cow<'static, str> {
                $name.into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", "pattern": $pattern, "description": $description })
            }
        }
    )*};
}

text! {
    /// An account of the sidechain.
    Address, "address", "^0x[0-9a-fA-F]{40}$", "An account, as hex.";
    /// A hash of the sidechain, an x-only key, or another 32 bytes.
    Hash, "hash32", "^0x[0-9a-f]{64}$", "32 bytes, as hex.";
    /// Bytes.
    Bytes, "bytes", "^0x([0-9a-f]{2})*$", "Bytes, as hex.";
    /// The first bytes of the hash of a block of Bitcoin.
    BlockHead, "bytes8", "^0x[0-9a-f]{16}$", "8 bytes, as hex.";
    /// A hash of Bitcoin.
    BitcoinHash, "bitcoinHash", "^[0-9a-f]{64}$", "A txid or the hash of a block of Bitcoin, as Bitcoin Core prints it: byte-reversed.";
    /// An output of a transaction of Bitcoin.
    Outpoint, "outpoint", "^[0-9a-f]{64}:(0|[1-9][0-9]*)$", "An output of a transaction of Bitcoin: txid and number.";
    /// The name of a network of Bitcoin.
    BitcoinNetwork, "bitcoinNetwork", "^(mainnet|testnet4|signet|regtest)$", "A network of Bitcoin.";
}
