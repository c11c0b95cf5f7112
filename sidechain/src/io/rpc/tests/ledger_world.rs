//! A peg whose members do what relayers do, with a Bitcoin of made-up blocks: what a client sees of deposits, vault transactions and
//! withdrawals on their way.
//!
//! ```text
//! Bitcoin   0 - 1 (payments) - 2 (sweep) - 3 ... : each block mined here, its header submitted at once
//! ```

use std::num::NonZeroU16;

use alloy_primitives::{Address, B256, Bytes};
use api::peg::Terms;
use bitcoin::absolute::LockTime;
use bitcoin::block::Header;
use bitcoin::hashes::Hash as _;
use bitcoin::transaction::Version;
use bitcoin::{Amount, Block, CompactTarget, OutPoint, ScriptBuf, Sequence, Transaction, TxIn, TxOut, Witness};
use contracts::address::{BRIDGE, DEPOSITS, LIGHT_CLIENT, SIGNING_BOARD, VAULT};
use contracts::alloy_sol_types::{SolCall, SolEvent};
use contracts::{BitcoinLightClient, Deposits, IDeposits, IVault, SigningBoard, Vault, deposits, vault};
use mainchain::deposit::{DepositOutput, DepositTerms, Peg};
use mainchain::header::to_bytes;
use mainchain::proof::{InclusionProof, strip};
use serde_json::{Value, json};

use super::peg::group_key;
use super::world::{CHAIN, World};
use crate::testing::{Key, genesis, member, network};

pub struct LedgerWorld {
    pub world: World,
    /// Of members, by index from 1.
    nonces: [u64; 5],
    tip: Block,
}

/// A vault transaction as `bind` fixed it.
pub struct BoundTransaction {
    pub number: u32,
    pub content: IVault::Content,
    pub transaction: Transaction,
}

impl LedgerWorld {
    /// A network whose federation has a key.
    pub async fn new() -> Self {
        Self::on(super::peg::with_key().await)
    }

    /// The same on a node of which only the key is in force.
    pub fn on(world: World) -> Self {
        let tip = bitcoin::constants::genesis_block(bitcoin::Network::Regtest);
        Self { world, nonces: [1; 5], tip }
    }

    /// Terms of a deposit for a recipient, and the output that they make.
    pub fn deposit(&self, recipient: Address) -> (Terms, DepositOutput) {
        let reclaim_key = B256::from_slice(&Key::new(7).public()[1..]);
        let terms =
            Terms { recipient, claimant: recipient, reclaim_key, max_fee_sat: 5_000, data_hash: B256::ZERO, epoch: 1 };
        let delay = NonZeroU16::new(genesis().bridge.reclaim_delay).unwrap();
        let peg = Peg { network_id: network().0, bridge: BRIDGE.into_array(), delay };
        (terms, DepositTerms::try_from(&terms).unwrap().output(&peg, group_key()))
    }

    /// Pays deposits in one block, each by a transaction of its own, and proves them.
    pub async fn pay(&mut self, deposits: &[(Address, u64)]) -> Vec<OutPoint> {
        let outputs: Vec<_> = deposits.iter().map(|(recipient, _)| self.deposit(*recipient)).collect();
        let payments = deposits.iter().zip(&outputs).zip(1u8..).map(|(((_, sat), (_, output)), salt)| {
            let spent = OutPoint::new(bitcoin::Txid::from_byte_array([salt; 32]), self.tip.header.time);
            spending(spent, TxOut { value: Amount::from_sat(*sat), script_pubkey: output.script_pubkey() })
        });
        let payments: Vec<_> = payments.collect();
        self.mine(payments.clone()).await;
        for (payment, (terms, output)) in payments.iter().zip(outputs) {
            self.prove(payment, terms, &output).await;
        }
        payments.iter().map(|payment| OutPoint::new(payment.compute_txid(), 0)).collect()
    }

    async fn prove(&mut self, payment: &Transaction, terms: Terms, output: &DepositOutput) {
        let inclusion = self.inclusion(payment);
        let call = Deposits::proveCall {
            transaction: strip(payment).into(),
            vout: 0,
            terms: IDeposits::Terms::from(terms),
            outputKeyY: output.output_key_y().into(),
            inclusion: deposits::IBitcoinLightClient::InclusionProof {
                header: to_bytes(&inclusion.header).into(),
                index: inclusion.index,
                siblings: inclusion.siblings.into_iter().map(B256::from).collect(),
                leftmost: Vec::new(),
            },
        };
        self.by(1, DEPOSITS, &call).await;
    }

    /// A member proposes, three approve, and one binds: what is left of the content.
    pub async fn bind(&mut self, content: IVault::Content) -> BoundTransaction {
        let propose = Vault::proposeCall { network: network(), place: 0, content: content.clone() };
        let proposed: Vault::Proposed = event(&self.by(2, VAULT, &propose).await);
        let approve = SigningBoard::approveCall {
            network: network(),
            proposal: proposed.proposal,
            contentHash: proposed.contentHash,
            payload: Bytes::from_static(b"commitments"),
        };
        for index in 1..=3 {
            self.by(index, SIGNING_BOARD, &approve).await;
        }
        let bind = Vault::bindCall { proposal: proposed.proposal, content };
        let bound: Vault::Bound = event(&self.by(4, VAULT, &bind).await);
        let transaction = bitcoin::consensus::deserialize(&bound.transaction).unwrap();
        BoundTransaction { number: bound.number, content: bound.content, transaction }
    }

    /// A block with the transaction, and the proof of it.
    pub async fn settle(&mut self, bound: &BoundTransaction) {
        self.mine(vec![bound.transaction.clone()]).await;
        let inclusion = self.inclusion(&bound.transaction);
        let call = Vault::settleCall {
            number: bound.number,
            content: bound.content.clone(),
            transaction: strip(&bound.transaction).into(),
            inclusion: vault::IBitcoinLightClient::InclusionProof {
                header: to_bytes(&inclusion.header).into(),
                index: inclusion.index,
                siblings: inclusion.siblings.into_iter().map(B256::from).collect(),
                leftmost: Vec::new(),
            },
        };
        self.by(3, VAULT, &call).await;
    }

    fn inclusion(&self, transaction: &Transaction) -> InclusionProof {
        InclusionProof::build(&self.tip, transaction.compute_txid()).unwrap()
    }

    /// A block on the tip, told to the light client.
    pub async fn mine(&mut self, transactions: Vec<Transaction>) {
        self.tip = block_on(&self.tip.header, transactions);
        let headers = to_bytes(&self.tip.header).into();
        self.by(1, LIGHT_CLIENT, &BitcoinLightClient::submitCall { headers }).await;
    }

    /// What a member does in the free lane, which must succeed: the receipt.
    pub async fn by<C: SolCall>(&mut self, index: u16, to: Address, call: &C) -> Value {
        let nonce = &mut self.nonces[usize::from(index)];
        let sent = member(index).free(CHAIN, *nonce, 3_000_000, to, call.abi_encode().into());
        *nonce += 1;
        let receipt = self.world.receipt(&sent).await;
        assert_eq!(receipt["status"], "0x1", "{}", C::SIGNATURE);
        receipt
    }

    pub async fn get(&self, method: &str, parameters: Value) -> Value {
        self.world.get(method, parameters).await
    }

    /// The books as `peg_getInfo` says them.
    pub async fn books(&self) -> api::peg::Books {
        serde_json::from_value(self.get("peg_getInfo", json!([])).await["books"].clone()).unwrap()
    }
}

/// The event of a kind in a receipt.
fn event<E: SolEvent>(receipt: &Value) -> E {
    let logs = receipt["logs"].as_array().unwrap();
    let decoded = logs.iter().find_map(|log| {
        let topics: Vec<B256> = serde_json::from_value(log["topics"].clone()).unwrap();
        let data: Bytes = serde_json::from_value(log["data"].clone()).unwrap();
        E::decode_raw_log_validate(topics, &data).ok()
    });
    decoded.unwrap_or_else(|| panic!("no {} in {receipt}", E::SIGNATURE))
}

fn spending(previous_output: OutPoint, output: TxOut) -> Transaction {
    let script_sig = if previous_output.is_null() { ScriptBuf::from_bytes(vec![1, 1]) } else { ScriptBuf::new() };
    let input = TxIn { previous_output, script_sig, sequence: Sequence::MAX, witness: Witness::new() };
    Transaction { version: Version::TWO, lock_time: LockTime::ZERO, input: vec![input], output: vec![output] }
}

fn block_on(parent: &Header, transactions: Vec<Transaction>) -> Block {
    let paid = TxOut { value: Amount::from_sat(parent.time.into()), script_pubkey: ScriptBuf::new() };
    let coinbase = spending(OutPoint::null(), paid);
    let txdata = std::iter::once(coinbase).chain(transactions).collect();
    let header = Header {
        version: bitcoin::block::Version::from_consensus(0x2000_0000),
        prev_blockhash: parent.block_hash(),
        merkle_root: bitcoin::TxMerkleNode::all_zeros(),
        time: parent.time + 600,
        bits: CompactTarget::from_consensus(0x207f_ffff),
        nonce: 0,
    };
    let mut block = Block { header, txdata };
    block.header.merkle_root = block.compute_merkle_root().unwrap();
    while block.header.validate_pow(block.header.target()).is_err() {
        block.header.nonce += 1;
    }
    block
}
