//! Facts of the sidechain that nobody has to be believed for: a final header by its validators' signatures, and what is
//! in its state by Merkle proofs.

use alloy_consensus::Header;
use alloy_primitives::{Address, B256, U256, keccak256};
use alloy_rlp::Decodable;
use alloy_rpc_types_eth::EIP1186AccountProofResponse;
use alloy_sol_types::SolValue;
use alloy_trie::proof::verify_proof;
use alloy_trie::{Nibbles, TrieAccount};
use bridge::io::sidechain::Client;
use bridge::peg::Finality;
use contracts::address::FEDERATION;
use eyre::{Result, WrapErr, ensure, eyre};
use serde_json::json;
use sidechain::finality::{self, Validators};
use sidechain::genesis::Genesis;

/// Slot of Federation's `_keys` (mapping from epoch to group key and vault key), as solc lays its storage out.
const KEYS_SLOT: u64 = 2;

/// A header that a quorum of the genesis file's validators signed.
#[derive(Clone, Debug)]
pub struct FinalHeader {
    pub header: Header,
    pub hash: B256,
    pub signers: usize,
    pub validators: usize,
}

/// An account of a final state, with the storage slots that were asked for, in their order.
#[derive(Clone, Debug)]
pub struct ProvenAccount {
    pub balance: U256,
    pub slots: Vec<U256>,
}

/// The validators that a genesis file names.
pub fn validators(genesis: &Genesis) -> Result<Validators> {
    let members = genesis.federation.members.iter().map(|member| {
        let key = <[u8; finality::PUBLIC_KEY_BYTES]>::try_from(member.validator_key.as_ref()).map_err(|_| {
            eyre!(
                "the validator key of {} has {} bytes, expected {}",
                member.name,
                member.validator_key.len(),
                finality::PUBLIC_KEY_BYTES
            )
        })?;
        Ok((member.p2p_key.0, key))
    });
    Validators::new(genesis.chain_id, members.collect::<Result<Vec<_>>>()?)
        .wrap_err("the genesis file's validators cannot be used")
}

/// The node's latest header, once its certificate holds.
pub async fn latest(client: &Client, validators: &Validators) -> Result<FinalHeader> {
    let answer = client.finality("latest").await?;
    check(&answer, validators).wrap_err_with(|| {
        format!("the node at {} does not prove that its block {} is final", client.url(), answer.number)
    })
}

fn check(answer: &Finality, validators: &Validators) -> Result<FinalHeader> {
    let header = decode(&answer.header)?;
    let descendants = answer.descendants.iter().map(|raw| decode(raw)).collect::<Result<Vec<_>>>()?;
    let certificate = finality::verify_linked(&header, &descendants, &answer.certificate, validators)?;
    let signers = certificate.signers.iter().filter(|signed| **signed).count();
    Ok(FinalHeader { hash: header.hash_slow(), header, signers, validators: validators.len() })
}

fn decode(mut raw: &[u8]) -> Result<Header> {
    let header = Header::decode(&mut raw).wrap_err("a header is not RLP")?;
    ensure!(raw.is_empty(), "a header is followed by {} more bytes", raw.len());
    Ok(header)
}

/// An account and its `slots` in the state of `header`.
pub async fn account(client: &Client, header: &FinalHeader, address: Address, slots: &[U256]) -> Result<ProvenAccount> {
    let keys: Vec<B256> = slots.iter().map(|slot| B256::from(*slot)).collect();
    let block = alloy_primitives::U64::from(header.header.number);
    let answer: EIP1186AccountProofResponse =
        client.request("eth_getProof", vec![json!(address), json!(keys), json!(block)]).await?;
    check_account(&answer, header.header.state_root, address, &keys).wrap_err_with(|| {
        format!("the node at {} does not prove the state of {address} in block {}", client.url(), header.header.number)
    })
}

fn check_account(
    answer: &EIP1186AccountProofResponse,
    root: B256,
    address: Address,
    keys: &[B256],
) -> Result<ProvenAccount> {
    let account = TrieAccount {
        nonce: answer.nonce,
        balance: answer.balance,
        storage_root: answer.storage_hash,
        code_hash: answer.code_hash,
    };
    verify_proof(root, path(address.as_slice()), Some(alloy_rlp::encode(account)), &answer.account_proof)?;
    ensure!(
        answer.storage_proof.len() == keys.len(),
        "{} slots were proved, {} asked for",
        answer.storage_proof.len(),
        keys.len()
    );
    let slot = |(key, proof): (&B256, &alloy_rpc_types_eth::EIP1186StorageProof)| {
        // The key is the one asked for, whatever the answer calls it. A zero is proved by its absence.
        let value = (!proof.value.is_zero()).then(|| alloy_rlp::encode(proof.value));
        verify_proof(answer.storage_hash, path(key.as_slice()), value, &proof.proof)?;
        Ok(proof.value)
    };
    Ok(ProvenAccount {
        balance: answer.balance,
        slots: keys.iter().zip(&answer.storage_proof).map(slot).collect::<Result<_>>()?,
    })
}

/// The federation's keys of an epoch in the state of `header`: group key and vault key, x-only.
pub async fn federation_keys(client: &Client, header: &FinalHeader, epoch: u32) -> Result<(B256, B256)> {
    // `struct Keys { bytes32 group; bytes32 vault; }` in a mapping: keccak256(key . slot), and the next one.
    let first = keccak256((U256::from(epoch), U256::from(KEYS_SLOT)).abi_encode());
    let first = U256::from_be_bytes(first.0);
    let slots = [first, first + U256::ONE];
    let proven = account(client, header, FEDERATION, &slots).await?;
    Ok((proven.slots[0].into(), proven.slots[1].into()))
}

/// The path of a key in a state trie: that of its hash.
fn path(key: &[u8]) -> Nibbles {
    Nibbles::unpack(keccak256(key))
}
