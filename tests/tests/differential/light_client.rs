//! The contract `BitcoinLightClient`, asked and told as the Rust chain is.

use alloy_primitives::{Address, B256, Bytes, U256};
use bitcoin::BlockHash;
use bitcoin::block::Header;
use bitcoin::hashes::Hash;
use contracts::light_client::{BitcoinLightClient, IBitcoinLightClient};
use contracts::{Contract, LightClientArguments, creation_code};
use light::branches::{self, Branch, Branches, KnownBlock, Place, best_slot, block_slot, branch_slot};
use mainchain::header::to_bytes;
use mainchain::proof::InclusionProof;
use mainchain::{Checkpoint, Params};
use tests::evm::{Evm, word};

/// The chain id that the contracts see.
pub const CHAIN_ID: u64 = 51_717;

/// A light client, alone in an EVM.
pub struct LightClient {
    pub evm: Evm,
    pub address: Address,
}

impl LightClient {
    /// One that starts at a checkpoint, and takes headers from anybody.
    pub fn new(params: &Params, checkpoint: &Checkpoint) -> Self {
        Self::among(Evm::new(CHAIN_ID), params, checkpoint, Address::ZERO)
    }

    /// One that asks a federation who is a member, where blocks are signed.
    pub fn among(mut evm: Evm, params: &Params, checkpoint: &Checkpoint, federation: Address) -> Self {
        let arguments = LightClientArguments {
            no_retarget: params.no_retarget,
            min_difficulty: params.min_difficulty,
            bip94: params.bip94,
            signed_blocks: params.signed_blocks,
            pow_limit_bits: params.pow_limit_bits,
            header: to_bytes(&checkpoint.header),
            height: checkpoint.height,
            work: U256::from_be_bytes(checkpoint.work.to_be_bytes()),
            epoch_time: checkpoint.epoch_time,
        };
        let code = creation_code(Contract::LightClient);
        let address = evm.create(code, &arguments.abi_encode_with(federation), 0).expect("the checkpoint is possible");
        Self { evm, address }
    }

    /// The gas it took, or the error in words.
    pub fn submit(&mut self, headers: &[Header], now: u32) -> Result<u64, String> {
        self.submit_from(Address::ZERO, headers, now)
    }

    /// The same, from an account.
    pub fn submit_from(&mut self, sender: Address, headers: &[Header], now: u32) -> Result<u64, String> {
        self.evm.set_time(now.into());
        let headers: Vec<u8> = headers.iter().flat_map(to_bytes).collect();
        let call = BitcoinLightClient::submitCall { headers: headers.into() };
        self.evm.call(sender, self.address, &call).map(|done| done.gas)
    }

    /// Hash, height and work.
    pub fn tip(&mut self) -> (B256, u32, U256) {
        let tip = self.evm.ask(self.address, &BitcoinLightClient::tipCall {});
        (tip.hash, tip.height, tip.work)
    }

    /// Zero above the tip.
    pub fn hash_at(&mut self, height: u32) -> B256 {
        let call = BitcoinLightClient::hashAtCall { height };
        self.evm.ask(self.address, &call)
    }

    /// 0 when it is not on the best chain.
    pub fn confirmations(&mut self, hash: BlockHash) -> u32 {
        let hash = word(hash.as_byte_array());
        let call = BitcoinLightClient::confirmationsCall { hash };
        self.evm.ask(self.address, &call)
    }

    /// The same, in work.
    pub fn confirmations_in_work(&mut self, hash: BlockHash) -> u32 {
        let hash = word(hash.as_byte_array());
        let call = BitcoinLightClient::confirmationsInWorkCall { hash };
        self.evm.ask(self.address, &call)
    }

    /// Where a block is by the storage alone, as receipts show it; none when it is not known.
    pub fn place(&mut self, hash: BlockHash) -> Option<Place> {
        let mut read = |slot: U256| self.evm.storage(self.address, &[slot])[0];
        let block = KnownBlock::read(read(block_slot(&hash)))?;
        let mut branches = Branches { best: Some(branches::best(read(best_slot()))), ..Branches::default() };
        loop {
            match branches.place(block) {
                Place::Unknown { branch } => {
                    let none = branches.known.insert(branch, Branch::read(read(branch_slot(branch))));
                    assert_eq!(none, None, "what is known is not asked for again");
                }
                place => return Some(place),
            }
        }
    }

    /// The txid that the proof proves, or the error in words.
    pub fn require_included(&mut self, transaction: &[u8], proof: &InclusionProof) -> Result<B256, String> {
        let call = BitcoinLightClient::requireIncludedCall {
            strippedTransaction: Bytes::copy_from_slice(transaction),
            proof: solidity_proof(proof),
        };
        self.evm.call(Address::ZERO, self.address, &call).map(|done| done.returned.txid)
    }
}

/// A proof as the contract takes it.
pub fn solidity_proof(proof: &InclusionProof) -> IBitcoinLightClient::InclusionProof {
    IBitcoinLightClient::InclusionProof {
        header: Bytes::copy_from_slice(&to_bytes(&proof.header)),
        index: proof.index,
        siblings: proof.siblings.iter().map(word).collect(),
        leftmost: proof.leftmost.iter().map(word).collect(),
    }
}
