//! The whole ledger of contracts in an EVM without a chain, on a Bitcoin of made-up headers: what Rust says of it is compared with what it does.
//!
//! Bridge, Vault, Deposits, SigningBoard, Federation and the light client are where genesis puts them. The federation has one member, so what
//! it proposes is approved by one post.

use alloy_primitives::{Address, B256, Bytes, U256};
use alloy_sol_types::SolEvent;
use api::peg::Terms;
use bitcoin::block::Header;
use bitcoin::hashes::Hash;
use bitcoin::secp256k1::{Keypair, PublicKey, SECP256K1, Scalar, XOnlyPublicKey};
use bitcoin::{Block, TapNodeHash, TapTweakHash, Transaction};
use contracts::address::{BRIDGE, DEPOSITS, FEDERATION, LIGHT_CLIENT, SIGNING_BOARD, VAULT};
use contracts::coin::{GENESIS_COINS_WEI, wei};
use contracts::{
    BitcoinLightClient, Books, Bridge, Contract, Deposits, Federation, FederationArguments, IBridge, IVault,
    LightClientArguments, MemberArguments, SigningBoard, Vault, bridge_arguments, deposits, deposits_arguments,
    signing_board_arguments, vault, vault_arguments,
};
use mainchain::deposit::{DepositOutput, DepositTerms, Peg};
use mainchain::header::to_bytes;
use mainchain::proof::{InclusionProof, strip};
use mainchain::{Checkpoint, Network};

use crate::evm::{Done, Evm, word};

/// The chain id that the contracts see.
const CHAIN_ID: u64 = 51_717;
/// The network that they are of.
pub const NETWORK: B256 = B256::repeat_byte(0x77);
/// The one member.
pub const MEMBER: Address = Address::repeat_byte(0xa1);
const RECOVERY_LEAF: B256 = B256::repeat_byte(0x42);

/// The contracts, and the secret of the group key.
pub struct Ledger {
    pub evm: Evm,
    pub peg: Peg,
    group: Keypair,
}

/// A vault transaction as `bind` fixed it, and the gas of the steps.
#[derive(Clone, Debug)]
pub struct Bound {
    pub event: Vault::Bound,
    pub propose_gas: u64,
    pub approve_gas: u64,
    pub bind_gas: u64,
}

/// Rules without a limit, from which a test changes what it is about.
#[must_use]
pub fn parameters() -> IBridge::Parameters {
    let tier = |confirmations, up_to_sat| IBridge::Tier { confirmations, upToSat: up_to_sat };
    IBridge::Parameters {
        reclaimDelay: 1_008,
        finalBlocks: 2,
        alarmBlocks: 1,
        minDepositSat: 1_000,
        minWithdrawalSat: 1_000,
        pegInFeeSat: 0,
        pegOutFeeSat: 0,
        floorRate: 1_000,
        minRate: 1,
        maxRate: 1_000_000_000,
        stopSat: u64::MAX,
        usefulSat: 1_000,
        capSat: 2_100_000_000_000_000,
        windowSat: 2_100_000_000_000_000,
        windowSeconds: 3_600,
        refundAfter: 604_800,
        pauseSeconds: 3_600,
        pauseGapSeconds: 3_600,
        maxInputs: 100,
        maxPayouts: 220,
        tiers: vec![tier(1, 2_100_000_000_000_000), tier(2, u64::MAX)],
        guardians: Vec::new(),
    }
}

impl Ledger {
    /// On regtest's genesis, with the group key in force.
    ///
    /// # Panics
    ///
    /// When a constructor refuses the parameters.
    #[must_use]
    pub fn new(group: Keypair, parameters: IBridge::Parameters) -> Self {
        let mut evm = Evm::new(CHAIN_ID);
        let delay = parameters.reclaimDelay.try_into().expect("not 0");
        let put = |evm: &mut Evm, contract, arguments: Bytes| {
            evm.put(contract, &arguments).unwrap_or_else(|error| panic!("{contract:?}: {error}"));
        };
        put(&mut evm, Contract::LightClient, light_client().abi_encode());
        put(&mut evm, Contract::Federation, federation(&group).abi_encode());
        put(&mut evm, Contract::SigningBoard, signing_board_arguments());
        put(&mut evm, Contract::Bridge, bridge_arguments(parameters));
        put(&mut evm, Contract::Vault, vault_arguments());
        put(&mut evm, Contract::Deposits, deposits_arguments());
        evm.set_balance(BRIDGE, GENESIS_COINS_WEI);
        let peg = Peg { network_id: NETWORK.0, bridge: BRIDGE.into_array(), delay };
        let mut ledger = Self { evm, peg, group };
        ledger.confirm_key();
        ledger
    }

    fn confirm_key(&mut self) {
        let vault = tweaked(self.group.x_only_public_key().0, RECOVERY_LEAF);
        let confirm = Federation::confirmKeyCall {
            network: NETWORK,
            epoch_: 1,
            groupKey_: x(&self.group.public_key()),
            vaultKeyX: x(&vault),
            vaultKeyY: y(&vault),
        };
        self.evm.call(MEMBER, FEDERATION, &confirm).expect("the vault key is the tweaked group key");
    }

    /// The output that terms make.
    #[must_use]
    pub fn output(&self, terms: &DepositTerms) -> DepositOutput {
        terms.output(&self.peg, self.group.x_only_public_key().0)
    }

    /// Headers for the light client: gas.
    ///
    /// # Errors
    ///
    /// What it reverted with.
    pub fn submit(&mut self, headers: &[Header], now: u32) -> Result<u64, String> {
        self.evm.set_time(now.into());
        let headers: Vec<u8> = headers.iter().flat_map(to_bytes).collect();
        let call = BitcoinLightClient::submitCall { headers: headers.into() };
        self.evm.call(Address::ZERO, LIGHT_CLIENT, &call).map(|done| done.gas)
    }

    /// Proves that output 0 of a payment in a block is a deposit with these terms: what the ledger says of it.
    ///
    /// # Errors
    ///
    /// What it reverted with.
    pub fn prove(
        &mut self,
        payment: &Transaction,
        block: &Block,
        terms: &DepositTerms,
    ) -> Result<(u64, Deposits::DepositProven), String> {
        let proof = InclusionProof::build(block, payment.compute_txid()).expect("in the block");
        let call = Deposits::proveCall {
            transaction: strip(payment).into(),
            vout: 0,
            terms: Terms::from(terms).into(),
            outputKeyY: B256::from(self.output(terms).output_key_y()),
            inclusion: deposits::IBitcoinLightClient::InclusionProof {
                header: to_bytes(&proof.header).into(),
                index: proof.index,
                siblings: proof.siblings.iter().map(word).collect(),
                leftmost: proof.leftmost.iter().map(word).collect(),
            },
        };
        let done = self.evm.call(Address::ZERO, DEPOSITS, &call)?;
        Ok((done.gas, event(&done)))
    }

    /// The member proposes and approves, and anybody binds.
    ///
    /// # Errors
    ///
    /// What one of them reverted with.
    pub fn bind(&mut self, content: &IVault::Content) -> Result<Bound, String> {
        let propose = Vault::proposeCall { network: NETWORK, place: 0, content: content.clone() };
        let proposed = self.evm.call(MEMBER, VAULT, &propose)?;
        let proposal: Vault::Proposed = event(&proposed);
        let approve = SigningBoard::approveCall {
            network: NETWORK,
            proposal: proposal.proposal,
            contentHash: proposal.contentHash,
            payload: Bytes::new(),
        };
        let approved = self.evm.call(MEMBER, SIGNING_BOARD, &approve)?;
        let bind = Vault::bindCall { proposal: proposal.proposal, content: content.clone() };
        let bound = self.evm.call(Address::ZERO, VAULT, &bind)?;
        Ok(Bound { event: event(&bound), propose_gas: proposed.gas, approve_gas: approved.gas, bind_gas: bound.gas })
    }

    /// Anybody settles a bound transaction that is in a block: gas.
    ///
    /// # Errors
    ///
    /// What it reverted with.
    pub fn settle(&mut self, bound: &Vault::Bound, block: &Block) -> Result<u64, String> {
        let txid = bitcoin::Txid::from_byte_array(bound.txid.0);
        let proof = InclusionProof::build(block, txid).expect("in the block");
        let call = Vault::settleCall {
            number: bound.number,
            content: bound.content.clone(),
            transaction: bound.transaction.clone(),
            inclusion: vault::IBitcoinLightClient::InclusionProof {
                header: to_bytes(&proof.header).into(),
                index: proof.index,
                siblings: proof.siblings.iter().map(word).collect(),
                leftmost: proof.leftmost.iter().map(word).collect(),
            },
        };
        self.evm.call(Address::ZERO, VAULT, &call).map(|done| done.gas)
    }

    /// Somebody who has no more than that asks for a payout: the id.
    ///
    /// # Errors
    ///
    /// What it reverted with.
    pub fn withdraw(&mut self, script: Bytes, amount_sat: u64, max_fee_sat: u64) -> Result<u64, String> {
        let owner = Address::repeat_byte(0x0e);
        self.evm.set_balance(owner, wei(amount_sat));
        let call = Bridge::withdrawCall { script, maxFeeSat: max_fee_sat };
        self.evm.pay(owner, BRIDGE, wei(amount_sat), &call).map(|done| done.returned.saturating_to())
    }

    /// The sums of the ledger, as the contract answers them.
    pub fn books(&mut self) -> Books {
        let books = self.evm.ask(BRIDGE, &Bridge::booksCall {});
        Books {
            vault_sat: books.vault,
            owed_sat: books.owed,
            unminted_sat: books.unminted,
            unswept_sat: books.unswept,
            lost_sat: books.lost,
            reserve_sat: books.reserve,
            unclaimed_sat: books.unclaimed,
            covered_sat: books.covered,
        }
    }
}

/// The one event of its kind that a call left.
fn event<E: SolEvent, R>(done: &Done<R>) -> E {
    let found = done.logs.iter().find_map(|log| E::decode_log(log).ok());
    found.unwrap_or_else(|| panic!("no {}", E::SIGNATURE)).data
}

fn light_client() -> LightClientArguments {
    let (params, checkpoint) = (Network::Regtest.params(), Checkpoint::genesis(Network::Regtest));
    LightClientArguments {
        no_retarget: params.no_retarget,
        min_difficulty: params.min_difficulty,
        bip94: params.bip94,
        signed_blocks: params.signed_blocks,
        pow_limit_bits: params.pow_limit_bits,
        header: to_bytes(&checkpoint.header),
        height: checkpoint.height,
        work: U256::from_be_bytes(checkpoint.work.to_be_bytes()),
        epoch_time: checkpoint.epoch_time,
    }
}

fn federation(group: &Keypair) -> FederationArguments {
    let member = MemberArguments {
        account: MEMBER,
        encryption_key: group.public_key().serialize(),
        validator_key: [0; 96],
        p2p_key: B256::ZERO,
        name: "only".into(),
    };
    FederationArguments { network_id: NETWORK, threshold: 1, members: vec![member], recovery_leaf: RECOVERY_LEAF }
}

fn tweaked(internal: XOnlyPublicKey, root: B256) -> PublicKey {
    let root = TapNodeHash::assume_hidden(root.0);
    let tweak: Scalar = TapTweakHash::from_key_and_tweak(internal, Some(root)).to_scalar();
    let (key, parity) = internal.add_tweak(SECP256K1, &tweak).expect("no such hash is known");
    key.public_key(parity)
}

fn x(key: &PublicKey) -> B256 {
    B256::from_slice(&key.serialize_uncompressed()[1..33])
}

fn y(key: &PublicKey) -> B256 {
    B256::from_slice(&key.serialize_uncompressed()[33..])
}
