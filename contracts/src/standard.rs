//! Contracts that Ethereum's tools expect at the same address on every chain.
//!
//! They got there by keyless transactions ("Nick's method"): somebody chose the signature, so the sender is an address that
//! nobody has a key for, and its first contract has the same address wherever the transaction runs. Such a transaction names no
//! chain id, so this chain does not take it; genesis runs its creation code instead. That the file is the right one can be
//! checked by anybody: its sender and nonce make the well-known address. Others were made by the first of these, the CREATE2
//! factory; there the code itself makes the address.

use alloy_primitives::{Address, B256, address, b256};

/// A keyless transaction and the address of the contract that it creates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keyless {
    pub name: &'static str,
    pub address: Address,
    /// The signed transaction, in hex without a prefix.
    pub transaction: &'static str,
}

/// What the [`CREATE2_FACTORY`] makes of a salt and creation code, which together are the address: a file that is changed by a bit
/// has another. The address says nothing of the chain, so the code may ask for its id when it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Create2 {
    pub name: &'static str,
    pub address: Address,
    pub salt: B256,
    /// In hex without a prefix.
    pub creation_code: &'static str,
}

/// The CREATE2 factory that forge's `new {salt: …}`, CreateX users and many deployers send to. <https://github.com/Arachnid/deterministic-deployment-proxy>
pub const CREATE2_FACTORY: Address = address!("4e59b44847b379578588920cA78FbF26c0B4956C");

/// Many calls in one. <https://github.com/mds1/multicall3>
pub const MULTICALL3: Address = address!("cA11bde05977b3631167028862bE2a173976CA11");

/// The registry of interfaces. EIP-1820.
pub const ERC1820_REGISTRY: Address = address!("1820a4B7618BdE71Dce8cdc73aAB6C95905faD24");

/// The hashes of the last [`BLOCK_HASH_WINDOW`] blocks, which each block writes first of all. EIP-2935.
pub const BLOCK_HASH_HISTORY: Address = address!("0000F90827F1C53a10cb7A02335B175320002935");

/// `HISTORY_SERVE_WINDOW` of EIP-2935.
pub const BLOCK_HASH_WINDOW: u64 = 8191;

/// Deploys Safe's contracts at the same addresses everywhere. Its code is the [`CREATE2_FACTORY`]'s; its deployer has a key, and
/// signs for each chain: <https://github.com/safe-global/safe-singleton-factory>.
pub const SAFE_SINGLETON_FACTORY: Address = address!("914d7Fec6aaC8cd542e72Bca78B30650d45643d7");

/// Transfers of any ERC-20 token by its owner's signature, once the owner allowed this contract to move it.
/// <https://github.com/Uniswap/permit2>
pub const PERMIT2: Address = address!("000000000022D473030F116dDEE9F6B43aC78BA3");

/// Channels of x402's scheme `batch-settlement`, for any token. <https://github.com/x402-foundation/x402>, `contracts/evm`
pub const X402_BATCH_SETTLEMENT: Address = address!("4020074e9dF2ce1deE5A9C1b5c3f541D02a10003");

/// Brings deposits to [`X402_BATCH_SETTLEMENT`] by authorizations of EIP-3009.
pub const X402_AUTHORIZED_DEPOSITS: Address = address!("4020806089470a89826cB9fB1f4059150b550004");

/// Brings deposits to [`X402_BATCH_SETTLEMENT`] by permits of [`PERMIT2`].
pub const X402_PERMITTED_DEPOSITS: Address = address!("4020425FAf3B746C082C2f942b4E5159887B0005");

/// x402's scheme `exact` for tokens without EIP-3009: pays by a permit of [`PERMIT2`] that names the payee.
pub const X402_EXACT: Address = address!("402085c248EeA27D92E8b30b2C58ed07f9E20001");

/// x402's scheme `upto`: as [`X402_EXACT`], and the payee's facilitator says how much of what was permitted is due.
pub const X402_UP_TO: Address = address!("4020A4f3b7b90ccA423B9fabCc0CE57C6C240002");

/// What genesis deploys as the [`CREATE2_FACTORY`] would.
pub const BY_CREATE2: [Create2; 6] = [
    Create2 {
        name: "Permit2",
        address: PERMIT2,
        salt: b256!("0000000000000000000000000000000000000000d3af2663da51c10215000000"),
        creation_code: include_str!("../create2/permit2.hex"),
    },
    Create2 {
        name: "x402BatchSettlement",
        address: X402_BATCH_SETTLEMENT,
        salt: b256!("000000000000000000000000000000000000000000000000e000000005be885c"),
        creation_code: include_str!("../create2/x402-batch-settlement.hex"),
    },
    Create2 {
        name: "x402's ERC3009DepositCollector",
        address: X402_AUTHORIZED_DEPOSITS,
        salt: b256!("0000000000000000000000000000000000000000000000001800000007a95284"),
        creation_code: include_str!("../create2/x402-erc3009-deposit-collector.hex"),
    },
    Create2 {
        name: "x402's Permit2DepositCollector",
        address: X402_PERMITTED_DEPOSITS,
        salt: b256!("000000000000000000000000000000000000000000000000f800000001a5d4ff"),
        creation_code: include_str!("../create2/x402-permit2-deposit-collector.hex"),
    },
    Create2 {
        name: "x402ExactPermit2Proxy",
        address: X402_EXACT,
        salt: b256!("0000000000000000000000000000000000000000000000003000000007263b0e"),
        creation_code: include_str!("../create2/x402-exact-permit2-proxy.hex"),
    },
    Create2 {
        name: "x402UptoPermit2Proxy",
        address: X402_UP_TO,
        salt: b256!("000000000000000000000000000000000000000000000000b000000001db633d"),
        creation_code: include_str!("../create2/x402-upto-permit2-proxy.hex"),
    },
];

/// What genesis deploys, besides the peg's own contracts and the [`SAFE_SINGLETON_FACTORY`].
pub const KEYLESS: [Keyless; 4] = [
    Keyless {
        name: "CREATE2 factory",
        address: CREATE2_FACTORY,
        transaction: include_str!("../keyless/create2-factory.hex"),
    },
    Keyless { name: "Multicall3", address: MULTICALL3, transaction: include_str!("../keyless/multicall3.hex") },
    Keyless {
        name: "ERC-1820 registry",
        address: ERC1820_REGISTRY,
        transaction: include_str!("../keyless/erc1820-registry.hex"),
    },
    Keyless {
        name: "EIP-2935 block hash history",
        address: BLOCK_HASH_HISTORY,
        transaction: include_str!("../keyless/block-hash-history.hex"),
    },
];
