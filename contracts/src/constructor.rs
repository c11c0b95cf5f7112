//! What each contract is created with, in plain types.

use crate::bindings::{
    BitcoinLightClient, Bridge, Deposits, Federation, IBitcoinLightClient, IBridge, IFederation, MicroChannel,
    SigningBoard, Vault, WrappedBtc,
};
use crate::deployment::{Contract, address};
use alloy_primitives::{Address, B256, Bytes, U256};
use alloy_sol_types::SolConstructor;

/// Code that, called with the ABI-encoded constructor arguments behind it, returns the contract's runtime code.
pub fn creation_code(contract: Contract) -> Bytes {
    match contract {
        Contract::LightClient => BitcoinLightClient::BYTECODE.clone(),
        Contract::Federation => Federation::BYTECODE.clone(),
        Contract::SigningBoard => SigningBoard::BYTECODE.clone(),
        Contract::Bridge => Bridge::BYTECODE.clone(),
        Contract::Vault => Vault::BYTECODE.clone(),
        Contract::Deposits => Deposits::BYTECODE.clone(),
        Contract::MicroChannel => MicroChannel::BYTECODE.clone(),
        Contract::WrappedBtc => WrappedBtc::BYTECODE.clone(),
    }
}

/// `BitcoinLightClient`'s checkpoint and its network's rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LightClientArguments {
    /// Targets never change (regtest).
    pub no_retarget: bool,
    /// The 20-minute rule of test networks.
    pub min_difficulty: bool,
    /// testnet4's rules.
    pub bip94: bool,
    /// Headers come from members of the federation only (signet).
    pub signed_blocks: bool,
    /// The easiest target, in compact form.
    pub pow_limit_bits: u32,
    pub header: [u8; 80],
    pub height: u32,
    /// Work of the chain up to and including the header.
    pub work: U256,
    /// Time of the first block of the header's difficulty period.
    pub epoch_time: u32,
}

impl LightClientArguments {
    /// For the predeployed federation.
    pub fn abi_encode(&self) -> Bytes {
        self.abi_encode_with(address::FEDERATION)
    }

    /// For a federation at another address.
    pub fn abi_encode_with(&self, federation: Address) -> Bytes {
        BitcoinLightClient::constructorCall {
            parameters: IBitcoinLightClient::Parameters {
                noRetarget: self.no_retarget,
                minDifficulty: self.min_difficulty,
                bip94: self.bip94,
                powLimitBits: self.pow_limit_bits,
                signedBlocks: self.signed_blocks,
            },
            checkpoint: Bytes::copy_from_slice(&self.header),
            height: self.height,
            work: self.work,
            epochTime: self.epoch_time,
            federation,
        }
        .abi_encode()
        .into()
    }
}

/// One member of the federation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberArguments {
    /// Account on the sidechain that the member's relayer sends from.
    pub account: Address,
    /// Compressed secp256k1 point.
    pub encryption_key: [u8; 33],
    /// BLS12-381 public key, MinSig (G2).
    pub validator_key: [u8; 96],
    /// Ed25519 public key in the validators' network.
    pub p2p_key: B256,
    /// For people; has no meaning to the contracts.
    pub name: String,
}

/// `Federation`'s members and rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FederationArguments {
    /// Hash of all that the operators agreed on: which network this is.
    pub network_id: B256,
    /// Members needed to sign.
    pub threshold: u16,
    /// In the order of their indexes, which start at 1.
    pub members: Vec<MemberArguments>,
    /// BIP341 TapLeaf hash of the vault's recovery script.
    pub recovery_leaf: B256,
}

impl FederationArguments {
    pub fn abi_encode(&self) -> Bytes {
        let members = self.members.iter().map(|member| IFederation::Member {
            account: member.account,
            encryptionKey: Bytes::copy_from_slice(&member.encryption_key),
            validatorKey: Bytes::copy_from_slice(&member.validator_key),
            p2pKey: member.p2p_key,
            name: member.name.clone(),
        });
        Federation::constructorCall {
            networkId_: self.network_id,
            threshold_: self.threshold,
            members: members.collect(),
            recoveryLeaf_: self.recovery_leaf,
        }
        .abi_encode()
        .into()
    }
}

/// `Bridge`'s arguments, for the predeployed contracts.
pub fn bridge_arguments(parameters: IBridge::Parameters) -> Bytes {
    Bridge::constructorCall {
        parameters_: parameters,
        lightClient_: address::LIGHT_CLIENT,
        federation_: address::FEDERATION,
        vault_: address::VAULT,
        deposits_: address::DEPOSITS,
    }
    .abi_encode()
    .into()
}

/// `Vault`'s arguments, for the predeployed contracts.
pub fn vault_arguments() -> Bytes {
    Vault::constructorCall { bridge_: address::BRIDGE, board: address::SIGNING_BOARD }.abi_encode().into()
}

/// `Deposits`' arguments, for the predeployed contracts.
pub fn deposits_arguments() -> Bytes {
    Deposits::constructorCall { bridge_: address::BRIDGE }.abi_encode().into()
}

/// `SigningBoard`'s arguments, for the predeployed contracts.
pub fn signing_board_arguments() -> Bytes {
    SigningBoard::constructorCall { federation_: address::FEDERATION, vault_: address::VAULT }.abi_encode().into()
}

/// What a payee has left, after the payer asks to close a channel, to bring its last voucher: both have to pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CloseGrace {
    pub seconds: u64,
    /// So that a chain that stands still robs nobody.
    pub blocks: u64,
}

impl CloseGrace {
    /// A day, in which a payee's server that fell over can be set up again, and blocks of 10 minutes where they come fastest (the least that the draft
    /// allows), of a few hours where nothing happens: after a halt longer than a day they are what is left.
    const MONEY: Self = Self { seconds: 86_400, blocks: 6_000 };
    /// For regtest, whose coins are worth nothing: as much as somebody who tries it out waits for.
    const PLAY: Self = Self { seconds: 5, blocks: 3 };

    pub const fn of(regtest: bool) -> Self {
        if regtest { Self::PLAY } else { Self::MONEY }
    }
}

/// `MicroChannel`'s arguments, for the predeployed contracts.
pub fn micro_channel_arguments(network_id: B256, grace: CloseGrace) -> Bytes {
    MicroChannel::constructorCall {
        networkId_: network_id,
        wrappedCoin_: address::WRAPPED_BTC,
        gracePeriod: grace.seconds,
        graceBlocks: grace.blocks,
    }
    .abi_encode()
    .into()
}

/// `WrappedBtc`'s arguments, for the predeployed contracts.
pub fn wrapped_btc_arguments() -> Bytes {
    WrappedBtc::constructorCall { bridge_: address::BRIDGE, channels_: address::MICRO_CHANNEL }.abi_encode().into()
}
